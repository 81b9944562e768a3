"""Batches for training: what number k holds is a pure function of (store, shape, seed, k).

The tokens of a split are one stream, cut into rows of `context` tokens with no padding. An epoch
visits every row once, in an order of its own. A position knows which document it is of and how far
into it (or into the row), so that attention never crosses documents and positions restart.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from langue.base.seeds import generator
from langue.tokens.store import Split

Array = npt.NDArray[np.int64]


class Batch(NamedTuple):
    """Rows of packed documents, each array `(batch, time)`."""

    inputs: Array  # what is read; the first token of a document is read after `<eos>`
    targets: Array  # what comes next
    positions: Array  # how far into the document, or into the row where the document began before it
    segments: Array  # which document


class Batches:
    """All batches of a split.

    Args:
        rows, context: shape of a batch. A split with fewer tokens than `context` makes shorter rows.
    """

    def __init__(self, split: Split, *, rows: int, context: int, eos: int, seed: int) -> None:
        self.split = split
        self.eos = eos
        self.seed = seed
        self.context = min(context, len(split.tokens))
        self.total = len(split.tokens) // self.context  # rows of an epoch
        self.rows = min(rows, self.total)
        self.per_epoch = max(self.total // self.rows, 1)

    def batch(self, number: int) -> Batch:
        """Batch `number`, counted from 0 through all epochs."""
        epoch, index = divmod(number, self.per_epoch)
        draw = generator(self.seed, "epoch", epoch)
        order = draw.permutation(self.total)
        slack = len(self.split.tokens) - self.total * self.context
        shift = int(draw.integers(slack + 1))  # another edge between rows in each epoch
        return self._rows(order[index * self.rows : (index + 1) * self.rows] * self.context + shift)

    def first(self, rows: int) -> Batch:
        """The same rows at every call, spread over the split: what a validation curve is measured on."""
        chosen = np.linspace(0, self.total - 1, min(rows, self.total)).astype(np.int64)
        return self._rows(np.unique(chosen) * self.context)

    def _rows(self, starts: Array) -> Batch:
        places = starts[:, None] + np.arange(self.context)  # (batch, time) in the stream of targets
        offsets = self.split.offsets.astype(np.int64)
        segments = np.searchsorted(offsets, places, side="right") - 1
        begins = offsets[segments]
        before = self.split.tokens[np.maximum(places - 1, 0)].astype(np.int64)
        return Batch(
            inputs=np.where(places == begins, self.eos, before),
            targets=self.split.tokens[places].astype(np.int64),
            positions=places - np.maximum(begins, starts[:, None]),
            segments=segments,
        )
