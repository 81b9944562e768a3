"""Single tokens, each with the few before it: what models of a fixed order learn from.

Before the first token of a document stands `<eos>`, as often as needed: no context reaches into
another document. An epoch shows every token once, in an order of its own.
"""

from typing import NamedTuple

import numpy as np

from langue.base.arrays import Array, Int64Array
from langue.base.seeds import derive
from langue.tokens.batches import permute
from langue.tokens.store import Split


class Contexts(NamedTuple):
    """Predictions to make; a row is one of them."""

    before: Int64Array  # (rows, order - 1) the tokens before, the nearest last
    targets: Int64Array  # (rows,)

    @property
    def rows(self) -> int:
        return len(self.targets)

    @property
    def targets_count(self) -> int:
        return len(self.targets)

    def cut(self, begin: int, end: int) -> "Contexts":
        return Contexts(self.before[begin:end], self.targets[begin:end])


class ContextBatches:
    """All tokens of a split, `rows` at a time.

    Args:
        order: of the model, which sees `order - 1` tokens.
    """

    context = 1  # a row predicts one token

    def __init__(self, split: Split, *, rows: int, order: int, eos: int, seed: int) -> None:
        self.split = split
        self.order = order
        self.eos = eos
        self.seed = seed
        self.total = len(split.tokens)
        self.rows = min(rows, self.total)
        self.per_epoch = self.total // self.rows

    def batch(self, number: int) -> Contexts:
        epoch, index = divmod(number, self.per_epoch)
        indices = np.arange(index * self.rows, (index + 1) * self.rows)
        return self.at(permute(indices, self.total, derive(self.seed, "order", epoch)))

    def first(self, rows: int) -> Contexts:
        return self.at(np.unique(np.linspace(0, self.total - 1, min(rows, self.total)).astype(np.int64)))

    def at(self, positions: Int64Array) -> Contexts:
        """The tokens at places of the stream."""
        segments = np.searchsorted(self.split.offsets, positions.astype(np.uint64), side="right") - 1
        begins = self.split.offsets[segments].astype(np.int64)
        seen = positions[:, None] + np.arange(1 - self.order, 0)  # (rows, order - 1)
        tokens = self.split.tokens[np.maximum(seen, 0)].astype(np.int64)
        before = np.where(seen < begins[:, None], self.eos, tokens)
        return Contexts(before, self.split.tokens[positions].astype(np.int64))


def contexts_of(ids: Array, order: int, eos: int) -> Int64Array:
    """The contexts of every token of a document, and of the one that would come next.

    Returns:
        `(len(ids) + 1, order - 1)`, the nearest token last.
    """
    padded = np.concatenate([np.full(order - 1, eos), np.asarray(ids)]).astype(np.int64)
    if order == 1:
        return np.empty((len(ids) + 1, 0), np.int64)
    return np.lib.stride_tricks.sliding_window_view(padded, order - 1)
