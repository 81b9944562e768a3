"""How well the discriminator of a pair finds what its generator put in the place of hidden tokens.

The words of every document that are hidden to measure the generator are filled by it, by fixed numbers; the
discriminator judges every token of what comes out. A token that was drawn as it was written was not
replaced (Clark et al. 2020, section 2). Two pairs are not compared by these figures alone: the better the
generator, the harder the task.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from langue.base.arrays import Floats, Ids
from langue.base.seeds import generator
from langue.evaluation.bootstrap import Ratio, ratio
from langue.protocols import Discriminating
from langue.tokens.masking import NONE

Hidden = tuple[
    Ids, Ids
]  # a piece of a document with special tokens, with tokens hidden; their labels, else NONE


class ReplacedFigures(NamedTuple):
    """What the discriminator of a pair says of each token."""

    accuracy: Ratio  # share of the tokens it is right about
    f1: float  # of finding those that were replaced
    replaced: float  # their share: to call no token replaced has an accuracy of 1 less this

    def to_json(self) -> dict[str, Any]:
        return self._asdict() | {"accuracy": self.accuracy.to_json()}

    def __str__(self) -> str:
        return (
            f"{self.accuracy} of all tokens, F1 {self.f1:.4f} of the {self.replaced:.2%} that were replaced"
        )


class Judged(NamedTuple):
    """What the discriminator was asked of one document, in tokens."""

    right: int
    caught: int  # of the replaced
    called: int  # replaced by the discriminator
    replaced: int
    tokens: int


def judge(model: Discriminating, documents: Sequence[Sequence[Hidden]], first: int) -> Iterator[Judged]:
    """Ask the discriminator of documents.

    Args:
        documents: of each, the pieces with tokens hidden, and their labels.
        first: number of the first document, which fixes what is drawn.
    """
    read = [piece for pieces in documents for piece in pieces]
    positions = [np.flatnonzero(targets != NONE) for _, targets in read]
    draws = [generator(0, "replaced", first + number) for number in range(len(documents))]
    owners = (number for number, pieces in enumerate(documents) for _ in pieces)
    noise = [draws[owner].random(len(chosen)) for owner, chosen in zip(owners, positions, strict=True)]
    filled = model.refilled([inputs for inputs, _ in read], positions, noise)
    rows = iter(zip(filled, model.replaced_log_odds(filled), strict=True))
    for pieces in documents:
        counts = [_counts(piece, *next(rows)) for piece in pieces]
        yield Judged(*np.sum(counts, 0).tolist())


def _counts(hidden: Hidden, filled: Ids, odds: Floats) -> tuple[int, ...]:
    inputs, targets = hidden
    written = np.where(targets == NONE, inputs, targets)
    answers = (filled != written)[1:-1]  # without [CLS] and [SEP]
    calls = odds[1:-1] > 0
    marks = (answers == calls, answers & calls, calls, answers, np.ones_like(calls))
    return tuple(int(mark.sum()) for mark in marks)


def figures(judged: Iterable[Judged]) -> ReplacedFigures:
    """Over all documents."""
    right, caught, called, replaced, tokens = (np.array(column) for column in zip(*judged, strict=True))
    f1 = 2 * int(caught.sum()) / max(int(called.sum() + replaced.sum()), 1)
    return ReplacedFigures(ratio(right, tokens), f1, float(replaced.sum() / tokens.sum()))
