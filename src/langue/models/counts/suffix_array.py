"""The suffix array of a corpus of tokens: every n-gram of any length, found by bisection.

All positions of the corpus, sorted by what stands there (Manber and Myers 1993). Those where one n-gram
begins lie side by side: a range, whose length is its count. The documents stand one after another, each
after its `<s>` (the size of the vocabulary, so the largest id), and an n-gram has `<s>` at its head or
nowhere: so none spans two documents.
"""

import numpy as np

from langue.base.arrays import Array
from langue.base.compiled import njit
from langue.models.counts.ngram.counts import quicksort


def suffix_array(stream: Array) -> Array:
    """Positions of a stream, sorted by what follows: `(positions,)` uint32.

    By prefix doubling (Larsson and Sadakane 2007): positions sorted by their first h tokens are sorted
    by 2h by looking up the rank of what lies h further on. Repeats of any length cost a logarithm.
    """
    begins = np.r_[0, np.cumsum(np.bincount(stream), dtype=np.int64)]
    suffixes = np.empty(len(stream), np.uint32)
    _double(stream, begins, suffixes)
    return suffixes


def is_suffix_array(stream: Array, suffixes: Array) -> bool:
    """Whether these are all positions of a stream, sorted by what follows: in linear time.

    Neighbors are in order if their tokens are or, where these are equal, what comes after them is, and of
    that the ranks tell (Burkhardt and Kärkkäinen 2003).
    """
    return bool(_is_sorted(stream, suffixes))


@njit
def _is_sorted(stream, suffixes):
    size = len(stream)
    rank = np.full(size + 1, -1, np.int64)  # of what begins at the end: it comes first
    for index in range(size):
        position = np.int64(suffixes[index])
        if position >= size or rank[position] >= 0:
            return False
        rank[position] = index
    for index in range(1, size):
        one, other = np.int64(suffixes[index - 1]), np.int64(suffixes[index])
        if stream[one] > stream[other] or (stream[one] == stream[other] and rank[one + 1] > rank[other + 1]):
            return False
    return True


@njit
def _double(stream, begins, suffixes):
    size = len(stream)
    rank = np.empty(size, np.uint32)  # the first place of the positions that are equal so far
    ends = begins.copy()
    for position in range(size):
        token = stream[position]
        suffixes[ends[token]] = position
        ends[token] += 1
        rank[position] = begins[token]
    keys = np.empty(np.diff(begins).max(), np.uint64)
    step, sorted_all = np.int64(1), False
    while not sorted_all:
        sorted_all = True
        begin = np.int64(0)
        while begin < size:
            end = begin + 1
            while end < size and rank[suffixes[end]] == begin:
                end += 1
            if end - begin > 1:
                sorted_all = False
                _refine(suffixes, rank, keys, begin, end, step)
            begin = end
        step *= 2


@njit
def _refine(suffixes, rank, keys, begin, end, step):
    """Sort positions that are equal so far by the rank of what lies `step` further on."""
    for index in range(begin, end):
        further = np.int64(suffixes[index]) + step
        keys[index - begin] = np.uint64(rank[further]) + np.uint64(1) if further < len(rank) else np.uint64(0)
    quicksort(keys, suffixes[begin:end], 0, end - begin)
    first = begin
    for index in range(begin, end):
        if keys[index - begin] != keys[first - begin]:
            first = index
        rank[suffixes[index]] = first


def matching_statistics(stream: Array, begin: int) -> tuple[Array, Array]:
    """What of a stream from `begin` on, a text, also stands in it before that (Chang and Lawler 1994).

    Returns:
        lengths: for each token of the text, of the longest piece that begins with it: `(tokens,)`.
        positions: of the stream, where that piece begins; -1 of a piece of no tokens: `(tokens,)`.
    """
    suffixes = suffix_array(stream)
    ranks = np.empty_like(suffixes)
    ranks[suffixes] = np.arange(len(stream), dtype=np.uint32)
    shared = np.zeros(len(stream) + 1, np.int64)
    _share(stream, suffixes, ranks, shared)
    lengths = np.zeros(len(stream) - begin, np.int64)
    positions = np.full(len(stream) - begin, -1, np.int64)
    _longest(suffixes, shared, begin, lengths, positions)
    return lengths, positions


@njit
def _share(stream, suffixes, ranks, shared):
    """How many tokens each suffix shares with the one before it in order (Kasai et al. 2001)."""
    same = 0
    for position in range(len(stream)):
        rank = ranks[position]
        if rank == 0:
            same = 0
            continue
        other = np.int64(suffixes[rank - 1])
        while (
            position + same < len(stream)
            and other + same < len(stream)
            and stream[position + same] == stream[other + same]
        ):
            same += 1
        shared[rank] = same
        same = max(same - 1, 0)


@njit
def _longest(suffixes, shared, begin, lengths, positions):
    """The longest match of each suffix of the text is the nearest one before or after it in order."""
    size = len(suffixes)
    for step in (1, -1):
        length, position = np.int64(0), np.int64(-1)
        for number in range(size):
            rank = number if step == 1 else size - 1 - number
            length = min(length, shared[rank] if step == 1 else shared[rank + 1])
            here = np.int64(suffixes[rank])
            if here < begin:
                length, position = np.int64(size), here
            elif length > lengths[here - begin]:
                lengths[here - begin], positions[here - begin] = length, position


@njit
def narrow(stream, suffixes, low, high, depth, token):
    """Narrow the range of an n-gram of `depth` tokens to the part where `token` comes next."""
    return (
        _first(stream, suffixes, low, high, depth, np.int64(token)),
        _first(stream, suffixes, low, high, depth, np.int64(token) + 1),
    )


@njit
def _first(stream, suffixes, low, high, depth, token):
    """The first place in a range where what comes after `depth` tokens is `token` or more."""
    while low < high:
        middle = (low + high) >> 1
        index = np.int64(suffixes[middle]) + depth
        if index >= len(stream) or np.int64(stream[index]) < token:  # what ends comes first
            low = middle + 1
        else:
            high = middle
    return low


@njit
def locate(stream, suffixes, tokens):
    """The range of an n-gram: it is empty if the n-gram does not occur."""
    low, high = np.int64(0), np.int64(len(suffixes))
    for depth in range(len(tokens)):
        low, high = narrow(stream, suffixes, low, high, depth, tokens[depth])
        if low == high:
            break
    return low, high


@njit
def follow(stream, suffixes, text, begin, end, low, high):
    """Read text[place] after the match text[begin:place] with the range [low, high).

    Returns:
        The begin and the range of the longest match that ends with the token read; an empty match has
        the whole array for a range.
    """
    low, high = narrow(stream, suffixes, low, high, end - begin, text[end])
    while low == high:
        begin += 1
        low, high = locate(stream, suffixes, text[begin : end + 1])
    return begin, low, high
