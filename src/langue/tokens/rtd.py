"""Batches for a pair of encoders: what is hidden, and the numbers that decide what is drawn in its place."""

from typing import Any, NamedTuple

import numpy as np

from langue.base.arrays import BoolArray, Float64Array, Int64Array
from langue.base.seeds import generator
from langue.tokens.masked import MaskedBatches
from langue.tokens.masked_batch import MaskedBatch
from langue.tokens.masking import NONE
from langue.tokens.store import Split


class RTDBatch(NamedTuple):
    """A batch, and all that is drawn to learn from it."""

    masked: MaskedBatch
    noise: Float64Array  # (rows, time) in [0, 1): what decides on the token that is drawn there
    weight: float  # of a judgement, by how many there are for each hidden token

    @property
    def rows(self) -> int:
        return self.masked.rows

    @property
    def targets_count(self) -> int:
        return self.masked.targets_count

    def cut(self, begin: int, end: int) -> "RTDBatch":
        return RTDBatch(self.masked.cut(begin, end), self.noise[begin:end], self.weight)


class RTDBatches(MaskedBatches):
    """Batch number k is a pure function of (store, shape, seed, k), and so is what is drawn for it."""

    def __init__(self, split: Split, *, weight: float, **shape: Any) -> None:
        super().__init__(split, **shape)
        self.weight = weight

    def batch(self, number: int) -> RTDBatch:  # type: ignore[override]
        return self._draw_replacements(super().batch(number), number)

    def first(self, rows: int) -> RTDBatch:  # type: ignore[override]
        return self._draw_replacements(super().first(rows), "first")

    def _draw_replacements(self, batch: MaskedBatch, number: int | str) -> RTDBatch:
        noise = generator(self.seed, "draw", number).random(batch.inputs.shape)
        # Both losses are means, of hidden tokens and of judged ones (equation of section 2).
        weight = self.weight * batch.targets_count / int(rtd_positions(batch, self.specials).sum())
        return RTDBatch(batch, noise, weight)


def restore_ids(batch: MaskedBatch) -> Int64Array:
    """The ids of a batch before any was hidden, `(rows, time)`."""
    return np.where(batch.targets == NONE, batch.inputs, batch.targets)


def rtd_positions(batch: MaskedBatch, specials: tuple[int, ...]) -> BoolArray:
    """Which slots hold a token of the text, `(rows, time)`."""
    judged: BoolArray = (batch.segments != NONE) & ~np.isin(restore_ids(batch), specials)
    return judged
