"""Counting: every n-gram of a corpus, of every order up to the highest, as the levels of a trie.

An n-gram is named by its context (the n-gram less its last word, by its number in the level before)
and its last word. Sorting these pairs counts them, numbers them densely, and puts the children of a
context side by side. Each document begins with `<s>`, whose id is the size of the vocabulary; an
n-gram never spans two documents.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from langue.tokens.store import Split

Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class Level:
    """The n-grams of one order, sorted by (context, word); arrays are `(n-grams,)`."""

    context: Numbers  # number, in the level before, of the n-gram less its last word
    word: Numbers  # its last word
    suffix: Numbers  # number, in the level before, of the n-gram less its first word
    count: Numbers  # how often it occurs

    def __len__(self) -> int:
        return len(self.word)


def count(split: Split, vocabulary_size: int, order: int) -> list[Level]:
    """The levels 1 to `order` of the trie; level 1 has every id of the vocabulary, then `<s>`."""
    stream, depth = _stream(split, vocabulary_size)
    nothing = np.zeros(vocabulary_size + 1, np.uint32)
    counts = np.bincount(stream, minlength=vocabulary_size + 1)
    levels = [Level(nothing, np.arange(vocabulary_size + 1, dtype=np.uint32), nothing, counts)]
    number = stream  # of the n-gram that ends at each position of the stream
    for n in range(2, order + 1):
        ends = np.flatnonzero(depth >= n - 1)
        keys = number[ends - 1].astype(np.uint64) << np.uint64(32) | stream[ends]
        by_key = np.argsort(keys, kind="stable")
        keys = keys[by_key]
        first = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]][: len(keys)])
        counts = np.diff(np.r_[first, len(keys)])
        keys = keys[first]
        levels.append(
            Level(
                context=(keys >> np.uint64(32)).astype(np.uint32),
                word=keys.astype(np.uint32),
                suffix=number[ends[by_key[first]]],
                count=counts,
            )
        )
        number = np.zeros(len(stream), np.uint32)
        number[ends[by_key]] = np.repeat(np.arange(len(keys), dtype=np.uint32), counts)
    return levels


def _stream(split: Split, start: int) -> tuple[Numbers, Numbers]:
    """All documents one after another, each after its `<s>`; and how far each word is from its own."""
    offsets = split.offsets.astype(np.int64)
    starts = offsets[:-1] + np.arange(len(split))
    words = np.ones(len(split.tokens) + len(split), bool)
    words[starts] = False
    stream = np.full(len(words), start, np.uint32)
    stream[words] = split.tokens
    depth = np.arange(len(words)) - np.repeat(starts, np.diff(offsets) + 1)
    return stream, depth
