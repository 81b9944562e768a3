"""Readers: files, folders and standard input as a stream of documents.

Plain text and Markdown (anything not known otherwise), JSON lines, Parquet; each of them packed
with gzip or Zstandard. No reader holds more than one document, and none of those grows past
`LARGEST`: a longer one is cut at a line end, and counted.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from langue.base.errors import LangueError, MissingExtra
from langue.base.files import parse_json
from langue.base.progress import log
from langue.corpus.config import DataConfig
from langue.corpus.document import Document
from langue.corpus.ledger import Ledger

LARGEST = 16 << 20  # bytes of one document: a few of them in flight stay far below 500 MB
HEAD_BYTES = 1 << 16  # bytes looked at to tell binary from text, and to find form feeds
TEXT = (".txt", ".text", ".md", ".markdown")
RECORDS = (".jsonl", ".ndjson", ".parquet")
PACKED = (".gz", ".zst")
SEPARATORS = (b"\x0c", b"\x1e")  # form feed; record separator, its heir in ASCII
MANY = 20  # from so many files on, each is a document of its own
PIECES = 400  # passages a small corpus is cut into at least, so that every split gets some
PASSAGE = (100, 4096)  # bytes of the smallest and the largest passage aimed at

Piece = tuple[int, bytes]  # byte offset in the (unpacked) file, raw bytes of a document


class Source(NamedTuple):
    """A file to read: the name the user knows, and where its bytes are."""

    name: str
    path: Path

    @property
    def suffix(self) -> str:
        """Suffix of the file once unpacked: `.jsonl` for `news.jsonl.gz`."""
        suffixes = [suffix.lower() for suffix in Path(self.name).suffixes]
        while suffixes and suffixes[-1] in PACKED:
            suffixes.pop()
        return suffixes[-1] if suffixes else ""


def find(inputs: Sequence[str], ledger: Ledger | None = None) -> list[Source]:
    """The files behind paths: a folder stands for the text files below it, in the order of names.

    Raises:
        LangueError: a path does not exist, or a folder holds no text file.
    """
    sources: list[Source] = []
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            sources += _walk(path, ledger)
        elif path.exists():
            sources.append(Source(name, path))
        else:
            raise LangueError(f"no file {name}")
    return sources


def _walk(folder: Path, ledger: Ledger | None) -> list[Source]:
    sources: list[Source] = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        source = Source(str(path), path)
        if source.suffix in (*TEXT, *RECORDS):
            sources.append(source)
        elif ledger is not None:
            ledger.read["files passed over"] += 1
    if not sources:
        raise LangueError(f"no text files in {folder} (looked for {', '.join((*TEXT, *RECORDS))})")
    return sources


def read(sources: Sequence[Source], config: DataConfig, ledger: Ledger) -> Iterator[Document]:
    """Every document of every source, as it stands in the file; ends of lines are kept inside."""
    total = sum(source.path.stat().st_size for source in sources)
    for source in sources:
        ledger.read["files"] += 1
        count = 0
        for document in _documents(source, config, ledger, several=len(sources), total=total):
            count += 1
            yield document
        if count == 0:
            log.warning("%s is empty", source.name)


def _documents(
    source: Source, config: DataConfig, ledger: Ledger, *, several: int, total: int
) -> Iterator[Document]:
    if source.suffix == ".parquet":
        ledger.rules[source.name] = "record"
        yield from _parquet(source, config)
        return
    with open_source(source) as file:
        head = file.read(HEAD_BYTES)
        if b"\0" in head:
            raise LangueError(
                f"{source.name} is binary (a NUL byte at {head.index(0)}); if it is UTF-16, convert it"
            )
        stream = Lines(file, head, ledger)
        if source.suffix in RECORDS:
            ledger.rules[source.name] = "record"
            yield from _json_lines(source, config, ledger, stream)
            return
        rule = resolve(config.documents, head, several)
        ledger.rules[source.name] = rule
        for number, (offset, data) in enumerate(_pieces(rule, stream, total, ledger), 1):
            text = _decode(source, offset, data, config, ledger)
            if text is not None:
                yield Document(text, f"{source.name}:{number}", source.name)


def resolve(rule: str, head: bytes, several: int) -> str:
    """The rule by which documents of a text file end, where the user left it to us.

    A file with form-feed lines ends them there; of many files each is a document; one file, or a
    few, are cut into passages, for one long document could not be split into train and test.
    """
    if rule != "auto":
        return rule
    if any(line.strip(b"\r\n") in SEPARATORS for line in head.splitlines()):
        return "form-feed"
    return "file" if several >= MANY else "passage"


class Lines:
    """The lines of a binary file whose head was already read, each with its end.

    A line longer than `LARGEST` comes in parts, cut between characters, and is counted.
    """

    def __init__(self, file: BinaryIO, head: bytes, ledger: Ledger) -> None:
        self._file = file
        self._head = head
        self._ledger = ledger

    def __iter__(self) -> Iterator[bytes]:
        *lines, rest = self._head.split(b"\n")
        for line in lines:
            yield line + b"\n"
        while line := rest + self._file.readline(LARGEST):
            rest = b""
            if len(line) >= LARGEST and not line.endswith(b"\n"):
                line, rest = _whole_characters(line)
                self._ledger.changed["lines cut for their length"] += 1
            yield line


def _whole_characters(data: bytes) -> tuple[bytes, bytes]:
    """The whole UTF-8 characters at the start of `data`, and the bytes of one that is cut short."""
    last = len(data) - 1
    while last > len(data) - 4 and data[last] & 0xC0 == 0x80:
        last -= 1
    return (data, b"") if data[last] < 0x80 else (data[:last], data[last:])


def _pieces(rule: str, lines: Lines, total: int, ledger: Ledger) -> Iterator[Piece]:
    if rule == "line":
        offset = 0
        for line in lines:
            yield offset, line
            offset += len(line)
        return
    smallest, largest = PASSAGE
    passage = min(max(total // PIECES, smallest), largest)
    ends: dict[str, Callable[[bytes, int], bool]] = {
        "file": lambda line, size: False,
        "form-feed": lambda line, size: len(line) <= 3 and line.strip(b"\r\n") in SEPARATORS,
        "blank-line": lambda line, size: not line.strip(),
        "passage": lambda line, size: size >= passage and (not line.strip() or size >= 2 * passage),
    }
    yield from _group_lines(lines, ends[rule], ledger)


def _group_lines(lines: Lines, ends: Callable[[bytes, int], bool], ledger: Ledger) -> Iterator[Piece]:
    """Lines gathered into documents; a separator line that is blank belongs to neither side."""
    offset, size = 0, 0
    gathered: list[bytes] = []
    for line in lines:
        ended = ends(line, size)
        if ended or size + len(line) > LARGEST:
            if gathered:
                yield offset, b"".join(gathered)
            offset += size
            gathered, size = [], 0
            if not ended:
                ledger.changed["documents cut for their length"] += 1
            elif line.strip(b"\r\n \x0c\x1e") == b"":
                offset += len(line)
                continue
        gathered.append(line)
        size += len(line)
    if gathered:
        yield offset, b"".join(gathered)


def _decode(source: Source, offset: int, data: bytes, config: DataConfig, ledger: Ledger) -> str | None:
    """Text of a document less its last line end, in whose place the end of the document stands."""
    if offset == 0:
        data = data.removeprefix(b"\xef\xbb\xbf")
    data = data.removesuffix(b"\n").removesuffix(b"\r")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        location = f"{source.name}: byte {offset + error.start} is not UTF-8"
        if config.invalid == "error":
            raise LangueError(
                f"{location}; convert the file, or pass --invalid=skip or --invalid=replace"
            ) from None
        text = data.decode(errors="replace")
        if config.invalid == "skip":
            log.warning("%s: the document is skipped", location)
            ledger.read["documents"] += 1
            ledger.read["bytes"] += len(data)
            ledger.drop(Document(text, f"{source.name}:byte {offset}", source.name), "invalid UTF-8")
            return None
        log.warning("%s: replaced by U+FFFD", location)
        ledger.changed["documents with invalid UTF-8 replaced"] += 1
        return text


def _json_lines(source: Source, config: DataConfig, ledger: Ledger, lines: Lines) -> Iterator[Document]:
    offset = 0
    for number, line in enumerate(lines, 1):
        start, offset = offset, offset + len(line)
        if not line.strip():
            continue
        if len(line) > LARGEST - 4 and not line.endswith(b"\n"):
            raise LangueError(f"{source.name}: line {number} is over {LARGEST >> 20} MB long")
        decoded = _decode(source, start, line, config, ledger)
        if decoded is None:
            continue
        record = parse_json(decoded, f"{source.name}: line {number}")
        text = record.get(config.text_field) if isinstance(record, dict) else None
        if not isinstance(text, str):
            known = ", ".join(record) if isinstance(record, dict) else "no fields"
            location = f"{source.name}: line {number}"
            raise LangueError(
                f"{location} has no text in field {config.text_field!r} ({known}); pass --text-field"
            )
        yield Document(text, f"{source.name}:{number}", source.name)


def _parquet(source: Source, config: DataConfig) -> Iterator[Document]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise MissingExtra("pyarrow", "data", f"reading {source.name}") from None
    number = 0
    try:
        with parquet.ParquetFile(source.path) as file:
            if config.text_field not in file.schema_arrow.names:
                known = ", ".join(file.schema_arrow.names)
                raise LangueError(
                    f"{source.name} has no column {config.text_field!r} ({known}); pass --text-field"
                )
            for batch in file.iter_batches(batch_size=256, columns=[config.text_field]):
                for text in batch.column(0).to_pylist():
                    number += 1
                    if not isinstance(text, str):
                        raise LangueError(f"{source.name}: row {number} of {config.text_field!r} is not text")
                    yield Document(text, f"{source.name}:{number}", source.name)
    except ArrowException as error:
        raise LangueError(f"{source.name} is not a whole Parquet file: {error}") from None


@contextmanager
def open_source(source: Source) -> Iterator[BinaryIO]:
    """The unpacked bytes of a file; damage inside is named, wherever reading meets it."""
    packing = Path(source.name).suffix.lower()
    try:
        with source.path.open("rb") as raw:
            if packing == ".gz":
                yield cast(BinaryIO, gzip.GzipFile(fileobj=raw))
            elif packing == ".zst":
                yield cast(BinaryIO, io.BufferedReader(_Zstandard(source.name, raw), 1 << 20))
            else:
                yield raw
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise LangueError(f"{source.name} is damaged or cut short: {error}") from None


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
            self._packed = self._packed or self._file.read(1 << 17)
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
