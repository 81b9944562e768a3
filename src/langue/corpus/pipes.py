"""Standard input and named pipes: read as they come, or put aside first for who reads twice."""

import io
import os
import select
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langue.base.errors import LangueError
from langue.base.files import writing
from langue.base.progress import log

BLOCK = 1 << 20  # bytes copied at a time
WAIT = 10.0  # seconds until a pipe that nothing writes to is given up


class Pipe(io.RawIOBase):
    """What comes through standard input or a pipe, as a file that is read once.

    Args:
        blocks: of bytes, as they come.
        descriptor: by which to ask whether more is there; None: it cannot be asked.
    """

    def __init__(self, name: str, blocks: Iterable[bytes], descriptor: int | None) -> None:
        self._name = name
        self._blocks = iter(blocks)
        self._descriptor = descriptor
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            self._held = self._held or next(self._blocks, b"")
        except OSError as error:
            raise unreadable(self._name, error) from error
        size = min(len(buffer), len(self._held))
        buffer[:size], self._held = self._held[:size], self._held[size:]
        return size

    def waits(self) -> bool:
        """Whether whoever reads on now would wait for the writer."""
        if self._held or self._descriptor is None:
            return False
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return not poll.poll(0)


def read_standard_input() -> Iterator[bytes]:
    file = getattr(sys.stdin, "buffer", None)  # there is none where whoever started langue closed it
    if file is None:
        raise LangueError("standard input is closed; pipe text in, or name a file")
    # One system call at a time: between them Ctrl-C is heard, which a read of many waits through.
    return iter(lambda: bytes(file.read1(BLOCK)), b"")


def descriptor_of_input() -> int | None:
    """By which to ask whether there is more of it; None: it cannot be asked."""
    try:
        return int(sys.stdin.fileno())
    except (AttributeError, OSError, ValueError):  # what a program put in its place
        return None


@contextmanager
def opened_pipe(name: str) -> Iterator[int]:
    """The descriptor of a named pipe, which does not wait yet."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_pipe(name: str, descriptor: int) -> Iterator[bytes]:
    """What is written into a named pipe; waits for someone to open it, but not for ever."""
    if first := _first(name, descriptor):
        yield first
    os.set_blocking(descriptor, True)
    yield from iter(lambda: os.read(descriptor, BLOCK), b"")


def _first(name: str, descriptor: int) -> bytes:
    """The first bytes of a pipe, if there are some yet; returns once it has, or had, a writer."""
    told = False
    ends = time.monotonic() + WAIT
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while time.monotonic() < ends:
        try:
            if data := os.read(descriptor, BLOCK):
                return data
        except BlockingIOError:  # open at the other end, and nothing there yet
            return b""
        if poll.poll(50):  # it was opened and closed again
            return b""
        if not told:
            log.info("waiting for what is written into the pipe %s", name)
            told = True
        time.sleep(0.05)
    raise LangueError(f"nothing writes into the pipe {name}; start what does, or name a file")


@contextmanager
def put_aside(name: str, blocks: Iterable[bytes]) -> Iterator[Path]:
    """All of what comes in blocks, in a temporary file."""
    with tempfile.NamedTemporaryFile(prefix="langue-") as file:
        reading = iter(blocks)
        while True:
            try:
                block = next(reading, None)
            except OSError as error:
                raise unreadable(name, error) from error
            if block is None:
                break
            with writing(Path(file.name)):
                file.write(block)
        with writing(Path(file.name)):
            file.flush()
        yield Path(file.name)


def unreadable(name: str, error: OSError) -> LangueError:
    """What to say where the system refuses to read."""
    return LangueError(f"cannot read {name}: {error.strerror or error}")
