"""Two passes: what the second sees, by hand; that it learned from documents held out; in use and on disk."""

import signal
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from langue.base.errors import LangueError
from langue.base.stop import Stop
from langue.corpus.tagged import Sentence
from langue.models.family import TaggedData
from langue.models.taggers.crf import CRFConfig, estimate, load, passes
from langue.models.taggers.crf.model import CRF
from langue.models.taggers.crf.objective import Objective
from langue.models.taggers.crf.passes import ADDED, TwoPasses, with_predictions
from langue.protocols import Tagger

CONFIG = CRFConfig(passes=2, templates=("word[-1..1]",))
NAMES = tuple(f"Xan{letter}" for letter in "abcdefghijklmnopqrstuvw")


def document(*texts: str) -> list[Sentence]:
    """Sentences of one document from words with their tags, `Tim/B-PER won`."""
    pairs = [[token.partition("/")[::2] for token in text.split()] for text in texts]
    columns = tuple((tuple(word for word, _ in pair),) for pair in pairs)
    return [
        Sentence(own, tuple(tag or "O" for _, tag in pair), document=columns)
        for own, pair in zip(columns, pairs, strict=True)
    ]


def person(name: str) -> list[Sentence]:
    return document(*(f"Mr {name}/B-PER {verb}" for verb in ("came", "saw", "left")), f"{name}/B-PER won")


def place(name: str) -> list[Sentence]:
    return document(*(f"In {name}/B-LOC it {verb}" for verb in ("rains", "snows", "is")), f"{name}/B-LOC won")


def corpus() -> list[Sentence]:
    """Every document a few times, for a half of them is hidden."""
    return [sentence for name in NAMES * 4 for kind in (person, place) for sentence in kind(name)]


@pytest.fixture(scope="module")
def trained() -> Tagger:
    return estimate(CONFIG, TaggedData(("word",), corpus()))


class Given:
    """A first pass that finds the tags of the data."""

    def __init__(self, sentences: Sequence[Sentence], scheme: str | None = "BIO") -> None:
        self.known = {one.columns: one.tags for one in sentences}
        self.names = SimpleNamespace(scheme=scheme)

    def tag(self, sentences: Sequence[Sentence]) -> list[tuple[str, ...]]:
        return [self.known[one.columns] for one in sentences]


def added(sentence: Sentence) -> dict[str, tuple[str, ...]]:
    return dict(zip(ADDED, sentence.columns[1:], strict=True))


def test_what_the_second_sees_by_hand() -> None:
    sentences = document(
        "Bank/B-ORG of/I-ORG England/I-ORG cut rates", "England/B-LOC won", "ENGLAND/B-LOC lost", "England"
    )
    found = with_predictions(Given(sentences), sentences)
    assert added(found[0]) == {
        "found": ("B-ORG", "I-ORG", "E-ORG", "O", "O"),
        "token_elsewhere": ("", "", "LOC", "", ""),
        "entity_elsewhere": ("",) * 5,
        "superset_elsewhere": ("",) * 5,
    }
    assert added(found[1]) == {
        "found": ("S-LOC", "O"),
        "token_elsewhere": ("LOC", ""),  # of LOC, O and ORG: equals go by name
        "entity_elsewhere": ("LOC", ""),
        "superset_elsewhere": ("ORG", ""),
    }
    assert added(found[3])["token_elsewhere"] == ("LOC",)


def test_tags_that_spell_no_spans_make_no_entities() -> None:
    sentences = document("a/DET bank/NOUN", "the/DET bank/NOUN", "bank/VERB on/ADP")
    found = with_predictions(Given(sentences, scheme=None), sentences)
    assert added(found[2]) == {
        "found": ("VERB", "ADP"),
        "token_elsewhere": ("NOUN", ""),
        "entity_elsewhere": ("", ""),
        "superset_elsewhere": ("", ""),
    }


def test_what_is_plain_elsewhere_helps(trained: Tagger) -> None:
    """Of "Wim won" the first pass knows nothing; of "Mr Wim" and "In Wim" it does."""
    assert isinstance(trained, TwoPasses)
    assert trained.first.tag(person("Wim")[3:]) == trained.first.tag(place("Wim")[3:])
    for kind in (person, place):
        sentences = kind("Wim")
        assert trained.tag(sentences) == [one.tags for one in sentences]
        assert trained.tag(sentences[3:]) == [sentences[3].tags]
        ((_, best),) = trained.best(sentences[3], 1)
        assert best == sentences[3].tags


def test_the_same_alone_in_a_batch_and_without_a_document(trained: Tagger) -> None:
    sentences = [*person("Wim"), Sentence((("Wim", "won"),)), *place("Wim"), Sentence(((),))]
    together, shares = trained.tag(sentences), trained.marginals(sentences)
    for sentence, tags, probabilities in zip(sentences, together, shares, strict=True):
        assert trained.tag([sentence]) == [tags]
        assert np.array_equal(trained.marginals([sentence])[0], probabilities)


def test_an_entity_of_thousands_of_words() -> None:
    """The parts of one grow with its square, so those of long ones are not noted."""
    names = document(" ".join(f"{name}/{'I' if n else 'B'}-PER" for n, name in enumerate(NAMES * 300)))
    (found,) = with_predictions(Given(names), names)
    assert added(found)["superset_elsewhere"] == ("",) * 6900
    assert added(found)["found"][-1] == "E-PER"


def test_save_load_and_training_again_are_exact(trained: Tagger, tmp_path: Path) -> None:
    trained.save(tmp_path)
    sentences = [*person("Wim"), *place(NAMES[0])]
    for other in (load(tmp_path, CONFIG), estimate(CONFIG, TaggedData(("word",), corpus()))):
        assert isinstance(other, TwoPasses)
        assert other.size() == trained.size()
        assert other.strongest(20) == trained.strongest(20)
        for one, same in zip(trained.marginals(sentences), other.marginals(sentences), strict=True):
            assert np.array_equal(one, same)


def test_no_document_is_told_by_a_model_that_saw_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[int, set[int]] = {}
    told: list[Sentence] = []
    learn, tell = passes.train, passes.with_predictions

    def train(config: CRFConfig, columns: Sequence[str], sentences: Sequence[Sentence]) -> CRF:
        model = learn(config, columns, sentences)
        seen[id(model)] = {id(one.document) for one in sentences}
        return model

    def with_predictions(first: CRF, sentences: Sequence[Sentence]) -> list[Sentence]:
        assert not seen[id(first)] & {id(one.document) for one in sentences}
        told.extend(sentences)
        return tell(first, sentences)

    monkeypatch.setattr(passes, "hide_documents", lambda sentences, seed: list(sentences))
    monkeypatch.setattr(passes, "train", train)
    monkeypatch.setattr(passes, "with_predictions", with_predictions)
    sentences = corpus()
    estimate(CONFIG, TaggedData(("word",), sentences))
    assert sorted(map(id, told)) == sorted(map(id, sentences))


def test_what_two_passes_are_not_for() -> None:
    with pytest.raises(LangueError, match="this is a single one"):
        estimate(CONFIG, TaggedData(("word",), person(NAMES[0])))
    columns = [one._replace(columns=one.columns * 2) for one in corpus()]
    with pytest.raises(LangueError, match="name that of the data otherwise"):
        estimate(CONFIG, TaggedData(("word", "found"), columns))


@pytest.mark.parametrize(
    ("objective", "evaluation"),
    [(1, 8), (2, 1), (2, 8), (7, 1)],
    ids=["in the first pass", "before a fold", "in a fold", "before the second pass"],
)
def test_ctrl_c_leaves_the_first_pass(
    objective: int, evaluation: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    evaluations: dict[int, int] = {}  # of each objective, by its number
    objectives: list[Objective] = []
    original = Objective.__call__

    def stopped(self: Objective, theta: np.ndarray) -> tuple[float, np.ndarray]:
        if self not in objectives:
            objectives.append(self)
        number = objectives.index(self) + 1
        evaluations[number] = evaluations.get(number, 0) + 1
        if (number, evaluations[number]) == (objective, evaluation):
            signal.raise_signal(signal.SIGINT)
        return original(self, theta)

    monkeypatch.setattr(Objective, "__call__", stopped)
    with Stop(listen=False) as stop:
        model = estimate(CONFIG, TaggedData(("word",), corpus()))
    assert isinstance(model, CRF)
    assert stop.asked
    assert len(objectives) == objective
    model.save(tmp_path)
    assert load(tmp_path, CONFIG).tag(person(NAMES[0])) == model.tag(person(NAMES[0]))
