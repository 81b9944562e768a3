"""The files behind what a user names: folders walked, pipes and standard input put aside, packing undone.

How a file is packed is told by its first bytes, for names lie: gzip, Zstandard, xz and bzip2. What is read
once and in order need not be put aside: `collect` with `live` hands a pipe on as it comes.
"""

import bz2
import gzip
import io
import itertools
import lzma
import stat
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from langue.base.errors import Damaged, LangueError, Mismatch, MissingExtra, NotFound
from langue.base.progress import log
from langue.base.remote import Copied, copied_here
from langue.base.urls import url_of
from langue.corpus.config import DataConfig
from langue.corpus.ledger import Ledger
from langue.corpus.lines import BOM, Lines
from langue.corpus.pipes import (
    BLOCK,
    Pipe,
    descriptor_of_input,
    opened_pipe,
    put_aside,
    read_pipe,
    read_standard_input,
    unreadable,
)
from langue.corpus.records import TEXT, has_field, kind_of

HEAD = 1 << 16  # bytes looked at to tell what a file is, and to find form feeds
RECORDS = (".jsonl", ".ndjson", ".parquet")  # of a folder, besides what begins with records
PACKED = (".gz", ".zst", ".xz", ".bz2")
UNPACKED = 4  # times its size that a packed file holds, roughly
MAGIC = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst", b"\xfd7zXZ\x00": ".xz"}
BZIP2 = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")  # four bytes in; what stands before begins texts too
ZSTANDARD = 1 << 8  # packed bytes at a time: four of them may hold 128 KB, and all is unpacked at once
OURS = {  # what langue writes beside a README.md, by a file of it and what that begins with
    "model.json": ("a model", b'"family"'),
    "manifest.json": ("a token store", b'"fingerprint"'),
}
NAMED = 5  # files passed over that a warning lists


class Source(NamedTuple):
    """A file to read: the name the user knows, and where its bytes are."""

    name: str
    path: Path
    pipe: Pipe | None = None  # it is read as it comes, and once; there is no path then

    @property
    def size(self) -> int:
        """Bytes as it lies there; of what is still to come none are known."""
        return 0 if self.pipe is not None else self.path.stat().st_size

    @property
    def suffix(self) -> str:
        """What the file is once unpacked: `.jsonl` for `news.jsonl.gz`."""
        suffixes = [suffix.lower() for suffix in Path(self.name).suffixes]
        while suffixes and suffixes[-1] in PACKED:
            suffixes.pop()
        return suffixes[-1] if suffixes else ""

    @contextmanager
    def seekable(self, head: bytes, file: BinaryIO) -> Iterator[Path]:
        """A file to read in any order; of a live pipe, what was read of it and the rest are put aside."""
        if self.pipe is None:
            yield self.path
            return
        with put_aside(self.name, itertools.chain([head], iter(lambda: file.read(BLOCK), b""))) as path:
            yield path


@contextmanager
def collect(
    names: Sequence[str],
    ledger: Ledger | None = None,
    *,
    config: DataConfig | None = None,
    live: bool = False,
    scratch: Path | None = None,
) -> Iterator[list[Source]]:
    """`find`, where `-` is standard input; that, a pipe, and what an object store holds is put into temporary
    files first.

    Args:
        scratch: the folder of files that are copied from an object store; None: that of temporary files.
        live: it is read as it comes instead, by whoever opens its source once and reads in order.

    Raises:
        LangueError: as `find`; standard input is closed, nothing writes to a pipe, an object store does not
            answer.
    """
    with ExitStack() as stack:
        sources: list[Source] = []
        for name in names:
            blocks: Iterator[bytes] | None = None
            if (url := url_of(name)) is not None:
                sources += _copied(stack.enter_context(copied_here(url, scratch)), ledger, config)
                continue
            if name == "-":
                blocks, descriptor = read_standard_input(), descriptor_of_input()
            elif Path(name).is_fifo():
                descriptor = stack.enter_context(opened_pipe(name))
                blocks = read_pipe(name, descriptor)
            if blocks is None:
                sources += find([name], ledger, config=config)
            elif live:
                sources.append(Source(name, Path(name), Pipe(name, blocks, descriptor)))
            else:
                sources.append(Source(name, stack.enter_context(put_aside(name, blocks))))
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


def _copied(copy: Copied, ledger: Ledger | None, config: DataConfig | None) -> list[Source]:
    """The files of what was copied from an object store, under the names that they have there."""
    try:
        sources = find([str(copy.path)], ledger, config=config)
    except LangueError as error:
        error.args = (error.message.replace(str(copy.path), copy.url),)
        raise
    return [source._replace(name=source.name.replace(str(copy.path), copy.url, 1)) for source in sources]


def unpacked_size(sources: Sequence[Source]) -> int:
    """Bytes of files, of what is packed roughly."""
    return sum(source.size * (UNPACKED if _is_packed(source) else 1) for source in sources)


def _is_packed(source: Source) -> bool:
    return Path(source.name).suffix.lower() in (*PACKED, ".parquet")


def read_once(sources: Sequence[Source]) -> bool:
    """Whether one of them was put aside: a pipe, which the same command cannot read again, or a copy."""
    return any(str(source.path) != source.name for source in sources)


def nothing_in(names: Iterable[str]) -> LangueError:
    """What to say where no file holds any text."""
    listed = ", ".join("standard input" if name == "-" else name for name in names)
    return LangueError(f"{listed} is empty; name a file that holds text")


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
    for name, (what, mark) in OURS.items():
        if (folder / name).is_file() and mark in (folder / name).read_bytes()[:200]:
            raise Mismatch(f"{folder} is {what}, and no text; name text files, or a folder of them")
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
        if source.pipe is not None:  # which only its reader opens; who says `no_field`
            return
        with open_source(source) as file:
            if kind_of(source.suffix, file.read(HEAD), named) != "text":
                return
    raise no_field([source.name for source in sources], config)


def no_field(names: list[str], config: DataConfig) -> LangueError:
    """What to say of plain text, of which a field was asked for."""
    named = config.named_field
    assert named is not None
    return LangueError(
        f"{_listed(names)}: plain text has no field {named!r}; leave "
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


@contextmanager
def open_source(source: Source) -> Iterator[BinaryIO]:
    """The unpacked bytes of a file; damage inside is named, wherever reading meets it.

    Raises:
        LangueError: the file cannot be read, is no file, or what it is packed in is damaged.
    """
    try:
        if source.pipe is not None:
            yield _unpacked(source, io.BufferedReader(source.pipe, BLOCK))
            return
        if stat.S_ISCHR(source.path.stat().st_mode):
            raise LangueError(f"{source.name} is a device; name a file that holds text")
        with source.path.open("rb") as raw:
            yield _unpacked(source, raw)
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise Damaged(f"{source.name} is damaged or cut short: {error}") from None
    except OSError as error:
        if error.errno is None:  # what bz2 says of damage
            raise Damaged(f"{source.name} is damaged or cut short: {error}") from None
        raise unreadable(source.name, error) from error


def read_head(source: Source, file: BinaryIO) -> bytes:
    """The first `HEAD` bytes of an opened file; of a live pipe, as many as are there, a line at least."""
    if source.pipe is None:
        return file.read(HEAD)
    reader, head = cast(io.BufferedReader, file), b""
    while len(head) < HEAD and b"\n" not in head and (block := reader.read1(HEAD - len(head))):
        head += block
    return head


def read_lines(source: Source) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers, from 1 on, each with its end.

    Raises:
        LangueError: the file is missing or damaged, or a line is not UTF-8.
    """
    with open_source(source) as file:
        for number, line in enumerate(Lines(file, read_head(source, file), Ledger()), 1):
            try:
                yield number, line.removeprefix(BOM if number == 1 else b"").decode()
            except UnicodeDecodeError as error:
                raise LangueError(
                    f"{source.name}, line {number}: byte {error.start} is not UTF-8; convert the file, for "
                    "example with iconv"
                ) from None


def _unpacked(source: Source, raw: io.BufferedReader) -> BinaryIO:
    head = raw.peek(10)[:10]
    packing = next((ending for magic, ending in MAGIC.items() if head.startswith(magic)), None)
    if packing is None and head.startswith(b"BZh") and head[4:] in BZIP2:
        packing = ".bz2"
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
