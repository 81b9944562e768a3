"""Text as KenLM reads it: a sentence a line, words between blanks, some 50 million words a second.

Words are known by their hashes (`word_slots.py`), and texts never become Python strings. Blanks are those of
`lmplz` and of `query`, both: NUL, tab, line feed, vertical tab, form feed, carriage return, space.
"""

import codecs
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import numpy as np

from langue.base.arrays import Array, UInt8Array
from langue.base.compiled import njit, prefetch
from langue.base.errors import LangueError
from langue.base.parallel import parallel_map
from langue.corpus.lines import LARGEST
from langue.interop.word_slots import hash_word, hashes_of, id_in, look_up, put, slot_of, slots_of
from langue.models.counts.ngram.counts import New, scratch

BLANK = np.zeros(256, bool)
BLANK[[0, 9, 10, 11, 12, 13, 32]] = True
_A_BLANK = re.compile(b"[%b]" % re.escape(bytes(np.flatnonzero(BLANK).tolist())))
NEWLINE = np.uint8(10)
EMPTY = np.uint32(0xFFFFFFFF)
CHUNK_BYTES = 1 << 20  # checked at a time
LINE_BYTES = 1 << 10  # looked through for the end of a line at a time
PART_BYTES = 1 << 23  # of a text, whose words are learned alone ...
MIN_PARTS, MAX_PARTS = 2, 16  # ... in so many parts: each has its vocabulary, so the least under a ceiling
NO_ALIASES: Mapping[bytes, int] = MappingProxyType({})
START, STOP = EMPTY, np.uint32(0xFFFFFFFE)  # the ends of a line, while words are still being numbered


class Words:
    """A vocabulary: words to ids 0, 1, 2 ... and back."""

    def __init__(self, blob: UInt8Array, begins: Array, sizes: Array) -> None:
        self.blob = blob  # where word i is blob[begins[i] : begins[i] + sizes[i]]
        self.begins = begins
        self.sizes = sizes

    @classmethod
    def of(cls, words: Sequence[bytes]) -> "Words":
        sizes = np.array([len(word) for word in words], np.int64)
        return cls(np.frombuffer(b"".join(words), np.uint8), np.cumsum(sizes) - sizes, sizes)

    @cached_property
    def slots(self) -> Array:
        """What words are found by; see `slot_of`."""
        slots: Array = slots_of(hashes_of(self.blob, self.begins, self.sizes), 2)
        return slots

    def add_alias(self, word: bytes, id: int) -> None:
        """Have another word, where it is none of these, taken for one of them."""
        _add_alias(self.slots, word, id)

    def __len__(self) -> int:
        return len(self.begins)

    def __getitem__(self, id: int) -> bytes:
        return self.blob[self.begins[id] : self.begins[id] + self.sizes[id]].tobytes()

    def id(self, word: bytes) -> int:
        """The id of a word, or -1."""
        return int(look_up(np.frombuffer(word, np.uint8), 0, len(word), self.slots))

    def encode(
        self, data: UInt8Array, *, unknown: int, start: int, stop: int, room: Array | None = None
    ) -> tuple[Array, Array]:
        """Ids of a text: for each line `start`, its words (`unknown` where not here), and `stop`.

        Args:
            room: uint32, to write the stream into where it is large enough, as it is twice the text's size.

        Returns:
            The stream, and `(lines + 1,)` where each line begins in it, and the last ends.
        """
        most = 2 * len(data) + 3  # what is never touched is never given
        stream = np.empty(most, np.uint32) if room is None or len(room) < most else room
        begins = np.empty(np.count_nonzero(data == NEWLINE) + 2, np.int64)
        lines = _encode(data, BLANK, self.slots, unknown, start, stop, stream, begins)
        return stream[: begins[lines]], begins[: lines + 1]


def _add_alias(slots: Array, word: bytes, id: int) -> None:
    hashed = hashes_of(np.frombuffer(word, np.uint8), np.zeros(1, np.int64), np.array([len(word)]))[0]
    slot, known = slot_of(slots, hashed)
    if not known:
        put(slots, slot, hashed, id)


def map_bytes(path: Path) -> UInt8Array:
    """The bytes of a file, read where it lies: they take no memory."""
    try:
        return np.asarray(np.memmap(path, np.uint8, "r")) if path.stat().st_size else np.empty(0, np.uint8)
    except OSError as error:
        raise LangueError(f"cannot read {path}: {error.strerror or error}") from error


def check_utf8(data: UInt8Array, path: Path) -> None:
    """Raise a `LangueError` that names the first byte of a file's contents that is no UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for begin in range(0, len(data), CHUNK_BYTES):
        held = len(decoder.getstate()[0])  # bytes of a character that the block before cut
        try:
            decoder.decode(
                data[begin : begin + CHUNK_BYTES].tobytes(), final=begin + CHUNK_BYTES >= len(data)
            )
        except UnicodeDecodeError as error:
            position = f"byte {begin - held + error.start}"
            raise LangueError(
                f"{path} is not UTF-8: {position}; convert it, for example with iconv"
            ) from None


def check_lengths(data: UInt8Array, path: Path) -> None:
    """Raise a `LangueError` unless the words of a text are shorter than what other verbs cut lines to: a
    longer one would be read otherwise than it was counted, and be held several times over."""
    without = 0
    for begin in range(0, len(data), CHUNK_BYTES):
        chunk = data[begin : begin + CHUNK_BYTES].tobytes()
        without = 0 if _A_BLANK.search(chunk) else without + len(chunk)
        if without >= LARGEST:
            raise LangueError(
                f"{path} has a word of over {LARGEST >> 20} MB: words stand between blanks; cut the text "
                "into tokens (langue prepare TEXT -o STORE), and train on the store"
            )


def learn(
    data: UInt8Array,
    stop: int,
    known: Sequence[bytes] = (),
    *,
    aliases: Mapping[bytes, int] = NO_ALIASES,
    memory: int = 0,
    new: New = np.empty,
) -> tuple[Words, Array]:
    """The words of a text in the order of their first appearance, and the text in their ids.

    Args:
        known: words that are numbered first, whether the text has them or not.
        aliases: other words that are taken for some of these, by their numbers.
        memory: bytes that tables of words may take; 0 sets no ceiling.
        new: makes the stream.

    Returns:
        The vocabulary, and a stream `(positions,)` uint32: for each line the size of the vocabulary
        for `<s>`, its words, and `stop`; one `<s>` more closes it.

    Raises:
        LangueError: the vocabulary alone takes more than `memory`.
    """
    first = Words.of(known)
    count = min(max(len(data) // PART_BYTES, MIN_PARTS), MIN_PARTS if memory else MAX_PARTS)
    cuts = [0, *(after_line(data, len(data) * part // count) for part in range(1, count)), len(data)]
    parts = parallel_map(
        lambda span: _learn(data[slice(*span)], first, aliases, memory // count, new), pairwise(cuts)
    )
    begins, sizes, hashes, _ = parts[0]
    numbers = [np.arange(len(hashes), dtype=np.uint32)]
    for cut, (positions, lengths, more, _) in zip(cuts[1:], parts[1:], strict=False):
        number = _numbers(more, slots_of(hashes, 2), len(hashes))
        unseen = number >= len(hashes)
        begins, sizes = np.r_[begins, positions[unseen] + cut], np.r_[sizes, lengths[unseen]]
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

    def renumber(part: tuple[Array, Array, int]) -> None:
        stream, number, end = part
        _renumber(stream, number, len(hashes), stop, whole[end - len(stream) : end])

    parallel_map(renumber, zip(streams, numbers, ends.tolist(), strict=True))
    return Words(blob, np.cumsum(sizes) - sizes, sizes), whole


def after_line(data: UInt8Array, position: int) -> int:
    """The beginning of the first line at or after a position."""
    begin = max(position - 1, 0)
    while position > 0 and begin < len(data):
        offset = data[begin : begin + LINE_BYTES].tobytes().find(b"\n")
        if offset >= 0:
            return begin + offset + 1
        begin += LINE_BYTES
    return len(data) if position > 0 else 0


AHEAD = 64  # words whose slots are being fetched while the text is read on


@njit
def _gather(data, begins, sizes, blob):
    at = 0
    for word in range(len(begins)):
        for position in range(begins[word], begins[word] + sizes[word]):
            blob[at] = data[position]
            at += 1


def _learn(
    data: UInt8Array, known: Words, aliases: Mapping[bytes, int], memory: int, new: New
) -> tuple[Array, Array, Array, Array]:
    """The positions, sizes and hashes of the words of a text, and the text in their numbers."""
    room = len(data) // 2 + 1 + len(known)
    begins, sizes, hashes = scratch(room, np.int64), scratch(room, np.int64), scratch(room, np.uint64)
    count = len(known)
    begins[:count], sizes[:count] = known.begins, known.sizes
    hashes[:count] = hashes_of(known.blob, known.begins, known.sizes)
    # What is never touched is never given; of a file, the disk sets aside all of it.
    stream = new(2 * len(data) + 3 if new is np.empty else _positions(data, BLANK), np.uint32)
    at = np.zeros(4, np.int64)  # position in the text and in the stream, words so far, whether inside a line
    at[2] = count
    while at[0] < len(data):  # once more whenever the table has grown too small
        slots = slots_of(hashes[: at[2]], 4)
        for word, id in aliases.items():
            _add_alias(slots, word, id)
        if memory and 2 * slots.nbytes > memory:
            raise LangueError(
                f"the vocabulary of the text takes more than --memory sets: {at[2]:,} words after "
                f"{at[0]:,} bytes; give it more"
            )
        _read(data, BLANK, slots, at, begins, sizes, hashes, stream)
    if at[3]:  # the text ended with the last word that the table had room for
        stream[at[1]] = STOP
        at[1] += 1
    count = at[2]
    return begins[:count].copy(), sizes[:count].copy(), hashes[:count].copy(), stream[: at[1]]


@njit
def _positions(data, blank):
    """How many positions the stream of a text has: its words, and two for each line."""
    count, inside = np.int64(2), False
    for position in range(len(data)):
        word = not blank[data[position]]
        count += (word and not inside) + 2 * (data[position] == NEWLINE)
        inside = word
    return count


@njit
def _read(  # one pass, with no call for a word
    data, blank, slots, reached, begins, sizes, hashes, stream
):
    """Read on until the text ends or half the slots are taken."""
    position, at, count, inside = reached[0], reached[1], reached[2], reached[3]
    while position < len(data) and 2 * count < len(slots):
        if not inside:
            stream[at] = START
            at += 1
        inside = np.int64(0)
        while position < len(data) and data[position] != NEWLINE:
            if not blank[data[position]]:
                begin = position
                value, position = hash_word(data, blank, position, len(data))
                slot, known = slot_of(slots, value)
                if not known:
                    put(slots, slot, value, count)
                    begins[count], sizes[count], hashes[count] = begin, position - begin, value
                    count += 1
                    if 2 * count == len(slots):
                        inside = np.int64(1)
                stream[at] = id_in(slots, slot)
                at += 1
                if inside:
                    break
            else:
                position += 1
        if not inside:
            stream[at] = STOP
            at += 1
            position += 1
    reached[0], reached[1], reached[2], reached[3] = position, at, count, inside


@njit
def _numbers(hashes, slots, count):
    """The ids of words by their hashes; those not in the table are numbered on from `count`."""
    number = np.empty(len(hashes), np.uint32)
    for word in range(len(hashes)):
        slot, known = slot_of(slots, hashes[word])
        if known:
            number[word] = id_in(slots, slot)
        else:
            number[word] = count
            count += 1
    return number


@njit
def _renumber(stream, number, start, stop, renumbered):
    for index in range(len(stream)):
        id = stream[index]
        renumbered[index] = start if id == START else stop if id == STOP else number[id]


@njit
def _encode(data, blank, slots, unknown, start, stop, stream, begins):
    mask = np.uint64(len(slots) - 1)
    hashes, positions = (
        np.empty(AHEAD, np.uint64),
        np.empty(AHEAD, np.int64),
    )  # of words that wait for their ids
    waiting, at, position, line = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    while position < len(data):
        begins[line] = at
        line += 1
        stream[at] = start
        at += 1
        while position < len(data) and data[position] != NEWLINE:
            if blank[data[position]]:
                position += 1
                continue
            value, position = hash_word(data, blank, position, len(data))
            prefetch(slots, np.int64(value & mask))
            hashes[waiting], positions[waiting] = value, at
            waiting += 1
            at += 1
            if waiting == AHEAD:
                _fill_in(hashes, positions, waiting, slots, unknown, stream)
                waiting = np.int64(0)
        stream[at] = stop
        at += 1
        position += 1
    _fill_in(hashes, positions, waiting, slots, unknown, stream)
    begins[line] = at
    return line


@njit
def _fill_in(hashes, positions, waiting, slots, unknown, stream):
    """Write down the ids of the words that wait for them."""
    for index in range(waiting):
        slot, known = slot_of(slots, hashes[index])
        stream[positions[index]] = id_in(slots, slot) if known else unknown
