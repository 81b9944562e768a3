"""Source → target pairs: what an encoder and a decoder learn to translate, summarise, answer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from langue.base.seeds import generator
from langue.tokens.batches import Array

Pair = tuple[npt.NDArray[Any], npt.NDArray[Any]]
NOTHING = -1  # pads


class Pairs(NamedTuple):
    """Rows padded on the right with -1."""

    sources: Array  # (rows, longest source)
    targets: Array  # (rows, longest target); each closed by <eos>

    @property
    def rows(self) -> int:
        return len(self.sources)

    @property
    def targets_count(self) -> int:
        return int(np.count_nonzero(self.targets != NOTHING))

    def cut(self, begin: int, end: int) -> "Pairs":
        return Pairs(self.sources[begin:end], self.targets[begin:end])

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> "Pairs":
        return cls(*(_padded([pair[side] for pair in pairs]) for side in (0, 1)))


def _padded(rows: Sequence[npt.NDArray[Any]]) -> Array:
    found = np.full((len(rows), max(map(len, rows))), NOTHING, np.int64)
    for place, ids in zip(found, rows, strict=True):
        place[: len(ids)] = ids
    return found


class PairBatches:
    """All pairs, `rows` at a time, in an order of its own in each epoch.

    Pairs of like length stand together, so that little is padded; which stand together, and which batch
    comes when, is drawn anew.

    Args:
        pairs: source and target ids; each target ends with `<eos>`.
    """

    def __init__(self, pairs: Sequence[Pair], *, rows: int, seed: int) -> None:
        self.pairs = pairs
        self.seed = seed
        self.rows = min(rows, len(pairs))
        self.lengths = np.array([len(source) + len(target) for source, target in pairs])
        self.context = max(int(np.mean([len(target) for _, target in pairs])), 1)  # targets of a row
        self.per_epoch = len(pairs) // self.rows

    def batch(self, number: int) -> Pairs:
        epoch, index = divmod(number, self.per_epoch)
        draw = generator(self.seed, "pairs", epoch)
        kept = draw.permutation(len(self.pairs))[: self.per_epoch * self.rows]  # others the next time
        like = kept[np.argsort(self.lengths[kept], kind="stable")]
        start = int(draw.permutation(self.per_epoch)[index]) * self.rows
        return Pairs.of([self.pairs[place] for place in like[start : start + self.rows]])

    def first(self, rows: int) -> Pairs:
        chosen = np.unique(np.linspace(0, len(self.pairs) - 1, min(rows, len(self.pairs))).astype(np.int64))
        return Pairs.of([self.pairs[place] for place in chosen])
