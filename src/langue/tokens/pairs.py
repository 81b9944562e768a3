"""Batches of pairs whose targets alone are learned: pairs of nearly one length, padded to the longest."""

from typing import NamedTuple

import numpy as np

from langue.base.arrays import Int64Array
from langue.base.seeds import derive
from langue.tokens.batches import permute
from langue.tokens.store import Split

TOGETHER = 32  # batches whose pairs are sorted by length: less padding, and still another order each epoch


class PairBatch(NamedTuple):
    """Pairs, padded by 0 on the right."""

    sources: Int64Array  # (B, S) `<eos>`, the source, and what ends it
    source_lengths: Int64Array  # (B,)
    inputs: Int64Array  # (B, T) what ends the source, and the target
    targets: Int64Array  # (B, T) the target, and `<eos>`
    target_lengths: Int64Array  # (B,)

    @property
    def rows(self) -> int:
        return len(self.sources)

    @property
    def targets_count(self) -> int:
        return int(self.target_lengths.sum())

    def cut(self, begin: int, end: int) -> "PairBatch":
        return PairBatch(*(part[begin:end] for part in self))


class PairBatches:
    """The pairs of a split, each once an epoch, in another order and company in each.

    Args:
        tokens: about so many in a batch.
        longest: tokens of a source and of a target; of longer ones the beginning is shown.
    """

    def __init__(self, split: Split, *, tokens: int, longest: int, eos: int, sep: int, seed: int) -> None:
        self.split, self.eos, self.sep, self.seed = split, eos, sep, seed
        self.longest = longest
        total = len(split)
        self.context = max(min(len(split.tokens) // total, 2 * longest), 1)  # of a pair in the mean
        self.rows = min(max(tokens // self.context, 1), total)
        self.per_epoch = max(total // self.rows, 1)

    def batch(self, number: int) -> PairBatch:
        epoch, index = divmod(number, self.per_epoch)
        group, within = divmod(index, TOGETHER)
        batches = min(TOGETHER, self.per_epoch - group * TOGETHER)
        begin = group * TOGETHER * self.rows
        indices = np.arange(begin, begin + batches * self.rows)
        chosen = permute(indices, len(self.split), derive(self.seed, "order", epoch))
        lengths = self.split.offsets[chosen + 1] - self.split.offsets[chosen]
        by_length = chosen[np.argsort(lengths, kind="stable")]
        drawn = int(permute(np.array([within]), batches, derive(self.seed, "company", epoch, group))[0])
        return self._pairs(by_length[drawn * self.rows : (drawn + 1) * self.rows])

    def first(self, rows: int) -> PairBatch:
        chosen = np.linspace(0, len(self.split) - 1, min(rows, len(self.split))).astype(np.int64)
        return self._pairs(np.unique(chosen))

    def _pairs(self, chosen: Int64Array) -> PairBatch:
        sources, targets = [], []
        for index in chosen.tolist():
            ids = self.split.document(index).astype(np.int64)
            end = int(np.flatnonzero(ids == self.sep)[0])
            sources.append([self.eos, *ids[: min(end, self.longest)].tolist(), self.sep])
            targets.append([*ids[end + 1 : -1][: self.longest].tolist(), self.eos])
        return pair_batch(sources, targets, self.sep)


def pair_batch(sources: list[list[int]], targets: list[list[int]], sep: int) -> PairBatch:
    """Sources from `<eos>` to what ends them, and targets with their `<eos>`, as a batch."""
    inputs = [[sep, *ids[:-1]] for ids in targets]
    lengths = [np.array([len(ids) for ids in some], np.int64) for some in (sources, targets)]
    return PairBatch(_padded(sources), lengths[0], _padded(inputs), _padded(targets), lengths[1])


def _padded(rows: list[list[int]]) -> Int64Array:
    padded = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for row, ids in zip(padded, rows, strict=True):
        row[: len(ids)] = ids
    return padded
