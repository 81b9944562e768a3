"""BM25 (Robertson and Zaragoza 2009) over an inverted index of passages: what they share with a query."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np

from langue.base.arrays import Float64Array, Int64Array
from langue.tasks.retrieval.terms import STOP_WEIGHT, is_stop

# Of passages of like length, a second mention says little and length less than in whole documents: tuned on
# the sentences of SQuAD and of CMRC 2018's trial part. The field's usual: 1.2 and 0.75.
K1 = 0.6
B = 0.3
# Passages without the term that are thought beside those at hand: in a single one, which says nothing of how
# rare its terms are, all count alike, and a term that is missing tells hardly more than one that is there.
ELSEWHERE = 100


class Index:
    """Which passages hold which terms, and how often.

    Args:
        passages: the terms of each.
    """

    def __init__(self, passages: Iterable[list[str]]) -> None:
        self.numbers: dict[str, int] = {}
        lengths: list[int] = []
        terms: list[int] = []
        counts: list[int] = []
        distinct: list[int] = []
        for passage in passages:
            counted = Counter(passage)
            lengths.append(len(passage))
            distinct.append(len(counted))
            terms += [self.numbers.setdefault(term, len(self.numbers)) for term in counted]
            counts += counted.values()
        self.lengths = np.array(lengths, np.float64)
        order = np.argsort(np.array(terms, np.int64), kind="stable")
        self._counts = np.array(counts, np.float64)[order]
        self._passages = np.repeat(np.arange(len(lengths)), distinct)[order]  # that hold a term, term by term
        holders = np.bincount(np.array(terms, np.int64), minlength=len(self.numbers))
        self._starts: Int64Array = np.concatenate([[0], np.cumsum(holders)])

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def average(self) -> float:
        """Terms of a passage."""
        return max(float(self.lengths.mean()), 1.0) if len(self) else 1.0

    def idf(self, term: str) -> float:
        """How much a term tells: large for what few passages hold; of stop words, a quarter."""
        number = self.numbers.get(term)
        holders = int(self._starts[number + 1] - self._starts[number]) if number is not None else 0
        value = math.log(1 + (len(self) + ELSEWHERE - holders + 0.5) / (holders + 0.5))
        return value * STOP_WEIGHT if is_stop(term) else value

    def weights(self, query: Iterable[str]) -> dict[str, float]:
        """The distinct terms of a query, each with what it tells."""
        return {term: self.idf(term) for term in dict.fromkeys(query)}

    def scores(self, weights: Mapping[str, float]) -> Float64Array:
        """BM25 of every passage: `(passages,)`."""
        scores = np.zeros(len(self))
        norm = K1 * (1 - B + B * self.lengths / self.average)
        for term, weight in weights.items():
            if (number := self.numbers.get(term)) is None:
                continue
            some = slice(int(self._starts[number]), int(self._starts[number + 1]))
            holders, counts = self._passages[some], self._counts[some]
            scores[holders] += weight * counts * (K1 + 1) / (counts + norm[holders])
        return scores


def bm25(weights: Mapping[str, float], counts: Mapping[str, int], length: int, average: float) -> float:
    """BM25 of one text by the counts of its terms."""
    norm = K1 * (1 - B + B * length / average)
    return sum(
        weight * counts[term] * (K1 + 1) / (counts[term] + norm)
        for term, weight in weights.items()
        if term in counts
    )


def best(scores: Float64Array, k: int) -> list[int]:
    """The indices of the `k` largest scores, the largest first; of equals, the earlier."""
    if k < len(scores):
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        candidates = np.flatnonzero(scores >= least)
    else:
        candidates = np.arange(len(scores))
    return [int(index) for index in candidates[np.argsort(-scores[candidates], kind="stable")][:k]]
