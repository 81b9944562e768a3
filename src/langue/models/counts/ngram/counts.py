"""Counting: every n-gram of a corpus, of every order up to the highest, as the levels of a trie.

The positions of the text are sorted by the words that begin there, as far as the order reaches and
the document goes: a suffix array cut short. N-grams that are equal then lie side by side, which counts
them; those with the same beginning lie side by side too, which is the trie. Each document begins with
`<s>`, whose id is the size of the vocabulary; an n-gram never spans two documents.
"""

import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt

from langue.base.arrays import Array
from langue.base.compiled import njit
from langue.base.errors import LangueError
from langue.base.parallel import default_workers, parallel_imap, parallel_map
from langue.base.progress import log
from langue.tokens.store import Split

New = Callable[[int, npt.DTypeLike], Array]  # makes an array of a size and a type
MOST = 0xFFFFFFFF  # nodes, and positions of a stream, that 32 bits number
PART_POSITIONS = 1 << 17  # of a part of the text that is counted alone: long beside the start of a thread
# Parts of a large text, and for each worker of many: they are of different sizes, and each reads through the
# whole text for its words, a hundredth of what counting takes.
MAX_PARTS, PARTS_EACH = 16, 2
CHUNK_TOKENS = 1 << 22  # of a stream that are written, or tallied, at a time
MAX_TALLIES = 8  # each has a number for every word


@dataclass(frozen=True)
class Levels:
    """The n-grams of every order; nodes are numbered level by level, and sorted within a level.

    Node w is the unigram w, and node `vocabulary_size` is `<s>`. Contexts are the nodes below the
    highest order.
    """

    first: Array  # (order + 1,) int64: the first node of each level, and the end of the last
    word: Array  # (nodes,) uint32: the last word; children of a context are sorted by it
    count: Array  # (nodes,) uint32: how often the n-gram occurs
    children: Array  # (contexts + 1,) uint32: the first child of each context
    new: New = np.empty  # makes arrays that grow with the corpus

    def __post_init__(self) -> None:
        check_numbered(int(self.first[-1]))

    @property
    def order(self) -> int:
        return len(self.first) - 1

    def level(self, n: int) -> slice:
        """The nodes of the n-grams of `n` words."""
        return slice(int(self.first[n - 1]), int(self.first[n]))


def check_numbered(ngrams: int) -> None:
    """Raise a `LangueError` if there are more n-grams than 32 bits number."""
    if ngrams > MOST:
        raise LangueError(f"{ngrams:,} n-grams are more than langue numbers; take a lower order")


def scratch(size: int, dtype: npt.DTypeLike) -> Array:
    """An array whose memory is taken a small page at a time, and given back with the array: those of
    `np.empty` take huge pages, and may stay with the process."""
    if not size:
        return np.empty(0, dtype)
    if not hasattr(mmap, "MADV_NOHUGEPAGE"):  # not Linux: no huge pages either
        return np.empty(size, dtype)
    memory = mmap.mmap(-1, size * np.dtype(dtype).itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, dtype)


def stream_of(split: Split, start: int, new: New = np.empty) -> Array:
    """All documents one after another, each after its `<s>` (`start`), and one `<s>` at the end."""
    stream = new(len(split.tokens) + len(split) + 1, np.uint32)
    chunks = len(split.tokens) // CHUNK_TOKENS + 1
    wanted = np.linspace(0, len(split.tokens), chunks + 1)[1:-1].astype(np.uint64)
    edges = np.searchsorted(split.offsets, wanted)
    documents = pairwise([0, *edges.tolist(), len(split)])
    parallel_map(lambda part: _fill(split.tokens, split.offsets, start, *part, stream), documents)
    stream[-1] = start
    return stream


def count(
    stream: Array,
    vocabulary_size: int,
    order: int,
    *,
    positions: int | None = None,
    new: New = np.empty,
) -> Levels:
    """Count the n-grams of orders 1 to `order`.

    Args:
        stream: `(positions,)` uint32, as `stream_of` makes it.
        positions: count those that begin at the first so many positions; all but the `<s>` at the end.
        new: makes the arrays of the levels.
    """
    if len(stream) > MOST:
        raise LangueError(f"{len(stream):,} tokens are too many at once; count in blocks: --memory 1000")
    _announce()
    positions = len(stream) - 1 if positions is None else positions
    unigrams = _count_words(stream[:positions], vocabulary_size + 1)
    begins = np.r_[0, np.cumsum(unigrams, dtype=np.int64)]
    # The work is cut by first words: what begins with some of them is a part of the trie that is whole.
    parts = min(positions // PART_POSITIONS + 1, max(MAX_PARTS, PARTS_EACH * default_workers()))
    cuts = np.searchsorted(begins, np.linspace(0, begins[-1], parts + 1)[1:-1])
    edges = np.r_[0, cuts, vocabulary_size + 1].tolist()
    branches = parallel_map(
        lambda words: _branch(stream, positions, begins, *words, order, vocabulary_size), pairwise(edges)
    )
    return _join(unigrams, branches, order, new)


def _count_words(stream: Array, words: int) -> Array:
    """How often each word stands in a stream, `(words,)`."""
    size = max(CHUNK_TOKENS, len(stream) // MAX_TALLIES + 1)
    chunks = [stream[begin : begin + size] for begin in range(0, len(stream), size)]

    def tally(chunk: Array) -> Array:
        counts = np.zeros(words, np.uint32)
        _tally(chunk, counts)
        return counts

    total = np.zeros(words, np.uint32)
    for counts in parallel_imap(tally, chunks):
        total += counts
    return total


def _announce() -> None:
    """Say why the first time of all takes longer."""
    kept = Path(__file__).parent / "__pycache__"
    elsewhere = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    if not elsewhere and os.access(kept, os.W_OK) and not any(kept.glob("counts.*.nbi")):
        log.info("compiling the n-gram engine: this is done once, and takes some seconds")


@dataclass
class _Branches:
    """The trie below one range of words: row n of an array is level n + 1, filled up to `sizes[n]`."""

    sizes: Array
    arrays: dict[str, Array]  # word, count, children (numbered from the first child in this range)


def _branch(
    stream: Array, size: int, begins: Array, low: int, high: int, order: int, start: int
) -> _Branches:
    own = int(begins[high] - begins[low])
    sizes = np.zeros(order, np.int64)
    # Memory that is never touched is never given by the system, if its pages are small: what counts is what
    # is filled.
    shape = order, own + high - low
    word, count, children = (scratch(shape[0] * shape[1], np.uint32).reshape(shape) for _ in range(3))
    positions = scratch(own, np.uint32)
    _sort_by_word(stream[:size], begins[low : high + 1] - begins[low], low, high, positions)
    _sort_and_read(
        stream, positions, begins[low : high + 1] - begins[low], order, start, sizes, word, count, children
    )
    return _Branches(sizes, {"word": word, "count": count, "children": children})


def _join(unigrams: Array, parts: list[_Branches], order: int, new: New) -> Levels:
    """Put the branches side by side, level by level, and let go of them."""
    sizes = np.array([part.sizes for part in parts])  # (parts, order)
    first = np.r_[0, np.cumsum(sizes.sum(0))]
    before = np.r_[np.zeros((1, order), np.int64), np.cumsum(sizes, 0)]  # nodes in the parts before
    joined = {}
    for name in ("word", "count", "children"):
        levels = order - (name == "children")
        joined[name] = new(int(first[levels] + (name == "children")), np.uint32)
        begins = first[:levels] + before[:-1, :levels]
        added = first[1:order] + before[:-1, 1:] if name == "children" else np.zeros_like(begins)
        pieces = [part.arrays.pop(name) for part in parts]
        _copy_pieces(pieces, sizes, begins, added.astype(np.uint32), joined[name])
    joined["children"][-1] = first[-1]
    joined["word"][: len(unigrams)], joined["count"][: len(unigrams)] = np.arange(len(unigrams)), unigrams
    return Levels(first, joined["word"], joined["count"], joined["children"], new)


def _copy_pieces(pieces: list[Array], sizes: Array, begins: Array, added: Array, array: Array) -> None:
    """Copy row n of each piece, as far as it is filled, to its place, with a number added.

    Args:
        sizes, begins, added: `(parts, levels)`.
    """

    def copy(index: tuple[int, ...]) -> None:
        part, n = index
        target = array[begins[index] : begins[index] + sizes[index]]
        np.add(pieces[part][n, : sizes[index]], added[index], out=target)

    parallel_map(copy, np.ndindex(begins.shape))


@njit
def _fill(tokens, offsets, start, first, last, stream):
    """Write the documents [first, last), each after its `<s>`."""
    at = np.int64(offsets[first]) + first
    for document in range(first, last):
        stream[at] = start
        at += 1
        for position in range(np.int64(offsets[document]), np.int64(offsets[document + 1])):
            stream[at] = tokens[position]
            at += 1


@njit
def _tally(stream, counts):
    for word in stream:
        counts[word] += np.uint32(1)


@njit
def _sort_by_word(stream, begins, low, high, positions):
    """Sort the positions of words in [low, high) by word."""
    ends = begins.copy()
    for position in range(len(stream)):
        word = stream[position]
        if low <= word < high:
            positions[ends[word - low]] = position
            ends[word - low] += 1


@njit
def _sort_and_read(stream, positions, begins, order, start, sizes, word, count, children):
    """Sort the positions of each first word by the words after it, and read the trie off."""
    longest = np.int64(0)
    for first in range(len(begins) - 1):
        longest = max(longest, begins[first + 1] - begins[first])
    keys, common = np.empty(longest, np.uint64), np.empty(longest, np.uint8)
    for first in range(len(begins) - 1):
        same = positions[begins[first] : begins[first + 1]]
        children[0, first] = sizes[1] if order > 1 else 0
        sizes[0] += 1
        if order > 1 and len(same):
            _sort(stream, same, keys, common, order, start)
            length = np.int64(1)  # words of the n-gram at the position before
            for index in range(len(same)):
                shared = min(np.int64(common[index]), length)
                for n in range(1, shared):
                    count[n, sizes[n] - 1] += 1
                if common[index] == order:
                    continue  # the same to its end, and its words need not be fetched
                position, length = np.int64(same[index]), max(shared, np.int64(1))
                while length < order and stream[position + length] != start:
                    node = sizes[length]
                    word[length, node] = stream[position + length]
                    count[length, node] = 1
                    if length + 1 < order:
                        children[length, node] = sizes[length + 1]
                    sizes[length] += 1
                    length += 1


@njit
def _sort(stream, positions, keys, common, order, start):
    """Sort positions of one first word; `common[i]` tells how many words i and i - 1 have in common.

    As many words as fit are packed into a key of 64 bits. A run of equal keys is sorted by the words
    after them, until the order is reached.
    """
    bits = 1
    while (start >> bits) > 0:
        bits += 1
    packed = 64 // bits
    size = len(positions)
    common[:size] = order
    common[0] = 0
    depth = 1
    while depth < order:
        words = min(packed, order - depth)
        begin = 0
        while begin < size:
            end = begin + 1
            while end < size and common[end] == order:
                end += 1
            if end - begin > 1:
                for index in range(begin, end):
                    keys[index] = _key(stream, np.int64(positions[index]) + depth, words, bits, start)
                quicksort(keys, positions, begin, end)
                for index in range(begin + 1, end):
                    differ = keys[index] ^ keys[index - 1]
                    if differ:
                        equal = 0
                        while (differ >> np.uint64(64 - bits * (equal + 1))) == 0:
                            equal += 1
                        common[index] = depth + equal
            begin = end
        depth += packed


@njit
def _key(stream, position, words, bits, start):
    """The words from a place on, the first in the highest bits; 0 from the end of the document on."""
    key = np.uint64(0)
    shift = 64 - bits
    for index in range(words):
        word = stream[position + index]
        if word == start:
            break
        key |= np.uint64(word + 1) << np.uint64(shift)
        shift -= bits
    return key


@njit
def quicksort(keys, positions, begin, end):
    """Sort keys[begin:end] and the positions beside them; runs of equal keys cost nothing."""
    lows, highs = np.empty(64, np.int64), np.empty(64, np.int64)
    lows[0], highs[0] = begin, end
    waiting = 1
    while waiting:
        waiting -= 1
        low, high = lows[waiting], highs[waiting]
        while high - low > 16:
            pivot = _middle(keys[low], keys[(low + high) // 2], keys[high - 1])
            # Without a branch for each key: which side one goes to cannot be guessed.
            left = low
            for at in range(low, high):
                key, position = keys[at], positions[at]
                keys[at], positions[at] = keys[left], positions[left]
                keys[left], positions[left] = key, position
                left += np.int64(key < pivot)
            right = left
            for at in range(left, high):
                key, position = keys[at], positions[at]
                keys[at], positions[at] = keys[right], positions[right]
                keys[right], positions[right] = key, position
                right += np.int64(key == pivot)
            # The larger part waits: then the stack never grows beyond the logarithm of the size.
            if left - low > high - right:
                lows[waiting], highs[waiting] = low, left
                low = right
            else:
                lows[waiting], highs[waiting] = right, high
                high = left
            waiting += 1
        for index in range(low + 1, high):
            key, position = keys[index], positions[index]
            at = index
            while at > low and keys[at - 1] > key:
                keys[at], positions[at] = keys[at - 1], positions[at - 1]
                at -= 1
            keys[at], positions[at] = key, position


@njit
def _middle(a, b, c):
    return max(min(a, b), min(max(a, b), c))
