"""Three small logistic models of each language: which sentence of a passage answers, which passage does, and
whether any does. `benchmarks/answers.py` makes their weights and tells what they are worth.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from langue.base.arrays import Float64Array
from langue.base.files import read_json
from langue.tasks.answers import features as sentence_features

WEIGHTS = Path(__file__).with_name("weights.json")
LANGUAGES = ("english", "chinese")

OF_PASSAGE = ("bm25", "bm25_below_best", "best_sentence", "all_sentences")
# Of the best sentence, for whether there is an answer: its own features, and these.
OF_SENTENCE = tuple(
    sentence_features.NAMES.index(name)
    for name in ("bm25", "covered", "covered_rarity", "pairs", "grams", "run", "prefixes", "focus", "log_new")
)
OF_ANSWER = (
    *(sentence_features.NAMES[index] for index in OF_SENTENCE),
    "score",
    "share",
    "passage_bm25",
    "bias",
)


@dataclass(frozen=True)
class Ranker:
    """Weights of the features of one language."""

    sentence: Float64Array  # by `features.NAMES`
    passage: Float64Array  # by `OF_PASSAGE`
    answer: Float64Array  # by `OF_ANSWER`
    threshold: float  # below it, there is no answer
    threshold_f1: float  # of "no answer" with it, on questions that it was not chosen by

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> "Ranker":
        def weights(part: str, names: Sequence[str]) -> Float64Array:
            return np.array([table[part][name] for name in names], np.float64)

        return cls(
            weights("sentence", sentence_features.NAMES),
            weights("passage", OF_PASSAGE),
            weights("answer", OF_ANSWER),
            table["threshold"],
            table["threshold_f1"],
        )

    def passages(self, bm25: Sequence[float], scores: Sequence[Float64Array]) -> Float64Array:
        """How well each passage does beside the others: log-probabilities, `(passages,)`.

        Args:
            bm25: of each, as a share of the most that its question could get.
            scores: of the sentences of each.
        """
        return log_softmax(passage_features(bm25, scores) @ self.passage)

    def answerable(self, of_best: Float64Array, scores: Float64Array, bm25: float) -> float:
        """The probability that the best sentence of a passage answers.

        Args:
            of_best: the features of that sentence.
            scores: of all sentences of the passage.
            bm25: of the passage, as `passages` takes it.
        """
        score = float(answer_features(of_best, scores, bm25) @ self.answer)
        return 1 / (1 + math.exp(-min(max(score, -50.0), 50.0)))


def passage_features(bm25: Sequence[float], scores: Sequence[Float64Array]) -> Float64Array:
    """`(passages, len(OF_PASSAGE))`."""
    column = np.array(bm25)
    of_sentences = [(some.max(), np.logaddexp.reduce(some)) for some in scores]
    return np.column_stack([column, column - column.max(), np.array(of_sentences).reshape(-1, 2)])


def answer_features(of_best: Float64Array, scores: Float64Array, bm25: float) -> Float64Array:
    """`(len(OF_ANSWER),)`."""
    share = float(np.exp(log_softmax(scores).max()))
    return np.array([*of_best[list(OF_SENTENCE)], scores.max(), share, bm25, 1.0])


def log_softmax(scores: Float64Array) -> Float64Array:
    return scores - np.logaddexp.reduce(scores)


@cache
def ranker(*, han: bool) -> Ranker:
    """The ranker of questions in Chinese, or in any other language."""
    return Ranker.of(read_json(WEIGHTS)[LANGUAGES[han]])
