"""The HMM tagger against counts by hand, and on real tags."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from langue.base.errors import LangueError
from langue.corpus.schemes import obeys
from langue.corpus.tagged import Sentence, read_tagged
from langue.models.family import TaggedData
from langue.models.taggers.hmm_tagger import (
    HMMTaggerConfig,
    deleted_interpolation,
    ending_scores,
    estimate,
    load,
)
from langue.protocols import Tagger
from langue.tasks.tagging import measure

TEXTS = [
    ("the dog barks", "D N V"),
    ("the cat sees the dog", "D N V D N"),
    ("a walking dog sleeps", "D A N V"),
    ("dogs bark loudly", "N V R"),
    ("she sees dogs", "P V N"),
]


def sentences(texts: list[tuple[str, str]]) -> list[Sentence]:
    return [Sentence((tuple(text.split()),), tuple(tags.split())) for text, tags in texts]


def of(text: str) -> Sentence:
    return Sentence((tuple(text.split()),))


@pytest.mark.parametrize("order", [1, 2])
def test_it_tags_what_it_saw(order: int) -> None:
    model = estimate(HMMTaggerConfig(order=order), TaggedData(("word",), sentences(TEXTS)))
    assert isinstance(model, Tagger)
    assert model.tag([of(text) for text, _ in TEXTS]) == [tuple(tags.split()) for _, tags in TEXTS]
    assert model.tag([of("the dog sees a cat"), of(""), of("the wug sleeps")])[::2] == [
        ("D", "N", "V", "D", "N"),
        ("D", "N", "V"),
    ]


def test_joint_probabilities_are_counts() -> None:
    """Two tags that share no word: p(tags | words) of an ambiguous word is in the transitions alone."""
    model = estimate(
        HMMTaggerConfig(order=1),
        TaggedData(("word",), sentences([("a x", "A X"), ("b x", "B Y"), ("a x", "A X")])),
    )
    K, names = len(model.labels), model.labels
    a, b, x, y = (names.index(name) for name in "ABXY")
    assert model.lexicon["x"][x] == pytest.approx(0.0)  # p(x | X) = 2 / 2
    assert model.lexicon["x"][a] == -np.inf
    steps = np.exp(model.chain.transition[K, a])
    assert steps[x] > 0.5 > steps[y]
    ((log_p, tags), *_) = model.best(of("b x"), 2)
    assert tags == ("B", "Y")
    assert model.marginals([of("b x")])[0].sum(1) == pytest.approx(1)
    assert math.exp(log_p) == pytest.approx(model.marginals([of("b x")])[0][1, y])
    assert b != a


def test_deleted_interpolation_is_figure_1_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    three = rng.integers(0, 4, (4, 4, 4)).astype(float)
    votes = [0.0, 0.0, 0.0]
    two, one, total = three.sum(0), three.sum((0, 1)), three.sum()
    for h, i, j in itertools.product(range(4), repeat=3):
        count = three[h, i, j]
        if count:
            pairs = three[h, i].sum() - 1
            singles = two[i].sum() - 1
            cases = [
                (one[j] - 1) / (total - 1),
                (two[i, j] - 1) / singles if singles else 0.0,
                (count - 1) / pairs if pairs else 0.0,
            ]
            votes[max(range(3), key=lambda case: (cases[case], case))] += count
    assert deleted_interpolation(three, order=2) == pytest.approx(np.array(votes) / sum(votes))
    assert deleted_interpolation(three, order=1)[2] == 0


def test_endings_are_smoothed_by_shorter_ones() -> None:
    counts = {"walking": np.array([1.0, 0.0]), "king": np.array([0.0, 1.0]), "Sing": np.array([0.0, 2.0])}
    prior = np.array([10.0, 30.0])
    p = prior / 40
    theta = np.std(p, ddof=1)

    def blend(own: list[float], shorter: np.ndarray) -> np.ndarray:
        return (np.array(own) + theta * shorter) / (1 + theta)

    found = ending_scores(counts, prior, 3)
    everything = blend([0.25, 0.75], p)
    small = blend([0.5, 0.5], everything)
    g = blend([0.5, 0.5], small)
    assert np.exp(found[""]) * p == pytest.approx(everything)
    assert np.exp(found["xg"]) * p == pytest.approx(g)
    assert np.exp(found["Xg"]) * p == pytest.approx(blend([0, 1], blend([0, 1], everything)))
    assert "xking" not in found  # longer than three


def test_no_permitted_way_through_words_seen_with_few_tags() -> None:
    model = estimate(
        HMMTaggerConfig(), TaggedData(("word",), sentences([("a b c", "B-X M-X E-X"), ("d e", "O O")]))
    )
    for text in ("b", "b b", "d c d", "c a", "d b e"):
        tags = model.tag([of(text)])[0]
        assert obeys(tags, "BMES"), tags
        assert model.marginals([of(text)])[0].sum(1) == pytest.approx(1)


def test_save_and_load_are_exact(tmp_path: Path) -> None:
    config = HMMTaggerConfig(decoding="posterior")
    model = estimate(config, TaggedData(("word",), sentences(TEXTS)))
    model.save(tmp_path)
    loaded = load(tmp_path, config)
    texts = [of("the wug sees 7 Dogs"), of("dogs"), of("")]
    assert loaded.tag(texts) == model.tag(texts)
    for one, other in zip(loaded.marginals(texts), model.marginals(texts), strict=True):
        assert np.array_equal(one, other)
    assert loaded.strongest(9) == model.strongest(9)


def test_partial_and_strange_data() -> None:
    model = estimate(HMMTaggerConfig(), TaggedData(("word",), sentences([("a b", "X ?"), ("b a", "Y X")])))
    assert model.tag([of("a b")]) == [("X", "Y")]
    with pytest.raises(LangueError, match="no token has a known tag"):
        estimate(HMMTaggerConfig(), TaggedData(("word",), sentences([("a", "?")])))
    many = [Sentence((("a",),), (f"T{k}",)) for k in range(300)]
    with pytest.raises(LangueError, match="300 tags are too many"):
        estimate(HMMTaggerConfig(), TaggedData(("word",), many))


def test_alone_in_a_batch_and_without_tags() -> None:
    model = estimate(HMMTaggerConfig(), TaggedData(("word",), sentences(TEXTS)))
    tagged = sentences(TEXTS)
    assert [model.tag([Sentence(one.columns)])[0] for one in tagged] == model.tag(tagged)


@pytest.mark.slow
def test_parts_of_speech_of_english(shared_data: Callable[[str], Path]) -> None:
    """NLTK's TnT gets 88 to 90 % on such data; what is lost here is unknown words or a bug."""
    train = read_tagged(shared_data("ud-english-ewt/train.conllu.gz")).sentences[:4000]
    test = read_tagged(shared_data("ud-english-ewt/test.conllu")).sentences[:500]
    second, first = (
        measure(estimate(HMMTaggerConfig(order=order), TaggedData(("word",), train)), test).accuracy
        for order in (2, 1)
    )
    assert second > 0.88
    assert second > first - 0.005
