"""The lines of a file and their text: long ones cut, old line ends understood, wrong bytes named."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from langue.base.errors import Damaged
from langue.base.progress import log
from langue.corpus.config import DataConfig
from langue.corpus.document import Document
from langue.corpus.ledger import Ledger

LARGEST = 16 << 20  # bytes of one document: a few of them in flight stay far below 500 MB
READ_BYTES = 1 << 18  # read at a time, where lines are taken in blocks
BOM = b"\xef\xbb\xbf"


class Malformed(Damaged):
    """A text or record is wrong; preparing a corpus can pass it over, other verbs are given no choice.

    Args:
        choices: values of `--invalid` that help.
    """

    def __init__(self, message: str, *choices: str) -> None:
        super().__init__(message)
        self.choices = choices


@contextmanager
def naming_choices() -> Iterator[None]:
    """Of whoever has `--invalid`: name it where something is malformed."""
    try:
        yield
    except Malformed as error:
        choices = " or ".join(f"--invalid={choice}" for choice in error.choices)
        raise Damaged(f"{error.message}, or pass {choices}") from None


class Lines:
    """The lines of a binary file whose head was already read, each with its end.

    A line longer than `LARGEST` comes in parts, cut between characters, and is counted. Lines that end
    in `\\r` alone, as those of old Macintoshes do, end in `\\n`.
    """

    def __init__(self, file: BinaryIO, head: bytes, ledger: Ledger) -> None:
        self._file = file
        self._head = head
        self._ledger = ledger
        if has_old_line_ends(head):
            self._head = head.replace(b"\r", b"\n")
            self._file = cast(BinaryIO, io.BufferedReader(_OldLineEnds(file), 1 << 16))

    def __iter__(self) -> Iterator[bytes]:
        *lines, rest = self._head.split(b"\n")
        for line in lines:
            self._ledger.lines += 1
            yield line + b"\n"
        while line := rest + self._file.readline(LARGEST):
            rest = b""
            if len(line) >= LARGEST and not line.endswith(b"\n"):
                line, rest = whole_characters(line)
                self._ledger.changed["lines cut for their length"] += 1
            else:
                self._ledger.lines += 1
            yield line

    def blocks(self, sizes: Iterator[int], waits: Callable[[], bool]) -> Iterator[bytes]:
        """The same lines, so many bytes of them at a time, and fewer where whoever reads on would wait.

        Args:
            sizes: of the blocks in turn: each goes on to the end of the line.
            waits: whether nothing more can be read yet.
        """
        held, searched, file = self._head, 0, cast(io.BufferedReader, self._file)
        size = next(sizes)
        while True:
            end = held.find(b"\n", max(size - 1, searched)) + 1
            if not end and len(held) < LARGEST:
                if held and waits():
                    end = held.rfind(b"\n") + 1
                if not end:
                    searched = len(held)
                    if not (data := file.read1(READ_BYTES)):
                        break
                    held += data
                    continue
            if not end:
                self._ledger.changed["lines cut for their length"] += 1
                end = held.rfind(b"\n") + 1 or len(whole_characters(held[:LARGEST])[0])
            yield held[:end]
            held, searched, size = held[end:], 0, next(sizes)
        if held:
            yield held


def has_old_line_ends(head: bytes) -> bool:
    """Whether lines end in `\\r` alone, by the first bytes of a file."""
    return b"\r" in head and b"\n" not in head


class _OldLineEnds(io.RawIOBase):
    """A file with `\\n` for every `\\r`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(data)] = data
        return len(data)


class Blocks(io.RawIOBase):
    """A file of blocks of bytes, read as they come."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._blocks, b"")
        data, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def whole_characters(data: bytes) -> tuple[bytes, bytes]:
    """The whole UTF-8 characters at the start of `data`, and the bytes of one that is cut short."""
    last = len(data) - 1
    while last > len(data) - 4 and data[last] & 0xC0 == 0x80:
        last -= 1
    return (data, b"") if data[last] < 0x80 else (data[:last], data[last:])


def decode(name: str, offset: int, data: bytes, config: DataConfig, ledger: Ledger) -> str | None:
    """Text of a document less its last line end, in whose place the end of the document stands.

    Returns:
        None where the document is wrong and to be skipped.

    Raises:
        LangueError: a byte is not UTF-8, or NUL, which no text holds.
    """
    if offset == 0 and data.startswith(BOM):
        data, offset = data[len(BOM) :], len(BOM)
    data = data.removesuffix(b"\n").removesuffix(b"\r")
    nul = data.find(b"\0")
    try:
        text = data.decode()
        if nul < 0:
            return text
        wrong, reason = nul, "NUL byte"
    except UnicodeDecodeError as error:
        text = data.decode(errors="replace")
        wrong, reason = (nul, "NUL byte") if 0 <= nul < error.start else (error.start, "invalid UTF-8")
    if config.invalid == "error":
        if reason == "NUL byte":
            raise binary(name, offset + wrong)
        raise Malformed(
            f"{name}: byte {offset + wrong} is not UTF-8; convert the file, for example with iconv",
            "skip",
            "replace",
        )
    if config.invalid == "skip":
        log.warning("%s: byte %d is wrong: the document is skipped", name, offset + wrong)
        ledger.miss(Document(text, f"{name}:byte {offset}", name), reason)
        return None
    log.warning("%s: byte %d is wrong: replaced by U+FFFD", name, offset + wrong)
    ledger.changed["documents with invalid bytes replaced"] += 1
    return text.replace("\0", "\ufffd")


def binary(name: str, byte: int) -> Malformed:
    """What to tell of a file with a NUL byte."""
    return Malformed(
        f"{name} is binary (a NUL byte at {byte}); if it is UTF-16, convert it; if it is text, take its NUL "
        "bytes out",
        "skip",
        "replace",
    )
