"""The ranker: its labels, its weights, its folder, and files that are not what they must be."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from langue.base.errors import Damaged, Mismatch
from langue.corpus.summary_pairs import SummaryPair
from langue.corpus.units import split_document
from langue.models.summarizers.ranker import (
    Cues,
    Ranker,
    RankerConfig,
    _logistic_regression,
    feature_names,
    labels,
    train,
)

# Of each document the sentence that says "we show" is the summary, wherever it stands.
PLACES = ["Rome", "Paris", "Oslo", "Bern", "Kyiv", "Baku", "Lima", "Cairo"]
PAIRS = [
    SummaryPair(
        " ".join(
            [
                *[f"The streets of {place} are long.", "Many people live there."][: 1 + k % 2],
                f"We show how {place} grew.",
                *["Rain falls.", f"Trade in {place} is old.", "It is said so."][k % 3 :],
            ]
        ),
        f"We show how {place} grew.",
    )
    for k, place in enumerate(PLACES * 3)
]


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    return train(RankerConfig(minimum_count=1), PAIRS)


def test_sentences_of_the_summary_are_right() -> None:
    document = split_document("It rained, they said. The king left! He came back.")
    assert labels(document, "the king left. IT RAINED they said").tolist() == [True, True, False]


def test_of_a_summary_in_other_words_those_are_right_that_share_most_with_it() -> None:
    document = split_document("The old king left France. Bread is dear. He went to Spain in May. The end.")
    assert labels(document, "An old king of France went to Spain.").tolist() == [True, False, True, False]
    assert labels(document, "一").tolist() == [False] * 4


def test_the_weights_are_those_of_logistic_regression() -> None:
    """The slope is 0 there, by its definition."""
    draw = np.random.default_rng(0)
    x, w = draw.normal(size=(200, 3)), np.array([1.0, -2.0, 0.0])
    y = (draw.random(200) < 1 / (1 + np.exp(-x @ w - 0.5))).astype(float)
    theta = _logistic_regression(x, y, 0.7)
    p = 1 / (1 + np.exp(-(x @ theta[:3] + theta[3])))
    slope = np.append(x.T @ (p - y) + 0.7 * theta[:3], (p - y).sum())
    np.testing.assert_allclose(slope, 0, atol=1e-4)


def test_it_finds_the_sentence_wherever_it_stands(ranker: Ranker) -> None:
    text = "Rain falls in Tokyo. It is said so. Many people live there. We show how Tokyo grew. Trade is old."
    document = split_document(text)
    odds = ranker.sentence_log_odds(document)
    assert int(odds.argmax()) == 3
    (reasons,) = ranker.sentence_reasons(document, [3])
    assert any(reason.startswith("cue words +") for reason in reasons)


def test_the_same_pairs_give_the_same_bits(ranker: Ranker) -> None:
    again = train(RankerConfig(minimum_count=1), PAIRS)
    for name, array in ranker.arrays._asdict().items():
        assert array.tobytes() == getattr(again.arrays, name).tobytes(), name


def test_a_document_does_not_tell_itself_its_cues() -> None:
    """A word that no other document has says nothing: by its own counts it would tell the answer."""
    counts = Cues(Counter(a=1, b=3), Counter(a=1, b=4), 0.5)
    assert counts.without(Counter(a=1), Counter(a=1, b=1)) == {"a": 0.0, "b": counts.log_odds(3, 3)}


def test_nothing_to_learn_is_told() -> None:
    with pytest.raises(Mismatch, match="none of the 2 sentences"):
        train(RankerConfig(), [SummaryPair("One. Two.", "三")])
    with pytest.raises(Mismatch, match="all of the 1 sentences"):
        train(RankerConfig(), [SummaryPair("One.", "One.")])


def test_a_folder_gives_the_same_ranker(ranker: Ranker, tmp_path: Path) -> None:
    ranker.save(tmp_path)
    again = Ranker.load(tmp_path, "sentence")
    document = split_document(PAIRS[0].text)
    assert (again.sentence_log_odds(document) == ranker.sentence_log_odds(document)).all()
    assert again.size() == ranker.size() == {"features": len(feature_names()), "terms": len(ranker.terms)}
    assert again.sentence_log_odds(split_document("")).shape == (0,)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("weights", np.zeros(3)),
        ("weights", np.full(len(feature_names()), np.nan)),
        ("scales", np.zeros(len(feature_names()))),
        ("cues", np.zeros(5)),
        ("bias", np.zeros(1, np.float32)),
    ],
)
def test_wrong_arrays_are_refused(ranker: Ranker, tmp_path: Path, name: str, array: np.ndarray) -> None:
    ranker.save(tmp_path)
    np.save(tmp_path / f"{name}.npy", array)
    with pytest.raises(Damaged, match=name):
        Ranker.load(tmp_path, "sentence")


def test_terms_that_are_no_text_are_refused(ranker: Ranker, tmp_path: Path) -> None:
    ranker.save(tmp_path)
    (tmp_path / "terms.txt").write_bytes(b"\xff\n" * len(ranker.terms))
    with pytest.raises(Damaged, match="not UTF-8"):
        Ranker.load(tmp_path, "sentence")
