"""Features of contexts, and the pairs of a feature and a word that training shows: the shape of W.

W has a row for each value of a hash: a power of two near the number of features met, about three times
as many as there are different ones, so one in four shares its row with another (it costs little).
"""

from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np

from langue.base.arrays import Array
from langue.base.checked import ArraySpec, check, damaged, rises_within
from langue.base.compiled import njit
from langue.tokens.contexts import ContextBatches

CHUNK_TOKENS = 1 << 20  # tokens looked at a time
LOW = np.uint64(0xFFFFFFFF)
MOST_SCORE = 600.0  # whose exp is a number
FEWEST_ROWS, MOST_ROWS = 16, 26  # as powers of two; where a row begins takes 4 bytes: 256 kB to 256 MB


class Weights(NamedTuple):
    """θ: b, and W as its non-zero places, row by row."""

    bias: Annotated[Array, ArraySpec("float32", ("V",))]
    # Where each row of W begins; rows is a power of two.
    starts: Annotated[Array, ArraySpec("uint32", ("rows + 1",), rising=True, first=0, last="pairs")]
    word: Annotated[Array, ArraySpec("uint32", ("pairs",), below="V")]  # sorted within a row
    weight: Annotated[Array, ArraySpec("float32", ("pairs",))]

    def check(self, where: Path, V: int, features: int) -> None:
        """See that rows lie in W, and that the scores of a context have an exp.

        Raises:
            LangueError: an array is not what it must be; it is named.
        """
        rows = check(self, where, V=V)["rows"]
        if rows < 1 or rows & (rows - 1):
            raise damaged(where, "starts", f"are of {rows} rows, which is no power of two")
        if not rises_within(self.word, self.starts):
            raise damaged(where, "word", "does not rise within a row")
        most = MOST_SCORE / (features + 1)
        for name, array in (("bias", self.bias), ("weight", self.weight)):
            if len(array) and max(-array.min(), array.max()) > most:
                raise damaged(where, name, f"holds a weight beyond ±{most:.0f}")


def count_of(order: int, skips: bool) -> int:
    """Number of features of a context."""
    return order - 1 + (max(order - 2, 0) if skips else 0)


@njit
def _mix(x):
    """The finalizer of SplitMix64 (Steele et al. 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit
def hashes(before, count, hashed):
    """Fill `hashed` `(count,)` with the hash of every feature of a context `(order - 1,)`."""
    reach = len(before)
    chain = np.uint64(0x9E3779B97F4A7C15)
    for back in range(1, reach + 1):  # the last 1, 2, ... tokens
        chain = _mix(chain ^ _mix(np.uint64(before[reach - back]) + np.uint64(1)))
        hashed[back - 1] = chain
    for back in range(2, count - reach + 2):  # one token, `back` places back
        distance = np.uint64(back) << np.uint64(48)
        hashed[reach + back - 2] = _mix(_mix(np.uint64(before[reach - back]) + np.uint64(1)) + distance)


@njit
def _pairs(before, targets, count, mask):
    """Row and word of every feature of every prediction, as one number."""
    pairs = np.empty((len(targets), count), np.uint64)
    for index in range(len(targets)):
        hashes(before[index], count, pairs[index])
        for feature in range(count):
            pairs[index, feature] = (pairs[index, feature] & mask) << np.uint64(32) | np.uint64(
                targets[index]
            )
    return pairs


def shape(source: ContextBatches, vocabulary_size: int, features: int) -> tuple[Weights, Array]:
    """θ, all 0; and how often each pair is met `(pairs,)`."""
    rows = 1 << min(max((source.total * features - 1).bit_length(), FEWEST_ROWS), MOST_ROWS)
    keys, counts = np.empty(0, np.uint64), np.empty(0, np.int64)
    for begin in range(0, source.total, CHUNK_TOKENS):
        block = source.at(np.arange(begin, min(begin + CHUNK_TOKENS, source.total)))
        pairs = _pairs(block.before, block.targets, features, np.uint64(rows - 1))
        keys, counts = _merge(keys, counts, *np.unique(pairs, return_counts=True))
    row = (keys >> np.uint64(32)).astype(np.int64)
    weights = Weights(
        bias=np.log1p(np.bincount((keys & LOW).astype(np.int64), counts / features, vocabulary_size)).astype(
            np.float32
        ),
        starts=np.searchsorted(row, np.arange(rows + 1)).astype(np.uint32),
        word=(keys & LOW).astype(np.uint32),
        weight=np.zeros(len(keys), np.float32),
    )
    return weights, counts.astype(np.float32)


def _merge(keys: Array, counts: Array, others: Array, more: Array) -> tuple[Array, Array]:
    """Two sorted tables of counts as one."""
    everything = np.concatenate([keys, others])
    order = np.argsort(everything, kind="stable")
    everything = everything[order]
    first = np.flatnonzero(np.r_[True, everything[1:] != everything[:-1]])
    return everything[first], np.add.reduceat(np.concatenate([counts, more])[order], first)
