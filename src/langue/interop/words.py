"""Text as KenLM reads it: a sentence a line, words between blanks, some 50 million words a second.

Words are known by a 64-bit hash of their bytes, as KenLM knows them (among a million words, two share
one with a probability of 3e-8), and texts never become Python strings. Blanks are those of `lmplz`
and of `query`, both: NUL, tab, line feed, vertical tab, form feed, carriage return, space.
"""

import codecs
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from langue.base.compiled import njit
from langue.base.errors import LangueError
from langue.models.ngram.counts import THREADS, New, each

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[Any]

BLANK = np.zeros(256, bool)
BLANK[[0, 9, 10, 11, 12, 13, 32]] = True
NEWLINE = np.uint8(10)
EMPTY = np.uint32(0xFFFFFFFF)
BLOCK = 1 << 20  # bytes checked at a time
START, STOP = EMPTY, np.uint32(0xFFFFFFFE)  # the ends of a line, while words are still being numbered


class Words:
    """A vocabulary: words to ids 0, 1, 2 ... and back."""

    def __init__(self, blob: Bytes, begins: Numbers, sizes: Numbers) -> None:
        self.blob = blob  # where word i is blob[begins[i] : begins[i] + sizes[i]]
        self.begins = begins
        self.sizes = sizes

    @classmethod
    def of(cls, words: Sequence[bytes]) -> "Words":
        sizes = np.array([len(word) for word in words], np.int64)
        return cls(np.frombuffer(b"".join(words), np.uint8), np.cumsum(sizes) - sizes, sizes)

    @cached_property
    def table(self) -> tuple[Numbers, Numbers]:
        """Slots of hashes, and ids beside them: what words are found by."""
        keys, ids = _table(_hashes(self.blob, self.begins, self.sizes))
        return keys, ids

    def __len__(self) -> int:
        return len(self.begins)

    def __getitem__(self, id: int) -> bytes:
        return self.blob[self.begins[id] : self.begins[id] + self.sizes[id]].tobytes()

    def id(self, word: bytes) -> int:
        """The id of a word, or -1."""
        return int(look_up(np.frombuffer(word, np.uint8), 0, len(word), *self.table))

    def encode(self, data: Bytes, *, unknown: int, start: int, stop: int) -> tuple[Numbers, Numbers]:
        """Ids of a text: for each line `start`, its words (`unknown` where not here), and `stop`.

        Returns:
            The stream, and `(lines + 1,)` where each line begins in it, and the last ends.
        """
        stream = np.empty(2 * len(data) + 3, np.uint32)  # what is never touched is never given
        begins = np.empty(np.count_nonzero(data == NEWLINE) + 2, np.int64)
        lines = _encode(data, BLANK, *self.table, unknown, start, stop, stream, begins)
        return stream[: begins[lines]], begins[: lines + 1]


def map_bytes(path: Path) -> Bytes:
    """The bytes of a file, read where it lies: they take no memory."""
    try:
        return np.asarray(np.memmap(path, np.uint8, "r")) if path.stat().st_size else np.empty(0, np.uint8)
    except OSError as error:
        raise LangueError(f"cannot read {path}: {error.strerror or error}") from error


def check_utf8(data: Bytes, path: Path) -> None:
    """Raise a `LangueError` that names the first byte of a file's contents that is no UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for begin in range(0, len(data), BLOCK):
        held = len(decoder.getstate()[0])  # bytes of a character that the block before cut
        try:
            decoder.decode(data[begin : begin + BLOCK].tobytes(), final=begin + BLOCK >= len(data))
        except UnicodeDecodeError as error:
            place = f"byte {begin - held + error.start}"
            raise LangueError(f"{path} is not UTF-8: {place}; convert it, for example with iconv") from None


def learn(
    data: Bytes, stop: int, known: Sequence[bytes] = (), *, memory: int = 0, new: New = np.empty
) -> tuple[Words, Numbers]:
    """The words of a text in the order of their first appearance, and the text in their ids.

    Args:
        known: words that are numbered first, whether the text has them or not.
        memory: bytes that tables of words may take; 0 sets no ceiling.
        new: makes the stream.

    Returns:
        The vocabulary, and a stream `(positions,)` uint32: for each line the size of the vocabulary
        for `<s>`, its words, and `stop`; one `<s>` more closes it.

    Raises:
        LangueError: the vocabulary alone takes more than `memory`.
    """
    first = Words.of(known)
    cuts = [0, *(after_line(data, len(data) * part // THREADS) for part in range(1, THREADS)), len(data)]
    parts = each(
        lambda begin, end: _learn(data[begin:end], first, memory // THREADS, new), cuts[:-1], cuts[1:]
    )
    begins, sizes, hashes, _ = parts[0]
    numbers = [np.arange(len(hashes), dtype=np.uint32)]
    for cut, (places, lengths, more, _) in zip(cuts[1:], parts[1:], strict=False):
        keys, ids = _table(hashes)
        number = _numbers(more, keys, ids, len(hashes))
        unseen = number >= len(hashes)
        begins, sizes = np.r_[begins, places[unseen] + cut], np.r_[sizes, lengths[unseen]]
        hashes = np.r_[hashes, more[unseen]]
        numbers.append(number)
    blob = np.empty(sizes.sum(), np.uint8)  # the text itself need not be kept
    _gather(first.blob, first.begins, sizes[: len(first)], blob)
    _gather(data, begins[len(first) :], sizes[len(first) :], blob[first.sizes.sum() :])
    streams = [stream for *_, stream in parts]
    del parts
    ends = np.cumsum([len(stream) for stream in streams])
    whole = new(int(ends[-1]) + 1, np.uint32)
    whole[-1] = len(hashes)
    each(
        lambda stream, number, end: _renumber(
            stream, number, len(hashes), stop, whole[end - len(stream) : end]
        ),
        streams,
        numbers,
        ends,
    )
    return Words(blob, np.cumsum(sizes) - sizes, sizes), whole


def after_line(data: Bytes, place: int) -> int:
    """The beginning of the first line at or after a place."""
    while 0 < place < len(data) and data[place - 1] != NEWLINE:
        place += 1
    return place


OFFSET, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # of FNV-1a


@njit
def _gather(data, begins, sizes, blob):  # type: ignore[no-untyped-def]
    at = 0
    for word in range(len(begins)):
        for place in range(begins[word], begins[word] + sizes[word]):
            blob[at] = data[place]
            at += 1


@njit
def _hashes(data, begins, sizes):  # type: ignore[no-untyped-def]
    hashes = np.empty(len(begins), np.uint64)
    for word in range(len(begins)):
        value = OFFSET
        for place in range(begins[word], begins[word] + sizes[word]):
            value = (value ^ np.uint64(data[place])) * PRIME
        hashes[word] = _mixed(value)
    return hashes


@njit
def look_up(data, begin, end, keys, ids):  # type: ignore[no-untyped-def]
    """The id of the word data[begin:end], or -1."""
    value = OFFSET
    for place in range(begin, end):
        value = (value ^ np.uint64(data[place])) * PRIME
    value = _mixed(value)
    mask = np.uint64(len(keys) - 1)
    slot = value & mask
    while keys[slot] != value and keys[slot] != 0:
        slot = (slot + np.uint64(1)) & mask
    return np.int64(ids[slot]) if keys[slot] == value else np.int64(-1)


@njit
def _mixed(value):  # type: ignore[no-untyped-def]
    """Spread over all bits, for the lower ones name the slot; never 0, which is an empty slot."""
    value = (value ^ (value >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return (value ^ (value >> np.uint64(29))) | np.uint64(1) << np.uint64(63)


@njit
def _table(hashes):  # type: ignore[no-untyped-def]
    """Slots of all words, at most a quarter of them taken: hashes, and ids beside them."""
    capacity = 1 << 14
    while capacity < 4 * len(hashes):
        capacity *= 2
    keys, ids = np.zeros(capacity, np.uint64), np.empty(capacity, np.uint32)
    mask = np.uint64(capacity - 1)
    for id in range(len(hashes)):
        slot = hashes[id] & mask
        while keys[slot] != 0:
            slot = (slot + np.uint64(1)) & mask
        keys[slot], ids[slot] = hashes[id], id
    return keys, ids


def _learn(data: Bytes, known: Words, memory: int, new: New) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """The places, sizes and hashes of the words of a text, and the text in their numbers."""
    room = len(data) // 2 + 1 + len(known)
    begins, sizes, hashes = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.uint64)
    count = len(known)
    begins[:count], sizes[:count] = known.begins, known.sizes
    hashes[:count] = _hashes(known.blob, known.begins, known.sizes)
    # What is never touched is never given; of a file, the disk sets aside all of it.
    stream = new(2 * len(data) + 3 if new is np.empty else _positions(data, BLANK), np.uint32)
    at = np.zeros(4, np.int64)  # place in the text and in the stream, words so far, whether inside a line
    at[2] = count
    while at[0] < len(data):  # once more whenever the table has grown too small
        keys, ids = _table(hashes[: at[2]])
        if memory and 2 * keys.nbytes > memory:
            raise LangueError(
                f"the vocabulary of the text takes more than --memory sets: {at[2]:,} words after "
                f"{at[0]:,} bytes; give it more"
            )
        _read(data, BLANK, keys, ids, at, begins, sizes, hashes, stream)
    if at[3]:  # the text ended with the last word that the table had room for
        stream[at[1]] = STOP
        at[1] += 1
    count = at[2]
    return begins[:count].copy(), sizes[:count].copy(), hashes[:count].copy(), stream[: at[1]]


@njit
def _positions(data, blank):  # type: ignore[no-untyped-def]
    """How many positions the stream of a text has: its words, and two for each line."""
    found, inside = np.int64(2), False
    for place in range(len(data)):
        word = not blank[data[place]]
        found += (word and not inside) + 2 * (data[place] == NEWLINE)
        inside = word
    return found


@njit
def _read(  # type: ignore[no-untyped-def]  # noqa: C901  # one pass, with no call for a word
    data, blank, keys, ids, reached, begins, sizes, hashes, stream
):
    """Read on until the text ends or half the slots are taken."""
    mask = np.uint64(len(keys) - 1)
    place, at, count, inside = reached[0], reached[1], reached[2], reached[3]
    while place < len(data) and 2 * count <= len(keys):
        if not inside:
            stream[at] = START
            at += 1
        inside = np.int64(0)
        while place < len(data) and data[place] != NEWLINE:
            begin, value = place, OFFSET
            while place < len(data) and not blank[data[place]]:
                value = (value ^ np.uint64(data[place])) * PRIME
                place += 1
            if place > begin:
                value = _mixed(value)
                slot = value & mask
                while keys[slot] != value and keys[slot] != 0:
                    slot = (slot + np.uint64(1)) & mask
                if keys[slot] == 0:
                    keys[slot], ids[slot] = value, count
                    begins[count], sizes[count], hashes[count] = begin, place - begin, value
                    count += 1
                    if 2 * count > len(keys):
                        inside = np.int64(1)
                stream[at] = ids[slot]
                at += 1
                if inside:
                    break
            elif data[place] != NEWLINE:
                place += 1
        if not inside:
            stream[at] = STOP
            at += 1
            place += 1
    reached[0], reached[1], reached[2], reached[3] = place, at, count, inside


@njit
def _numbers(hashes, keys, ids, count):  # type: ignore[no-untyped-def]
    """The ids of words by their hashes; those not in the table are numbered on from `count`."""
    number = np.empty(len(hashes), np.uint32)
    mask = np.uint64(len(keys) - 1)
    for word in range(len(hashes)):
        slot = hashes[word] & mask
        while keys[slot] != hashes[word] and keys[slot] != 0:
            slot = (slot + np.uint64(1)) & mask
        if keys[slot] == 0:
            number[word] = count
            count += 1
        else:
            number[word] = ids[slot]
    return number


@njit
def _renumber(stream, number, start, stop, renumbered):  # type: ignore[no-untyped-def]
    for index in range(len(stream)):
        id = stream[index]
        renumbered[index] = start if id == START else stop if id == STOP else number[id]


@njit
def _encode(data, blank, keys, ids, unknown, start, stop, stream, begins):  # type: ignore[no-untyped-def]
    mask = np.uint64(len(keys) - 1)
    at, place, line = np.int64(0), np.int64(0), np.int64(0)
    while place < len(data):
        begins[line] = at
        line += 1
        stream[at] = start
        at += 1
        while place < len(data) and data[place] != NEWLINE:
            begin, value = place, OFFSET
            while place < len(data) and not blank[data[place]]:
                value = (value ^ np.uint64(data[place])) * PRIME
                place += 1
            if place > begin:
                value = _mixed(value)
                slot = value & mask
                while keys[slot] != value and keys[slot] != 0:
                    slot = (slot + np.uint64(1)) & mask
                stream[at] = ids[slot] if keys[slot] == value else unknown
                at += 1
            elif data[place] != NEWLINE:
                place += 1
        stream[at] = stop
        at += 1
        place += 1
    begins[line] = at
    return line
