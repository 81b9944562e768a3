"""The chain itself, and how the work on its sequences is cut for threads."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np

from langue.base.arrays import Array, Float64Array, Int64Array
from langue.base.parallel import parallel_map

T = TypeVar("T")

MAX_BLOCKS = 16  # of a batch: fixed, so that sums do not depend on the number of threads
MIN_BLOCK_POSITIONS = 2_000  # below, a thread costs more than it saves


class Chain(NamedTuple):
    """A linear chain: natural-log scores that all sequences share, -inf where a step is forbidden."""

    transition: Float64Array  # (K, K) from, to
    start: Float64Array  # (K,)
    end: Float64Array  # (K,)

    @classmethod
    def of(cls, transition: Array, start: Array | None = None, end: Array | None = None) -> "Chain":
        """A chain in float64; no start or end scores are scores of 0."""
        none = np.zeros(len(transition))
        parts = (transition, none if start is None else start, none if end is None else end)
        return cls(*(np.ascontiguousarray(part, np.float64) for part in parts))


def offsets_of(lengths: Array | list[int]) -> Int64Array:
    """Offsets of sequences of these lengths, the end of the last among them: `(S + 1,)`."""
    offsets: Int64Array = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def map_blocks(function: Callable[[int, int], T], offsets: Array) -> list[T]:
    """`function(first, last)` of blocks of the sequences of about as many positions each, in order.

    The blocks depend on the offsets alone, so a sum over them is the same bits on any machine.
    """
    return parallel_map(lambda block: function(*block), _blocks(offsets))


def _blocks(offsets: Array) -> Iterator[tuple[int, int]]:
    positions = int(offsets[-1])
    count = min(MAX_BLOCKS, positions // MIN_BLOCK_POSITIONS + 1)
    edges = np.searchsorted(offsets, np.linspace(0, positions, count + 1))
    edges[0], edges[-1] = 0, len(offsets) - 1
    for first, last in pairwise(edges):
        if first < last:
            yield int(first), int(last)
