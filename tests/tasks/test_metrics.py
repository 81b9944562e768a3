"""Figures of taggers, counted by hand."""

from typing import Any

import pytest

from langue.corpus.tagged import Sentence
from langue.tasks.metrics import measure, score_tags, tell_tags


def test_entities_are_counted_not_tags() -> None:
    right = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "O"]]
    guess = [["B-PER", "O", "O", "B-LOC"], ["O", "B-LOC"]]
    found = score_tags(right, guess)
    assert found.unit == "entity"
    assert found.rows["micro"][:3] == pytest.approx((1 / 3, 1 / 2, 2 / 5))
    assert found.rows["PER"][:3] == (0, 0, 0)
    assert found.rows["LOC"][:3] == pytest.approx((1 / 2, 1, 2 / 3))
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.right_sentences == 0
    assert found.confusion == {
        "B-LOC": {"B-LOC": 1},
        "B-PER": {"B-PER": 1},
        "I-PER": {"O": 1},
        "O": {"B-LOC": 1, "O": 2},
    }


@pytest.mark.parametrize(
    ("right", "guess"),
    [
        (["I-PER", "I-PER", "B-PER", "O"], ["I-PER", "I-PER", "B-PER", "O"]),  # IOB1: two neighbors
        (["B-PER", "M-PER", "E-PER", "S-PER"], ["B-PER", "M-PER", "E-PER", "S-PER"]),
        (["B-PER", "I-PER", "E-PER", "S-PER"], ["B-PER", "I-PER", "E-PER", "S-PER"]),
    ],
)
def test_every_scheme_has_its_two_entities(right: list[str], guess: list[str]) -> None:
    found = score_tags([right], [guess])
    assert found.f1 == 1
    assert found.rows["PER"].support == 2
    assert score_tags([right], [["O"] * 4]).f1 == 0


def test_single_tags() -> None:
    right, guess = [["NOUN", "VERB", "NOUN", "ADJ"]], [["NOUN", "NOUN", "NOUN", "X"]]
    found = score_tags(right, guess, known=("NOUN", "VERB"))
    assert found.unit == "tag"
    assert found.f1 == found.accuracy == 0.5
    assert found.rows["NOUN"] == pytest.approx((2 / 3, 1.0, 0.8, 2))
    assert found.rows["X"].support == 0
    assert found.rows["macro"].f1 == pytest.approx(0.8 / 3)
    assert found.unknown_tags == ("ADJ",)
    assert "VERB taken for NOUN: 1" in str(found)


def test_all_outside_and_nothing_at_all() -> None:
    found = score_tags([["O", "O"]], [["O", "O"]])
    assert found.accuracy == 1
    assert score_tags([], []).accuracy == 1
    assert "never seen" not in str(found)


def test_all_outside_with_guesses() -> None:
    assert score_tags([["O", "B-X"]], [["B-X", "O"]]).f1 == 0


def test_it_agrees_with_scikit_learn() -> None:
    import numpy as np
    from sklearn.metrics import precision_recall_fscore_support

    rng = np.random.default_rng(0)
    right, guess = rng.choice(["A", "B", "C"], 200), rng.choice(["A", "B", "C"], 200)
    found = score_tags([right.tolist()], [guess.tolist()])
    for average in ("macro", "micro"):
        expected = precision_recall_fscore_support(right, guess, average=average)[:3]
        assert found.rows[average][:3] == pytest.approx(expected)


def test_a_token_whose_tag_is_not_known_is_left_out() -> None:
    class Guesser:
        scheme, labels = "BIO", ("B-X", "O")

        def tag(self, sentences: list[Sentence]) -> list[tuple[str, ...]]:
            return [("B-X", "O", "B-X")[: len(sentence.words)] for sentence in sentences]

    three, one = (("a", "b", "c"),), (("a",),)
    some = [Sentence(three, ("B-X", "?", "O")), Sentence(one, ("?",)), Sentence(three, ("?", "?", "B-X"))]
    model: Any = Guesser()
    scores = measure(model, some)
    assert (scores.tokens, scores.right, scores.unit) == (3, 2, "entity")
    assert (scores.sentences, scores.right_sentences) == (2, 1)  # one of which nothing is known is not right
    assert scores.rows["micro"][:3] == pytest.approx((2 / 3, 1, 4 / 5))
    assert measure(model, some[1:2]).tokens == 0


class Told:
    """A tagger of some scheme that says what it is told to say."""

    def __init__(self, scheme: str | None, *tags: list[str]) -> None:
        self.scheme, self.tags = scheme, tags
        self.labels = tuple({tag for own in tags for tag in own})

    def tag(self, sentences: list[Sentence]) -> list[tuple[str, ...]]:
        return [tuple(own) for own in self.tags]


@pytest.mark.parametrize(
    ("scheme", "right", "guess", "f1"),
    [
        # One stray tag in a file, of any kind, is outside, and the file is counted in entities.
        ("BIO", ["B-X", "I-X", "0", "O", "O", "O"], ["B-X", "O", "O", "O", "O", "O"], 0),
        ("BIO", ["0", "here", "-", "B-X"], ["O", "O", "O", "B-X"], 1),
        ("BIO", ["0", "0", "0", "B-X"], ["B-X", "O", "O", "B-X"], 2 / 3),
        ("BIO", ["B-X", "B"], ["B-X", "O"], 1),  # a letter alone where the others have types
        ("BIO", ["B_X", "I_X", "O"], ["B-X", "I-X", "O"], 0),
        # A file in which nothing is an entity.
        ("BIO", ["O", "O"], ["B-X", "O"], 0),
        ("BIO", ["O", "O"], ["O", "O"], 0),
        # Spans without a type, and words of a segmented text: two of three are found, one too many.
        ("BIO", ["B", "I", "O", "B"], ["B", "O", "O", "B"], 1 / 2),
        ("BMES", ["B", "E", "S", "B", "M", "E"], ["B", "E", "S", "S", "B", "E"], 4 / 7),
        ("BILOU", ["B-X", "L-X", "U-X"], ["B-X", "L-X", "O"], 2 / 3),
        # A tag of a model of labels is a tag, whatever the file looks like.
        (None, ["B-X", "O"], ["NOUN", "O"], 1 / 2),
    ],
)
def test_the_scheme_of_the_model_says_what_is_counted(
    scheme: str | None, right: list[str], guess: list[str], f1: float
) -> None:
    model: Any = Told(scheme, guess)
    scores = measure(model, [Sentence((tuple("abcdef"[: len(right)]),), tuple(right))])
    assert scores.unit == ("entity" if scheme else "tag")
    assert scores.f1 == pytest.approx(f1)
    assert scores.accuracy == sum(a == b for a, b in zip(right, guess, strict=True)) / len(right)


@pytest.mark.parametrize("right", [list("BIO0"), ["B-X", "I-X", "O", "here"], ["B-X", "L-X", "U-X", "x"]])
def test_most_tags_decide_where_no_model_does(right: list[str]) -> None:
    assert score_tags([right], [["O"] * 4]).unit == "entity"


def test_types_named_like_averages_are_listed() -> None:
    found = score_tags([["B-micro", "O", "B-macro"]], [["B-micro", "O", "O"]])
    assert found.rows["micro (type)"].f1 == 1
    assert found.rows["macro (type)"].f1 == 0
    assert found.rows["micro"].f1 == pytest.approx(2 / 3)
    assert found.rows["macro"].f1 == pytest.approx(1 / 2)
    assert score_tags([["micro", "x"]], [["micro", "micro"]]).rows["micro (type)"].support == 1


def test_what_is_not_counted_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "langue")
    model: Any = Told("BIO", ["B-X", "O", "O"])
    tell_tags(model, [Sentence((("a", "b", "c"),), ("B-X", "0", "?"), "f: line 4", numbers=(4, 5, 6))])
    assert "1 tokens have the tag ?" in caplog.text
    assert "1 tag spells no BIO and counts as O: 0 (f: line 5)" in caplog.text
