"""Texts as counts of the n-grams in them: of words, and of characters."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from langue.base.arrays import Float64Array, Int64Array
from langue.base.scripts import HAN

_UNIT = re.compile(rf"[{HAN}]|[^\W{HAN}]+(?:['’][^\W{HAN}]+)?|[^\w\s]")
LONGEST = 6  # characters of an n-gram of characters: a word, or a word of Chinese and what is around it


class Matrix(NamedTuple):
    """Rows of a sparse matrix, one after another."""

    starts: Int64Array  # (rows + 1,)
    columns: Int64Array
    values: Float64Array
    width: int

    @property
    def rows(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def dense(cls, table: Float64Array) -> "Matrix":
        """A table, and a column of ones behind it, for the bias: rows that lack nothing."""
        rows, width = table.shape[0], table.shape[1] + 1
        values = np.concatenate([table, np.ones((rows, 1))], 1).ravel()
        return cls(np.arange(rows + 1) * width, np.tile(np.arange(width), rows), values, width)


def words(texts: Sequence[str], longest: int) -> Iterator[str]:
    """N-grams of words, numbers and marks up to a length; of Chinese, of characters. Lower case.

    Of a pair: the n-grams that stand in both texts, and those that stand in one, are told apart.
    """
    yield from _told_apart([set(_words(text, longest)) for text in texts])


def unigrams(texts: Sequence[str]) -> Iterator[str]:
    return words(texts, 1)


def bigrams(texts: Sequence[str]) -> Iterator[str]:
    return words(texts, 2)


def characters(texts: Sequence[str], longest: int = LONGEST) -> Iterator[str]:
    """N-grams of two to so many characters, within words and the blanks around them."""
    yield from _told_apart([set(_characters(text, longest)) for text in texts])


def units(text: str) -> list[str]:
    """Words, numbers and marks; of Chinese, characters. Lower case."""
    parts: list[str] = _UNIT.findall(text.lower())
    return parts


def _words(text: str, longest: int) -> Iterator[str]:
    parts = units(text)
    for size in range(1, longest + 1):
        yield from (" ".join(parts[begin : begin + size]) for begin in range(len(parts) - size + 1))


def _characters(text: str, longest: int) -> Iterator[str]:
    for word in text.lower().split():
        spaced = f" {word} "
        for size in range(2, longest + 1):
            yield from ("#" + spaced[begin : begin + size] for begin in range(len(spaced) - size + 1))


def _told_apart(sets: Sequence[set[str]]) -> Iterator[str]:
    if len(sets) == 1:
        yield from sorted(sets[0])
        return
    shared = set.intersection(*sets)
    yield from sorted(f"={gram}" for gram in shared)
    yield from sorted(f"-{gram}" for gram in set.union(*sets) - shared)
    overlap = len(shared) / max(len(set.union(*sets)), 1)
    yield f"overlap {round(10 * overlap)}"


class Columns:
    """The n-grams of training texts, by number; those of fewer texts than `least` are left out.

    Args:
        rows: the n-grams of each text, each once.
    """

    def __init__(self, rows: Iterable[Iterable[str]], least: int) -> None:
        counts: dict[str, int] = {}
        for gram in chain.from_iterable(rows):
            counts[gram] = counts.get(gram, 0) + 1
        kept = (gram for gram, count in counts.items() if count >= least)
        self.numbers = {gram: number for number, gram in enumerate(kept)}

    def matrix(self, rows: Iterable[Iterable[str]]) -> Matrix:
        """Ones, and one more in a last column, for the bias."""
        starts, columns = [0], []
        for row in rows:
            columns += [self.numbers[gram] for gram in row if gram in self.numbers]
            columns.append(len(self.numbers))
            starts.append(len(columns))
        numbers = np.array(columns, np.int64)
        return Matrix(np.array(starts), numbers, np.ones(len(numbers)), len(self.numbers) + 1)


def averaged(matrix: Matrix) -> Matrix:
    """Rows that sum to one: what fastText reads (Joulin et al. 2017)."""
    lengths = np.diff(matrix.starts)
    return matrix._replace(values=matrix.values / np.repeat(lengths, lengths))
