"""A batch of rows with hidden tokens: what a model that reads in both directions is trained on."""

from typing import Literal, NamedTuple

import numpy as np

from langue.base.arrays import Int64Array
from langue.tokens.masking import NONE

SentencePairs = Literal["none", "next_sentence", "sentence_order"]  # of the two parts of what is read


class Specials(NamedTuple):
    """Ids that are no text: a family that wants them puts them after those of the tokenizer."""

    cls: int  # begins what is read together
    sep: int  # ends each part of it
    mask: int  # stands for what is to be predicted


# What stands in a slot that nothing fills: inputs, targets, positions, segments, types, pairs.
EMPTY = (0, NONE, 0, NONE, 0, NONE)


class MaskedBatch(NamedTuple):
    """Rows of packed pieces; the arrays are `(rows, time)`."""

    inputs: Int64Array
    targets: Int64Array  # NONE where nothing is predicted
    positions: Int64Array  # how far into the piece
    segments: Int64Array  # which piece; NONE: an empty slot
    types: Int64Array  # 0 for A, 1 for B
    pairs: Int64Array  # at a `[CLS]`, 1 if B does not follow A; elsewhere NONE
    pair_weight: float  # of a pair, so that the mean over pairs weighs as much as that over tokens

    @property
    def rows(self) -> int:
        return len(self.inputs)

    @property
    def targets_count(self) -> int:
        return int((self.targets != NONE).sum())

    def cut(self, begin: int, end: int) -> "MaskedBatch":
        return MaskedBatch._make((*(part[begin:end] for part in self[:6]), self.pair_weight))

    def unpack(self) -> "MaskedBatch":
        """Each piece in a row of its own, padded on the right: the same figures, at a higher price."""
        rows = [
            (row, np.flatnonzero(self.segments[row] == segment))
            for row in range(self.rows)
            for segment in np.unique(self.segments[row][self.segments[row] != NONE])
        ]
        longest = max(len(columns) for _, columns in rows)
        parts = []
        for part, empty in zip(self[:6], EMPTY, strict=True):
            padded = np.full((len(rows), longest), empty, np.int64)
            for number, (row, columns) in enumerate(rows):
                padded[number, : len(columns)] = part[row, columns]
            parts.append(padded)
        return MaskedBatch._make((*parts, self.pair_weight))
