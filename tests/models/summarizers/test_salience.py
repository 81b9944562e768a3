"""Terms and their weights; LexRank, TextRank and the centroid against what their papers say, written out."""

import math
import time

import numpy as np
import pytest

from langue.models.summarizers.salience import DAMPING, SentenceTerms, centroid, lexrank, textrank
from langue.models.summarizers.terms import Background, own_background, terms_of

SENTENCES = [
    "The king of France was old and the king was ill.",
    "The queen ruled France for him.",
    "Nobody in Spain knew the king.",
    "Bread became dear.",
    "国王病了，王后统治法国。",
    "王后不知道国王的病。",
]


@pytest.fixture
def matrix() -> SentenceTerms:
    return SentenceTerms(SENTENCES)


def test_terms_of_both_languages() -> None:
    assert terms_of("The King's cities, studies & houses weren’t 3.5!") == [
        "the", "king", "city", "study", "hous", "weren't", "3", "5"
    ]  # fmt: skip
    assert terms_of("国王病了，Paris很大") == ["国王", "病", "了", "pari", "很大"] or "国王" in terms_of(
        "国王病了"
    )
    assert terms_of("") == terms_of("…!?") == []


def test_rare_terms_weigh_more() -> None:
    background = Background.of([["a", "b"], ["a", "a"], ["a", "c"]])
    assert background == (3, {"a": 3, "b": 1, "c": 1})
    a, b, unknown = background.idf(["a", "b", "z"])
    assert a == pytest.approx(math.log(4 / 3.5)) and a < b < unknown
    own = own_background()
    for common, rare in (("the", "telescope"), ("的", "望远镜")):
        assert own.idf([common])[0] < 0.2 < 3 < own.idf([rare])[0]


def dense(matrix: SentenceTerms) -> np.ndarray:
    """The counts as a table `(N, V)`."""
    table = np.zeros((matrix.N, matrix.V))
    table[matrix.rows, matrix.columns] = matrix.counts
    return table


def stationary(similarity: np.ndarray) -> np.ndarray:
    """By the linear system itself: p = (1 - d) + d Pᵀ p."""
    number = len(similarity)
    sums = similarity.sum(1, keepdims=True)
    walk = np.where(sums > 0, similarity / np.where(sums > 0, sums, 1), 1 / number)
    return np.linalg.solve(np.eye(number) - DAMPING * walk.T, np.full(number, 1 - DAMPING))


def test_lexrank_is_the_stationary_distribution_of_cosines(matrix: SentenceTerms) -> None:
    idf = own_background().idf(matrix.terms)
    table = dense(matrix) * idf**0.5
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    np.testing.assert_allclose(lexrank(matrix, idf), stationary(table @ table.T), rtol=1e-3)


def test_textrank_is_the_stationary_distribution_of_common_terms(matrix: SentenceTerms) -> None:
    sets = [set(terms_of(sentence)) for sentence in SENTENCES]
    lengths = [max(len(terms_of(sentence)), 2) for sentence in SENTENCES]
    similarity = np.array(
        [
            [
                0 if i == k else len(a & b) / (math.log(lengths[i]) + math.log(lengths[k]))
                for k, b in enumerate(sets)
            ]
            for i, a in enumerate(sets)
        ]
    )
    assert (similarity.sum(1) == 0).any()  # one that is like no other
    np.testing.assert_allclose(textrank(matrix), stationary(similarity), rtol=1e-3)


def test_the_centroid_is_a_cosine(matrix: SentenceTerms) -> None:
    idf = own_background().idf(matrix.terms)
    table = dense(matrix) * idf
    middle = table.sum(0)
    cosines = table @ middle / np.linalg.norm(table, axis=1) / np.linalg.norm(middle)
    np.testing.assert_allclose(centroid(matrix, idf), cosines)


@pytest.mark.parametrize("sentences", [[], [""], ["", "!"], ["One."], ["the the", "", "a"]])
def test_odd_documents_have_finite_scores(sentences: list[str]) -> None:
    matrix = SentenceTerms(sentences)
    idf = own_background().idf(matrix.terms)
    for scores in (lexrank(matrix, idf), textrank(matrix), centroid(matrix, idf)):
        assert scores.shape == (len(sentences),) and np.isfinite(scores).all()


def test_a_book_takes_time_and_memory_as_its_length() -> None:
    """Four times the sentences take about four times as long: no table of all pairs is made."""
    draw = np.random.default_rng(0)
    words = np.array([f"word{number}" for number in range(3000)])

    def seconds(number: int) -> float:
        matrix = SentenceTerms([" ".join(words[row]) for row in draw.integers(3000, size=(number, 12))])
        begun = time.process_time()
        lexrank(matrix, np.ones(matrix.V))
        textrank(matrix)
        return time.process_time() - begun

    assert seconds(6000) < 10 * max(seconds(1500), 0.01)
