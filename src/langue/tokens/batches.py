"""Batches for training: what number k holds is a pure function of (store, shape, seed, k).

The tokens of a split are one stream, each document closed by `<eos>`; nothing is padded. A position
knows which document it is of and how far into it, so that neither attention nor state crosses
documents. Making a batch reads what it holds and no more, whatever the size of the store.

    Batches         the stream cut into rows, each visited once an epoch in an order of its own
    WholeDocuments  the same, but each row begins with a document
    StreamBatches   rows that go on where they stopped in the batch before: for recurrent models
"""

from typing import Protocol, Self

import numpy as np

from langue.base.arrays import Int64Array, UInt64Array
from langue.base.seeds import derive, generator
from langue.tokens.batch import Batch
from langue.tokens.store import Split


class TrainingBatch(Protocol):
    """A batch of any family, as the trainer sees it."""

    @property
    def rows(self) -> int:
        """Rows, the units it can be cut into."""

    @property
    def targets_count(self) -> int:
        """Predictions that `loss` sums over."""

    def cut(self, begin: int, end: int) -> Self:
        """Those rows as a batch of their own."""


class BatchSource(Protocol):
    """Source of the batches of a split."""

    rows: int  # of a batch
    context: int  # tokens of a row
    per_epoch: int  # batches until all of the split was seen

    def batch(self, number: int) -> TrainingBatch:
        """Batch `number`, counted from 0 through all epochs."""

    def first(self, rows: int) -> TrainingBatch:
        """The same `rows * context` tokens at every call: what a validation curve is measured on."""


class Batches:
    """Rows that stand alone, in another order and with other edges in each epoch.

    Args:
        rows, context: shape of a batch. A split with fewer tokens than `context` makes shorter rows.
    """

    def __init__(self, split: Split, *, rows: int, context: int, eos: int, seed: int) -> None:
        self.split = split
        self.eos = eos
        self.seed = seed
        self.context = min(context, len(split.tokens))
        # One row fewer than there is room for: the edges between rows move within that room.
        self.total = max(len(split.tokens) // self.context - 1, 1)  # rows of an epoch
        self.rows = min(rows, self.total)
        self.per_epoch = max(self.total // self.rows, 1)

    def batch(self, number: int) -> Batch:
        epoch, index = divmod(number, self.per_epoch)
        indices = np.arange(index * self.rows, (index + 1) * self.rows)
        order = permute(indices, self.total, derive(self.seed, "order", epoch))
        room = len(self.split.tokens) - self.total * self.context
        shift = int(generator(self.seed, "edges", epoch).integers(room + 1))
        return self._rows(order * self.context + shift)

    def first(self, rows: int) -> Batch:
        chosen = np.linspace(0, self.total - 1, min(rows, self.total)).astype(np.int64)
        return self._rows(np.unique(chosen) * self.context)

    def _rows(self, starts: Int64Array) -> Batch:
        positions = starts[:, None] + np.arange(self.context)  # (batch, time)
        batch = _read(self.split, positions, self.eos)
        return batch._replace(positions=np.minimum(batch.positions, np.arange(self.context)))


class WholeDocuments(Batches):
    """Rows that begin where a document does. The last of a row may be cut short, in each epoch another; of
    one longer than a row only the beginning is shown."""

    def _rows(self, starts: Int64Array) -> Batch:
        offsets = self.split.offsets
        begun = np.searchsorted(offsets, starts.astype(np.uint64), side="right") - 1
        return super()._rows(offsets[begun].astype(np.int64))


class StreamBatches:
    """Rows that never end: row r of batch k + 1 goes on where row r of batch k stopped.

    The split is a ring, and the rows start at equal distances on it; an epoch later each row stands
    where the next one started. Positions count from the beginning of the document even where that
    lies in an earlier batch: 0 is where a recurrent model forgets.
    """

    def __init__(self, split: Split, *, rows: int, context: int, eos: int) -> None:
        self.split = split
        self.eos = eos
        total = len(split.tokens)
        self.rows = min(rows, total)
        self.distance = total // self.rows
        self.context = min(context, self.distance)
        self.per_epoch = self.distance // self.context

    def batch(self, number: int) -> Batch:
        starts = np.arange(self.rows) * self.distance + number * self.context
        positions = (starts[:, None] + np.arange(self.context)) % len(self.split.tokens)  # (batch, time)
        return _read(self.split, positions, self.eos)

    def first(self, rows: int) -> Batch:
        """The tokens of `rows` rows as a few long ones: little is read without what came before."""
        tokens = min(rows * self.context, len(self.split.tokens))
        height = min(rows, tokens, 8)
        starts = np.linspace(0, len(self.split.tokens) - tokens // height, height).astype(np.int64)
        return _read(self.split, starts[:, None] + np.arange(tokens // height), self.eos)


def _read(split: Split, positions: Int64Array, eos: int) -> Batch:
    """The targets at places `(batch, time)` of the stream, with what is read before each."""
    # Search and gather touch only these places: no conversion of a whole memory map.
    segments = np.searchsorted(split.offsets, positions.astype(np.uint64), side="right") - 1
    begins = split.offsets[segments].astype(np.int64)
    before = split.tokens[np.maximum(positions - 1, 0)].astype(np.int64)
    return Batch(
        inputs=np.where(positions == begins, eos, before),
        targets=split.tokens[positions].astype(np.int64),
        positions=positions - begins,
        segments=segments,
    )


ROUNDS = 4  # of the Feistel network: enough to make every pattern of neighbors vanish


def permute(indices: Int64Array, total: int, key: int) -> Int64Array:
    """Images of these indices under a pseudorandom permutation of `range(total)`, which is never made whole.

    A Feistel network permutes a power of four that holds `total`; a place that falls outside is sent
    on until it falls inside (Black and Rogaway 2002, "Ciphers with arbitrary finite domains").
    """
    half = max((max(total - 1, 1).bit_length() + 1) // 2, 1)
    images = _feistel(indices.astype(np.uint64), half, key)
    while (outside := images >= total).any():
        images[outside] = _feistel(images[outside], half, key)
    return images.astype(np.int64)


def _feistel(x: UInt64Array, half: int, key: int) -> UInt64Array:
    mask = np.uint64((1 << half) - 1)
    left, right = x >> np.uint64(half), x & mask
    for index in range(ROUNDS):
        left, right = right, left ^ (_mix(right + np.uint64(derive(key, index))) & mask)
    return (left << np.uint64(half)) | right


def _mix(x: UInt64Array) -> UInt64Array:
    """The finalizer of SplitMix64 (Steele et al. 2014): every bit of the input reaches every bit."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
