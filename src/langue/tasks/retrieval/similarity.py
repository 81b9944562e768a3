"""How well vectors say how alike two texts are: rank correlation with what people said (as of STS)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from langue.base.arrays import Array, Float64Array, Floats
from langue.base.errors import LangueError
from langue.base.seeds import generator
from langue.corpus.labeled import Example, read_labeled
from langue.evaluation.bootstrap import DRAWS, Interval, Ratio, interval
from langue.tasks.retrieval.bm25 import Index
from langue.tasks.retrieval.terms import terms_of
from langue.tasks.retrieval.whitening import Whitening


@dataclass(frozen=True)
class SimilarityEvaluation:
    """Spearman's rank correlations on pairs of texts with a number each."""

    name: str
    cosine: Ratio  # of the vectors
    whitened: Ratio  # of the same, whitened over all texts of the file
    words: Ratio  # of how much the terms that both have tell: what a network has to beat
    pairs: int
    passed: bool = True  # it has no self-tests

    def to_json(self) -> dict[str, Any]:
        figures = {name: getattr(self, name).to_json() for name in ("cosine", "whitened", "words")}
        return {"model": self.name, "spearman": figures, "pairs": self.pairs}

    def __str__(self) -> str:
        return (
            f"Spearman's rank correlation with the numbers of {self.pairs:,} pairs\n"
            f"cosine     {self.cosine}  of the vectors of {self.name}\n"
            f"whitened   {self.whitened}\n"
            f"words      {self.words}  no model: how much the terms tell that both texts have"
        )


def evaluate_similarity(
    name: str, embed: Callable[[Sequence[str]], Floats], path: Path
) -> SimilarityEvaluation:
    """Measure vectors on a labeled file of pairs, whose labels are numbers: the larger, the more alike.

    Raises:
        LangueError: a label is no number, or all are the same.
    """
    examples = read_labeled(path, texts=2)
    numbers = np.array([_number(example) for example in examples])
    if len(set(numbers.tolist())) < 2:
        raise LangueError(f"{path} has one number for all pairs: there is nothing to rank")
    first, second = ([example.texts[side] for example in examples] for side in (0, 1))
    vectors = np.asarray(embed([*first, *second]), np.float64)
    whitened = Whitening.of(vectors).apply(vectors)
    return SimilarityEvaluation(
        name,
        correlation(cosines(*np.split(vectors, 2))[:, 0], numbers),
        correlation(cosines(*np.split(whitened, 2))[:, 0], numbers),
        correlation(_overlaps(first, second), numbers),
        len(examples),
    )


def _number(example: Example) -> float:
    try:
        number = float(example.label)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise LangueError(
            f"{example.location}: {example.label!r} is no number that says how alike two texts are"
        )
    return number


def cosines(one: Array, other: Array) -> Float64Array:
    """Of the rows of one `(N, width)` with those of another, one by one: `(N, 1)`."""
    one, other = (
        side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-12) for side in (one, other)
    )
    told: Float64Array = (one * other).sum(1, keepdims=True)
    return told


def _overlaps(first: Sequence[str], second: Sequence[str]) -> Float64Array:
    """What the terms tell that both texts have, as a share of those that either has."""
    terms = [(set(terms_of(one)), set(terms_of(other))) for one, other in zip(first, second, strict=True)]
    index = Index(sorted(some) for pair in terms for some in pair)
    return np.array([_told(index, one & other) / (_told(index, one | other) or 1.0) for one, other in terms])


def _told(index: Index, terms: set[str]) -> float:
    return sum(index.idf(term) for term in sorted(terms))


def correlation(one: Float64Array, other: Float64Array, *, seed: int = 0) -> Ratio:
    """Spearman's rank correlation, with an interval over pairs drawn with replacement."""
    draw = generator(seed, "spearman")
    drawn = (draw.integers(len(one), size=len(one)) for _ in range(DRAWS))
    values = np.array([spearman(one[rows], other[rows]) for rows in drawn])
    spread: Interval | None = interval(values) if len(one) > 1 else None
    return Ratio(spearman(one, other), spread)


def spearman(one: Float64Array, other: Float64Array) -> float:
    """Pearson's correlation of ranks; equals have the mean of theirs. 0 where either does not vary."""
    a, b = (ranks - ranks.mean() for ranks in (_ranks(one), _ranks(other)))
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else 0.0


def _ranks(values: Float64Array) -> Float64Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Float64Array = ((ends - counts + ends - 1) / 2)[inverse]
    return ranks
