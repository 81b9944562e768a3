"""The CRF against enumeration, against CRFsuite, and against itself on disk and in batches."""

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest

from langue.base.errors import LangueError
from langue.corpus.schemes import obeys
from langue.corpus.tagged import Sentence
from langue.inference.chain import Chain
from langue.models.family import TaggedData
from langue.models.taggers.crf import CRFConfig, estimate, load
from langue.models.taggers.crf.features import Extractor
from langue.models.taggers.crf.minimize import minimize
from langue.models.taggers.crf.model import CRF
from langue.models.taggers.crf.objective import Objective, find_features
from langue.models.taggers.crf.sgd import descend
from langue.models.taggers.labels import UNKNOWN_TAG
from langue.protocols import Tagger

WORDS = ("Anna", "de", "Rome", "left", "7", "北京", "在")
BIO = ("O", "B-X", "I-X", "B-Y", "I-Y")
TEMPLATES = ("word[-1..1]", "word[-1]|word", "suffix2", "shape", "TRUE", "pos", "pos[-1]|pos")
COLUMNS = ("word", "pos")


def corpus(seed: int, size: int, longest: int = 9) -> list[Sentence]:
    """Sentences whose tags follow from the words, mostly, and spell BIO."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(size):
        words = rng.choice(WORDS, rng.integers(1, longest))
        tags, before = [], "O"
        for word in words:
            type = "X" if word[0].isupper() else "Y" if word == "北京" else ""
            tag = "O" if not type or rng.random() < 0.1 else ("I-" if before.endswith(type) else "B-") + type
            tags.append(tag)
            before = tag
        made.append(Sentence((tuple(words), tuple(str(len(word)) for word in words)), tuple(tags)))
    return made


@pytest.fixture(scope="module")
def trained() -> CRF:
    return estimate(CRFConfig(templates=TEMPLATES), TaggedData(COLUMNS, corpus(0, 120)))


def objective_of(sentences: list[Sentence], tags: np.ndarray, K: int, **options: bool) -> Objective:
    extractor = Extractor(TEMPLATES, COLUMNS)
    batch = extractor.learn(sentences, 1)
    features = find_features(
        batch,
        tags,
        len(extractor.keys),
        K,
        all_states=options.get("all_states", False),
        all_transitions=options.get("all_transitions", False),
        permitted=np.ones((K, K), bool),
    )
    return Objective(batch, tags, features, Chain.of(np.zeros((K, K))))


def attributes_of(objective: Objective, t: int) -> list[int]:
    """What a token has, bundled or not."""
    batch = objective.batch
    bundled = [
        int(member)
        for bundle in batch.bundles[:, t]
        for member in batch.members[batch.pointers[bundle] : batch.pointers[bundle + 1]]
    ]
    return bundled + [int(attribute) for attribute in batch.single[:, t] if attribute >= 0]


def enumerated_loss(objective: Objective, theta: np.ndarray, K: int) -> float:
    """-log p(known tags | words), by going through every tagging."""
    features, offsets = objective.features, objective.batch.offsets
    weights = {}
    for attribute in range(len(features.pointers) - 1):
        for p in range(features.pointers[attribute], features.pointers[attribute + 1]):
            weights[attribute, int(features.labels[p])] = theta[p]
    steps = {
        tuple(pair): theta[len(features.labels) + q] for q, pair in enumerate(features.transitions.tolist())
    }
    loss = 0.0
    for begin, end in itertools.pairwise(offsets.tolist()):
        known = objective.tags[begin:end]
        every = right = 0.0
        for path in itertools.product(range(K), repeat=end - begin):
            score = sum(
                weights.get((a, y), 0.0)
                for t, y in enumerate(path)
                for a in attributes_of(objective, begin + t)
            )
            score += sum(steps.get(pair, 0.0) for pair in itertools.pairwise(path))
            every += math.exp(score)
            if all(tag in (UNKNOWN_TAG, y) for tag, y in zip(known, path, strict=True)):
                right += math.exp(score)
        loss += math.log(every) - math.log(right)
    return loss


@pytest.mark.parametrize("hidden", [0.0, 0.4])
@pytest.mark.parametrize("everything", [False, True])
def test_loss_and_gradient_are_those_of_enumeration(hidden: float, everything: bool) -> None:
    rng = np.random.default_rng(3)
    K = 3
    sentences = corpus(1, 6, longest=5)
    tags = rng.integers(0, K, sum(len(one.words) for one in sentences)).astype(np.int32)
    tags[rng.random(len(tags)) < hidden] = UNKNOWN_TAG
    objective = objective_of(sentences, tags, K, all_states=everything, all_transitions=everything)
    theta = rng.normal(size=objective.features.size)
    loss, gradient = objective(theta)
    assert loss == pytest.approx(enumerated_loss(objective, theta, K), rel=1e-10)
    step = 1e-6
    for index in rng.choice(len(theta), 12, replace=False):
        moved = np.zeros_like(theta)
        moved[index] = step
        slope = (objective(theta + moved)[0] - objective(theta - moved)[0]) / (2 * step)
        assert gradient[index] == pytest.approx(slope, abs=1e-5)


def as_crfsuite(sentences: list[Sentence]) -> list[list[list[str]]]:
    """The attributes of every token under `TEMPLATES`, by name."""
    extractor = Extractor(TEMPLATES, COLUMNS)
    batch = extractor.learn(sentences, 1)
    objective = Objective.__new__(Objective)
    objective.batch = batch
    names = [extractor.name(attribute) for attribute in range(len(extractor.keys))]
    return [
        [[names[a] for a in attributes_of(objective, t)] for t in range(begin, end)]
        for begin, end in itertools.pairwise(batch.offsets.tolist())
    ]


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 1.0), (0.3, 0.0), (0.1, 0.2)])
def test_crfsuite_finds_the_same_features_loss_and_weights(l1: float, l2: float, tmp_path: Path) -> None:
    import pycrfsuite

    sentences = corpus(0, 80)
    trainer = pycrfsuite.Trainer(verbose=False)
    for attributes, sentence in zip(as_crfsuite(sentences), sentences, strict=True):
        trainer.append(attributes, list(sentence.tags))
    trainer.set_params({"c1": l1, "c2": l2, "max_iterations": 2000, "epsilon": 1e-9, "delta": 1e-12})
    trainer.train(str(tmp_path / "peer.crfsuite"))
    tagger = pycrfsuite.Tagger()
    tagger.open(str(tmp_path / "peer.crfsuite"))
    peer = tagger.info()
    config = CRFConfig(
        templates=TEMPLATES,
        encoding="given",
        constraints=False,
        l1=l1,
        l2=l2,
        iterations=2000,
        tolerance=1e-12,
    )
    model = estimate(config, TaggedData(COLUMNS, sentences))
    found = {(w.feature, w.label): w.weight for w in model.strongest(10**6)}
    expected = dict(peer.state_features)
    expected |= {(f"after {before}", after): weight for (before, after), weight in peer.transitions.items()}
    for pair in set(found) | set(expected):
        assert found.get(pair, 0.0) == pytest.approx(expected.get(pair, 0.0), abs=2e-3), pair
    for attributes, sentence, tags in zip(
        as_crfsuite(sentences), sentences, model.tag(sentences), strict=True
    ):
        assert list(tags) == tagger.tag(attributes)
        (log_probability, best), *_ = model.best(sentence, 1)
        assert math.exp(log_probability) == pytest.approx(tagger.probability(list(best)), abs=1e-3)


def test_sgd_ends_near_lbfgs() -> None:
    sentences = corpus(0, 200)
    tags = np.array([BIO.index(tag) for one in sentences for tag in one.tags], np.int32)
    objective = objective_of(sentences, tags, len(BIO))

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = objective(theta)
        return value + float(theta @ theta), gradient + 2 * theta

    start = np.zeros(objective.features.size)
    best = minimize(loss, start, steps=500, tolerance=1e-9).loss
    early, late = (
        loss(descend(objective, start, l2=1.0, epochs=epochs, seed=0).theta)[0] for epochs in (1, 60)
    )
    assert best <= late <= 1.005 * best
    assert late < early


def test_sgd_gives_the_same_bits_for_the_same_seed() -> None:
    sentences = corpus(0, 50)
    model = estimate(
        CRFConfig(templates=TEMPLATES, algorithm="sgd", iterations=20), TaggedData(COLUMNS, sentences)
    )
    same = estimate(
        CRFConfig(templates=TEMPLATES, algorithm="sgd", iterations=20), TaggedData(COLUMNS, sentences)
    )
    assert np.array_equal(model.theta, same.theta)


def test_it_learns_and_tags_what_it_never_saw(trained: CRF) -> None:
    held_out = corpus(9, 60)
    found = trained.tag(held_out)
    pairs = [
        pair for one, tags in zip(held_out, found, strict=True) for pair in zip(one.tags, tags, strict=True)
    ]
    assert sum(right == guess for right, guess in pairs) / len(pairs) > 0.85
    new = Sentence((("Zebra", "☃", ""), ("5", "", "x")))
    assert len(trained.tag([new])[0]) == 3
    assert isinstance(trained, Tagger)


def test_constraints_hold_whatever_the_words(trained: CRF) -> None:
    rng = np.random.default_rng(5)
    odd = [
        Sentence((tuple(rng.choice([*WORDS, "?", "zzz"], 12)), tuple(rng.choice(["1", "2", "9"], 12))))
        for _ in range(100)
    ]
    assert all(obeys(tags, "BIO") for tags in trained.tag(odd))
    assert {label[0] for label in trained.labels} == set("OBIES")  # finer inside
    for sentence in odd[:10]:
        assert all(obeys(tags, "BIO") for _, tags in trained.best(sentence, 5))


def test_marginals_and_the_n_best_are_probabilities(trained: CRF) -> None:
    sentence = corpus(4, 1, longest=5)[0]
    (probabilities,) = trained.marginals([sentence])
    assert probabilities.shape == (len(sentence.words), len(trained.labels))
    assert probabilities.sum(1) == pytest.approx(np.ones(len(sentence.words)))
    every = trained.best(sentence, 10**4)
    assert sum(math.exp(log_probability) for log_probability, _ in every) == pytest.approx(1)
    assert every[0][1] == trained.tag([sentence])[0]


def test_the_same_alone_in_a_batch_and_without_its_tags(trained: CRF) -> None:
    sentences = corpus(6, 50)
    together = trained.tag(sentences)
    shares = trained.marginals(sentences)
    for sentence, tags, probabilities in zip(sentences, together, shares, strict=True):
        bare = Sentence(sentence.columns)
        assert trained.tag([bare])[0] == tags
        assert np.allclose(trained.marginals([bare])[0], probabilities, atol=1e-12)


def test_save_and_load_are_exact(trained: CRF, tmp_path: Path) -> None:
    trained.save(tmp_path)
    loaded = load(tmp_path, CRFConfig())
    sentences = corpus(7, 30)
    assert loaded.tag(sentences) == trained.tag(sentences)
    for one, other in zip(loaded.marginals(sentences), trained.marginals(sentences), strict=True):
        assert np.array_equal(one, other)
    assert loaded.strongest(50) == trained.strongest(50)
    assert loaded.size() == trained.size()


def test_l1_leaves_few_features_and_drops_the_rest(tmp_path: Path) -> None:
    sentences = corpus(0, 80)
    dense = estimate(CRFConfig(templates=TEMPLATES), TaggedData(COLUMNS, sentences))
    sparse = estimate(CRFConfig(templates=TEMPLATES, l1=2.0, l2=0.0), TaggedData(COLUMNS, sentences))
    assert sparse.size()["features"] < dense.size()["features"] / 2
    sparse.save(tmp_path)
    assert load(tmp_path, CRFConfig()).tag(sentences) == sparse.tag(sentences)


def test_partial_labels_teach() -> None:
    sentences = corpus(0, 200)
    rng = np.random.default_rng(0)
    hidden = [
        one._replace(tags=tuple(tag if rng.random() < 0.3 else "?" for tag in one.tags)) for one in sentences
    ]
    model = estimate(CRFConfig(templates=TEMPLATES), TaggedData(COLUMNS, hidden))
    assert "?" not in model.labels
    found = model.tag(corpus(9, 60))
    pairs = [
        pair
        for one, tags in zip(corpus(9, 60), found, strict=True)
        for pair in zip(one.tags, tags, strict=True)
    ]
    assert sum(right == guess for right, guess in pairs) / len(pairs) > 0.8


@pytest.mark.parametrize("tag", ["O", "NOUN"])
def test_data_with_a_single_tag(tag: str) -> None:
    sentences = [Sentence((("a", "b"),), (tag, tag)), Sentence((("c",),), (tag,))]
    model = estimate(CRFConfig(), TaggedData(("word",), sentences))
    assert model.tag([Sentence((("a", "z"),)), Sentence(((),))]) == [(tag, tag), ()]


def test_no_sentences_and_an_empty_one(trained: CRF) -> None:
    assert trained.tag([]) == []
    empty = Sentence(((), ()))
    assert trained.tag([empty, corpus(0, 1)[0], empty])[0] == ()
    assert trained.marginals([empty])[0].shape == (0, len(trained.labels))
    assert trained.best(empty, 3) == [(0.0, ())]


def test_one_long_sentence(trained: CRF) -> None:
    words = tuple(np.random.default_rng(0).choice(WORDS, 10_000))
    long = Sentence((words, tuple(str(len(word)) for word in words)))
    assert obeys(trained.tag([long])[0], "BIO")
    assert np.isfinite(trained.marginals([long])[0]).all()


def test_only_unknown_tags_are_refused() -> None:
    with pytest.raises(LangueError, match="no token has a known tag"):
        estimate(CRFConfig(), TaggedData(("word",), [Sentence((("a",),), ("?",))]))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("wrod", "unknown name wrod; did you mean word?"),
        ("word[1", "'word[1' is not like"),
        ("word[12]", "not a range within"),
        ("word[2..1]", "not a range within"),
        ("word|word|word|word|word", "at most 4"),
        ("word[0..1]|word[0..1]", "two ranges"),
    ],
)
def test_templates_that_make_no_sense(template: str, message: str) -> None:
    with pytest.raises(LangueError, match=re.escape(message)):
        estimate(CRFConfig(templates=(template,)), TaggedData(COLUMNS, corpus(0, 3)))


def test_names_of_attributes() -> None:
    extractor = Extractor(("word[-1]|suffix2", "shape[1]", "prefix3"), ("word",))
    batch = extractor.learn([Sentence((("Rome", "falls"),))], 1)
    names = {extractor.name(a) for a in [*batch.members.tolist(), *batch.single.ravel().tolist()] if a >= 0}
    assert names == {
        "word[-1]|suffix2[0]=<start-1>|me",
        "word[-1]|suffix2[0]=Rome|ls",
        "shape[1]=xxxxx",
        "shape[1]=<end+1>",
        "prefix3[0]=Rom",
        "prefix3[0]=fal",
    }
