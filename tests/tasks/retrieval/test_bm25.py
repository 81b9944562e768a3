"""BM25 against a reading of its formula, and the terms that it counts."""

import math
from collections import Counter

import numpy as np
import pytest

from langue.tasks.retrieval.bm25 import ELSEWHERE, K1, B, Index, best, bm25
from langue.tasks.retrieval.terms import STOP_WEIGHT, is_han, is_stop, terms_of
from langue.tokens.stem import stem

TEXTS = ["the cat sat on the mat", "a dog and a cat", "rain", "the dog barked at the dog", "猫坐在垫子上"]


def slow(passages: list[list[str]], query: list[str]) -> list[float]:
    average = sum(map(len, passages)) / len(passages)
    scores = []
    for passage in passages:
        counts, score = Counter(passage), 0.0
        for term in set(query):
            holders = sum(term in other for other in passages)
            idf = math.log(1 + (len(passages) + ELSEWHERE - holders + 0.5) / (holders + 0.5))
            idf *= STOP_WEIGHT if is_stop(term) else 1
            norm = counts[term] + K1 * (1 - B + B * len(passage) / average)
            score += idf * counts[term] * (K1 + 1) / norm
        scores.append(score)
    return scores


@pytest.mark.parametrize("query", ["the dog", "cat cat cat", "猫", "nothing of it", ""])
def test_the_index_scores_as_the_formula_does(query: str) -> None:
    passages = [terms_of(text) for text in TEXTS]
    index = Index(passages)
    weights = index.weights(terms_of(query))
    scores = index.scores(weights)
    np.testing.assert_allclose(scores, slow(passages, terms_of(query)), atol=1e-12)
    one_by_one = [bm25(weights, Counter(passage), len(passage), index.average) for passage in passages]
    np.testing.assert_allclose(scores, one_by_one, atol=1e-12)


def test_the_best_are_told_with_the_earlier_of_equals_first() -> None:
    assert best(np.array([1.0, 3.0, 3.0, 0.0, 3.0]), 2) == [1, 2]
    assert best(np.array([1.0, 2.0]), 9) == [1, 0]
    assert best(np.array([]), 3) == []


def test_terms_are_stems_numbers_and_pairs_of_characters() -> None:
    assert terms_of("The Dogs' 3,000 stories, stopped!") == ["the", "dog", "3,000", "story", "stop"]
    assert terms_of("北京大学 GDP") == ["北", "北京", "京", "京大", "大", "大学", "学", "gdp"]
    assert stem("naming") == stem("names") == stem("named")
    assert (stem("glass"), stem("is"), stem("Öl")) == ("glass", "is", "Öl")
    assert is_han("谁写的？") and is_han("GDP是什么意思") and not is_han("who is 李白, the poet of Tang?")
