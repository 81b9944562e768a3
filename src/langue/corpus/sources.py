"""The files behind what a user names: folders walked, pipes and standard input put aside, packing undone.

How a file is packed is told by its first bytes, for names lie: gzip, Zstandard, xz and bzip2.
"""

import bz2
import gzip
import io
import lzma
import os
import select
import stat
import sys
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from langue.base.errors import Damaged, LangueError, MissingExtra, NotFound
from langue.base.files import writing
from langue.base.progress import log
from langue.corpus.config import DataConfig
from langue.corpus.ledger import Ledger
from langue.corpus.records import TEXT, has_field, kind_of

HEAD = 1 << 16  # bytes looked at to tell what a file is, and to find form feeds
RECORDS = (".jsonl", ".ndjson", ".parquet")  # of a folder, besides what begins with records
PACKED = (".gz", ".zst", ".xz", ".bz2")
MAGIC = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst", b"\xfd7zXZ\x00": ".xz"}
BZIP2 = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")  # four bytes in; what stands before begins texts too
BLOCK = 1 << 20  # bytes copied at a time
ZSTANDARD = 1 << 8  # packed bytes at a time: four of them may hold 128 KB, and all is unpacked at once
WAIT = 10.0  # seconds until a pipe that nothing writes to is given up
NAMED = 5  # files passed over that a warning lists


class Source(NamedTuple):
    """A file to read: the name the user knows, and where its bytes are."""

    name: str
    path: Path

    @property
    def suffix(self) -> str:
        """What the file is once unpacked: `.jsonl` for `news.jsonl.gz`."""
        suffixes = [suffix.lower() for suffix in Path(self.name).suffixes]
        while suffixes and suffixes[-1] in PACKED:
            suffixes.pop()
        return suffixes[-1] if suffixes else ""


@contextmanager
def collect(
    names: Sequence[str],
    ledger: Ledger | None = None,
    *,
    config: DataConfig | None = None,
    piped: Iterable[bytes] | None = None,
) -> Iterator[list[Source]]:
    """`find`, where `-` is standard input; that, and a pipe, is put into a temporary file first.

    Args:
        piped: standard input, where its first bytes were looked at already.

    Raises:
        LangueError: as `find`; standard input is closed, nothing writes to a pipe.
    """
    with ExitStack() as stack:
        sources: list[Source] = []
        for name in names:
            if name == "-":
                sources.append(stack.enter_context(_put_aside(name, piped or _standard_input())))
            elif Path(name).is_fifo():
                sources.append(stack.enter_context(_put_aside(name, _pipe(name))))
            else:
                sources += find([name], ledger, config=config)
        yield sources


def find(
    inputs: Sequence[str], ledger: Ledger | None = None, *, config: DataConfig | None = None
) -> list[Source]:
    """The files behind paths: a folder stands for the text files below it, in the order of names.

    A file of another ending is taken from a folder where it begins with records that have the field;
    the others are passed over, and named.

    Raises:
        LangueError: a path does not exist or is a device, or a folder holds no text file.
    """
    sources: list[Source] = []
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            sources += _walk(path, ledger, config or DataConfig())
        elif path.is_file():
            sources.append(Source(name, path))
        else:
            raise no_file(path)
    return sources


def no_file(path: Path) -> LangueError:
    """What to say of a path that is to be a file, and is none."""
    if path.is_dir():
        return LangueError(f"{path} is no file but a folder; name a file in it")
    if path.exists():
        return LangueError(f"{path} is no file (a device, a socket or a pipe); name a file that holds text")
    return NotFound(f"no file {path}")


def check_kept(path: Path) -> None:
    """Raise a `LangueError` for what can be read only once: a run that goes on looks at its file again."""
    if str(path) == "-" or path.is_fifo():
        what = "standard input" if str(path) == "-" else f"the pipe {path}"
        raise LangueError(f"{what} can be read only once, and a labeled file is read again; put it in a file")


def _walk(folder: Path, ledger: Ledger | None, config: DataConfig) -> list[Source]:
    taken: list[Source] = []
    others: list[str] = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        source = Source(str(path), path)
        if source.suffix in (*TEXT, *RECORDS) or _begins_with_records(source, config):
            taken.append(source)
        else:
            others.append(str(path.relative_to(folder)))
    if others and ledger is not None:
        ledger.read["files passed over"] += len(others)
    if not taken:
        raise NotFound(
            f"no text files in {folder} (looked for {', '.join((*TEXT, *RECORDS))}"
            f"{', passed over ' + _listed(others) if others else ''}); name the files themselves"
        )
    if others and ledger is not None:
        log.warning("%s: passed over %s; name a file itself to read it", folder, _listed(others))
    return taken


def check_text_field(sources: Sequence[Source], config: DataConfig) -> None:
    """Refuse to read all of some files as plain text, where a field of records was asked for.

    Raises:
        LangueError: none of the files holds records.
    """
    named = config.named_field
    if named is None:
        return
    for source in sources:
        with open_source(source) as file:
            if kind_of(source.suffix, file.read(HEAD), named) != "text":
                return
    raise LangueError(
        f"{_listed([source.name for source in sources])}: plain text has no field {named!r}; leave "
        f"{config.fields[named]} out, or give JSON lines (.jsonl), JSON, CSV, TSV or Parquet"
    )


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest


def _begins_with_records(source: Source, config: DataConfig) -> bool:
    try:
        with open_source(source) as file:
            return has_field(source.suffix, file.read(HEAD), config)
    except LangueError:  # it is not to be read, so what is wrong with it is no matter
        return False


def begin_standard_input() -> tuple[bytes, Iterator[bytes]]:
    """The first line of standard input or, of a long one, enough to tell what it is; and what comes after."""
    blocks, head = _standard_input(), b""
    while b"\n" not in head and len(head) < HEAD and (block := next(blocks, b"")):
        head += block
    return head, blocks


def _standard_input() -> Iterator[bytes]:
    file = getattr(sys.stdin, "buffer", None)  # there is none where whoever started langue closed it
    if file is None:
        raise LangueError("standard input is closed; pipe text in, or name a file")
    try:
        # One system call at a time: between them Ctrl-C is heard, which a read of many waits through.
        yield from iter(lambda: bytes(file.read1(BLOCK)), b"")
    except OSError as error:
        raise _unreadable("-", error) from error


def _pipe(name: str) -> Iterator[bytes]:
    """What is written into a named pipe; waits for someone to open it, but not for ever."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield _first(name, descriptor)
        os.set_blocking(descriptor, True)
        yield from iter(lambda: os.read(descriptor, BLOCK), b"")
    finally:
        os.close(descriptor)


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
def _put_aside(name: str, blocks: Iterable[bytes]) -> Iterator[Source]:
    with tempfile.NamedTemporaryFile(prefix="langue-") as file:
        reading = iter(blocks)
        while True:
            try:
                block = next(reading, None)
            except OSError as error:
                raise _unreadable(name, error) from error
            if block is None:
                break
            with writing(Path(file.name)):
                file.write(block)
        with writing(Path(file.name)):
            file.flush()
        yield Source(name, Path(file.name))


@contextmanager
def open_source(source: Source) -> Iterator[BinaryIO]:
    """The unpacked bytes of a file; damage inside is named, wherever reading meets it.

    Raises:
        LangueError: the file cannot be read, is no file, or what it is packed in is damaged.
    """
    try:
        if stat.S_ISCHR(source.path.stat().st_mode):
            raise LangueError(f"{source.name} is a device; name a file that holds text")
        with source.path.open("rb") as raw:
            yield _unpacked(source, raw)
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise Damaged(f"{source.name} is damaged or cut short: {error}") from None
    except OSError as error:
        if error.errno is None:  # what bz2 says of damage
            raise Damaged(f"{source.name} is damaged or cut short: {error}") from None
        raise _unreadable(source.name, error) from error


def _unreadable(name: str, error: OSError) -> LangueError:
    return LangueError(f"cannot read {name}: {error.strerror or error}")


def packing_of(head: bytes) -> str | None:
    """The ending of what a file is packed in, by its first ten bytes; None where it is not."""
    packing = next((ending for magic, ending in MAGIC.items() if head.startswith(magic)), None)
    return ".bz2" if packing is None and head.startswith(b"BZh") and head[4:10] in BZIP2 else packing


def _unpacked(source: Source, raw: BinaryIO) -> BinaryIO:
    head = raw.read(10)
    raw.seek(0)
    packing = packing_of(head)
    if packing is None and head:
        packing = Path(source.name).suffix.lower()
    if packing == ".gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if packing == ".zst":
        return cast(BinaryIO, io.BufferedReader(_Zstandard(source.name, raw), BLOCK))
    if packing == ".xz":
        return cast(BinaryIO, lzma.LZMAFile(raw))
    if packing == ".bz2":
        return cast(BinaryIO, bz2.BZ2File(raw))
    return raw


class _Zstandard(io.RawIOBase):
    """Unpacked bytes of a Zstandard file; unlike the library's own reader, it notices a cut end."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        try:
            import zstandard
        except ImportError:
            raise MissingExtra("zstandard", "data", f"reading {name}") from None
        self._file = file
        self._library = zstandard
        self._frame: Any = None  # the frame being unpacked; None between frames
        self._packed = b""
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            self._packed = self._packed or self._file.read(ZSTANDARD)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the last frame is not complete")
                return 0
            self._unpack()
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    def _unpack(self) -> None:
        if self._frame is None:
            self._frame = self._library.ZstdDecompressor().decompressobj()
        try:
            self._ready = self._frame.decompress(self._packed)
        except self._library.ZstdError as error:
            raise EOFError(str(error)) from None
        self._packed = b""
        if self._frame.eof:
            self._packed, self._frame = self._frame.unused_data, None
