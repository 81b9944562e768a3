"""Counting a corpus that is larger than the memory there is, to the same tables bit for bit.

The text is counted block by block, and each block's levels go to disk. Two are merged into one, level by
level: in both, n-grams stand in the order of their words, so a merge reads and writes from one end to the
other. Counts add up; numbers follow from the order; nothing depends on where the blocks were cut. Arrays
that grow with the corpus are mapped files, which the system holds in memory only as far as it has room.
"""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from langue.base.arrays import Array
from langue.base.compiled import njit
from langue.base.errors import LangueError
from langue.models.counts.ngram.counts import Levels, New, count

MEGABYTE = 1 << 20
MIN_BLOCK_POSITIONS = 1 << 16  # positions of a block: smaller ones only make merges
WORD_BYTES = 64  # bytes that counting and estimating hold for each word of the vocabulary
OTHER_BYTES = 8 * MEGABYTE  # what does not depend on the corpus: stacks, buffers, pieces of arrays


def map_array(size: int, dtype: npt.DTypeLike, folder: Path | None = None) -> Array:
    """An array in a temporary file, which goes when the array does.

    Args:
        folder: that the file stands in; None: that of temporary files.

    Raises:
        LangueError: the disk has no room for it.
    """
    if not size:
        return np.empty(0, dtype)
    with TemporaryFile(dir=folder) as file:
        try:
            if hasattr(
                os, "posix_fallocate"
            ):  # sets the room aside: a full disk would kill the process later
                os.posix_fallocate(file.fileno(), 0, size * np.dtype(dtype).itemsize)
            else:
                file.truncate(size * np.dtype(dtype).itemsize)
        except OSError as error:
            larger = "set TMPDIR to a folder" if folder is None else "name a folder (--scratch)"
            reason = f"{error.strerror or error}; {larger} on a larger disk"
            raise LangueError(f"cannot write temporary files: {reason}") from error
        return np.asarray(np.memmap(file, dtype, "r+", shape=(size,)))


def give_back() -> None:
    """Have the C library return freed memory that it keeps, of what was done before."""
    trim = getattr(ctypes.CDLL(None) if os.name == "posix" else None, "malloc_trim", None)
    if trim is not None:
        trim(0)


def least_memory(vocabulary_size: int, order: int) -> int:
    """Megabytes without which a corpus of so many words cannot be counted."""
    return -(
        -(OTHER_BYTES + WORD_BYTES * vocabulary_size + MIN_BLOCK_POSITIONS * _position(order)) // MEGABYTE
    )


def _position(order: int) -> int:
    """Bytes a position of a block takes: its place, a sorting key, and a node of 12 bytes for each order."""
    return 16 + 12 * order


def count_in_blocks(
    stream: Array, vocabulary_size: int, order: int, *, memory: int, new: New = map_array
) -> Levels:
    """The levels of `count`, of a stream of any size.

    Args:
        stream: as `stream_of` makes it; a mapped one takes no memory.
        memory: megabytes that counting may hold at a time, beside the interpreter and mapped files.

    Raises:
        LangueError: not even the vocabulary can be held in so little.
    """
    block = block_positions(memory, vocabulary_size, order)
    give_back()
    size = len(stream) - 1
    blocks = (
        count_block(stream, begin, block, vocabulary_size, order, new) for begin in range(0, size, block)
    )
    return merge_all(blocks, new)


def block_positions(memory: int, vocabulary_size: int, order: int) -> int:
    """Positions that can be counted at once in so many megabytes.

    Raises:
        LangueError: not even the vocabulary can be held in so little.
    """
    least = least_memory(vocabulary_size, order)
    if memory < least:
        raise LangueError(
            f"{vocabulary_size:,} words at order {order} cannot be counted in {memory} MB; "
            f"give at least --memory {least}"
        )
    return (memory * MEGABYTE - OTHER_BYTES - WORD_BYTES * vocabulary_size) // _position(order)


def count_block(stream: Array, begin: int, block: int, vocabulary_size: int, order: int, new: New) -> Levels:
    """The levels of the n-grams that begin at `block` positions of a stream, from `begin` on."""
    size = len(stream) - 1
    end = min(begin + block, size)
    part = stream[begin : min(end + order, size + 1)]
    return count(part, vocabulary_size, order, positions=end - begin, new=new)


def merge_all(parts: Iterable[Levels], new: New) -> Levels:
    """The levels of all parts of a corpus together; there is at least one."""
    waiting: list[tuple[int, Levels]] = []  # how many parts are in it
    for part in parts:
        waiting.append((1, part))
        while len(waiting) > 1 and waiting[-2][0] <= waiting[-1][0]:
            _merge_last(waiting, new)
    while len(waiting) > 1:
        _merge_last(waiting, new)
    return waiting[0][1]


def _merge_last(waiting: list[tuple[int, Levels]], new: New) -> None:
    (some, one), (more, other) = waiting[-2:]
    waiting[-2:] = [(some + more, merge(one, other, new))]


def merge(one: Levels, other: Levels, new: New) -> Levels:
    """The levels of two parts of a corpus together."""
    order = one.order
    # What each level may have at most, until it is known.
    most = np.diff(one.first) + np.diff(other.first)
    words, counts, children = [], [], []
    size = int(one.first[1])
    words.append(one.word[:size])
    total = new(size, np.uint32)
    np.add(one.count[:size], other.count[:size], out=total)
    counts.append(total)
    numbers = [np.arange(size, dtype=np.uint32)] * 2  # in the merged level, of the nodes of each
    for n in range(2, order + 1):
        word, tally, begins = (
            new(int(most[n - 1]), np.uint32),
            new(int(most[n - 1]), np.uint32),
            new(size, np.uint32),
        )
        mine, theirs = (
            new(len(one.word[one.level(n)]), np.uint32),
            new(len(other.word[other.level(n)]), np.uint32),
        )
        size = _merge_level(
            _Side.of(one, n, numbers[0], mine), _Side.of(other, n, numbers[1], theirs), word, tally, begins
        )
        words.append(word[:size])
        counts.append(tally[:size])
        children.append(begins)
        numbers = [mine, theirs]
    first = np.r_[0, np.cumsum([len(word) for word in words])]
    merged = Levels(
        first,
        word=new(int(first[-1]), np.uint32),
        count=new(int(first[-1]), np.uint32),
        children=new(int(first[-2]) + 1, np.uint32),
        new=new,
    )
    merged.children[-1] = first[-1]
    for n in range(1, order + 1):
        merged.word[merged.level(n)], merged.count[merged.level(n)] = words[n - 1], counts[n - 1]
        if n < order:
            np.add(children[n - 1], np.uint32(first[n]), out=merged.children[merged.level(n)])
    return merged


class _Side(NamedTuple):
    """A level of one of the two that are merged."""

    word: Array  # as in `Levels`, and so are the next two
    counts: Array
    children: Array
    first_context: int
    first_node: int
    contexts: Array  # numbers of its contexts among the merged ones
    nodes: Array  # to be filled with those of its nodes

    @classmethod
    def of(cls, levels: Levels, n: int, contexts: Array, nodes: Array) -> "_Side":
        first_context, first_node = levels.first[n - 2 : n].tolist()
        return cls(levels.word, levels.count, levels.children, first_context, first_node, contexts, nodes)


@njit
def _merge_level(one, other, word, count, begins):
    """Merge the children of the contexts of both sides, in the order of the merged contexts.

    Returns:
        How many nodes the merged level has. The `nodes` of the two are filled with their numbers in it,
        `begins` with the first child of each merged context.
    """
    word_a, counts_a, children_a, first_context_a, first_node_a, contexts_a, nodes_a = one
    word_b, counts_b, children_b, first_context_b, first_node_b, contexts_b, nodes_b = other
    size, a, b = np.int64(0), np.int64(0), np.int64(0)  # merged nodes, contexts of either
    for context in range(len(begins)):
        begins[context] = size
        low_a = high_a = low_b = high_b = np.int64(0)
        if a < len(contexts_a) and contexts_a[a] == context:
            edge = first_context_a + a
            low_a, high_a = np.int64(children_a[edge]), np.int64(children_a[edge + 1])
            a += 1
        if b < len(contexts_b) and contexts_b[b] == context:
            edge = first_context_b + b
            low_b, high_b = np.int64(children_b[edge]), np.int64(children_b[edge + 1])
            b += 1
        while low_a < high_a or low_b < high_b:
            take_a = low_b >= high_b or (low_a < high_a and word_a[low_a] <= word_b[low_b])
            take_b = low_a >= high_a or (low_b < high_b and word_b[low_b] <= word_a[low_a])
            count[size] = 0
            if take_a:
                word[size] = word_a[low_a]
                count[size] += counts_a[low_a]
                nodes_a[low_a - first_node_a] = size
            if take_b:
                word[size] = word_b[low_b]
                count[size] += counts_b[low_b]
                nodes_b[low_b - first_node_b] = size
            low_a += take_a
            low_b += take_b
            size += 1
    return size
