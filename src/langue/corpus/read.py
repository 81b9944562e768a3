"""Readers: files, folders and standard input as a stream of documents.

Plain text and Markdown (anything not known otherwise), JSON lines, JSON, CSV, TSV and Parquet; each of
them packed with gzip, Zstandard, xz or bzip2. No reader holds more than one document, and none of those
grows past `LARGEST`: a longer one is cut at a line end, and counted.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO

from langue.base.errors import LangueError
from langue.base.progress import log
from langue.corpus.config import PAIRS, DataConfig
from langue.corpus.document import Document
from langue.corpus.ledger import Ledger
from langue.corpus.lines import LARGEST, Lines, binary, decode, whole_characters
from langue.corpus.records import (
    Kind,
    has_field,
    kind_of,
    read_columns,
    read_json,
    read_json_lines,
    read_parquet,
    read_table,
)
from langue.corpus.sources import HEAD, Source, check_text_field, collect, nothing_in, open_source, read_head
from langue.corpus.sources import find as find  # for who reads files alone

SEPARATORS = (b"\x0c", b"\x1e")  # form feed; record separator, its heir in ASCII
MANY = 20  # from so many files on, each is a document of its own
PIECES = 400  # passages a small corpus is cut into at least, so that every split gets some
PASSAGE = (100, 4096)  # bytes of the smallest and the largest passage aimed at
LONG = 32 << 10  # bytes from which on a passage is cut within a line: no paragraph is so long
# Where such a line is cut best: after a sentence, in bytes of UTF-8 (`。`, `！`, `？`); else after a blank.
_SENTENCE = re.compile(rb"[.!?][\"')\]]*\s|\xe3\x80\x82|\xef\xbc[\x81\x9f]")
_BLANK = re.compile(rb"\s")
# How files begin that are no text, and what to tell of them.
OTHERS = {
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"\x04\x22\x4d\x18": "packed with lz4; unpack it first",
    b"\x1f\x8b": "packed twice; unpack it first",
    b"%PDF-": "a PDF; take the text out of it first",
    b"\xff\xfe": "UTF-16; convert it: iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "UTF-16; convert it: iconv -f UTF-16 -t UTF-8",
}

Piece = tuple[int, bytes]  # byte offset in the (unpacked) file, raw bytes of a document


def read(
    sources: Sequence[Source],
    config: DataConfig,
    ledger: Ledger,
    *,
    several: int | None = None,
    total: int | None = None,
    warn: bool = True,
) -> Iterator[Document]:
    """Every document of every source, as it stands in the file; ends of lines are kept inside.

    Args:
        several, total: of the corpus, if there are more files: how many, and their bytes.
        warn: tell of each file that is empty.
    """
    several = several or len(sources)
    total = total or sum(source.size for source in sources)
    for source in sources:
        ledger.read["files"] += 1
        count = 0
        for document in _documents(source, config, ledger, several=several, total=total):
            count += 1
            yield document
        if count == 0 and warn:
            log.warning("%s is empty", source.name)


def read_texts(name: str, text_field: str | None = None) -> Iterator[str]:
    """The texts of a file, as every verb reads them: those of records, else its lines.

    Args:
        name: a file, a folder, or `-` for standard input.
        text_field: of records; None is "text".

    Raises:
        LangueError: the file is missing, empty, binary, damaged or not UTF-8; a record has no such field.
    """
    empty = True
    config = DataConfig(documents="line", text_field=text_field)
    with collect([name], config=config) as sources:
        check_text_field(sources, config)
        for source in sources:
            for text in read_source(source, text_field):
                empty = False
                yield text
    if empty:
        raise nothing_in([name])


def read_pairs(name: str) -> Iterator[tuple[str, ...]]:
    """The two texts each of a file of pairs: `text` and `second` of records, else columns between tabs.

    Raises:
        LangueError: as `read_texts`.
    """
    empty = True
    with collect([name]) as sources:
        for source in sources:
            for pair in _pairs(source):
                empty = False
                yield pair
    if empty:
        raise nothing_in([name])


def read_source(source: Source, text_field: str | None = None, kind: Kind | None = None) -> Iterator[str]:
    """`read_texts` of one file."""
    config = DataConfig(documents="line", text_field=text_field)
    for document in _documents(source, config, Ledger(), several=1, total=0, kind=kind):
        yield document.text


def _pairs(source: Source) -> Iterator[tuple[str, ...]]:
    with open_source(source) as file:
        head = file.read(HEAD)
    kind = kind_of(source.suffix, head, None)
    if kind == "text" or (kind == "table" and not has_field(source.suffix, head, DataConfig())):
        yield from (tuple(line.split("\t")) for line in read_source(source, None, "text"))
    else:
        yield from zip(read_source(source), read_source(source, "second"), strict=True)


def _documents(
    source: Source,
    config: DataConfig,
    ledger: Ledger,
    *,
    several: int,
    total: int,
    kind: Kind | None = None,
) -> Iterator[Document]:
    with open_source(source) as file:
        head = read_head(source, file)
        kind = kind or kind_of(source.suffix, head, config.named_field)
        yield from read_opened(source, file, head, kind, config, ledger, several=several, total=total)


def read_opened(
    source: Source,
    file: BinaryIO,
    head: bytes,
    kind: Kind,
    config: DataConfig,
    ledger: Ledger,
    *,
    several: int,
    total: int,
) -> Iterator[Document]:
    """Every document of an opened file, of which `head` was read.

    Args:
        several, total: how many files there are, and their bytes, by which texts are cut.
    """
    name = source.name
    pairs = config.documents in PAIRS
    ledger.rules[name] = "pairs" if pairs else "record"
    if pairs and source.suffix == ".tsv" and not config.named_field:
        kind = "table" if has_field(source.suffix, head, config) else "text"  # with a header, or without
    if kind == "parquet":
        with source.seekable(head, file) as path:
            yield from read_parquet(name, path, config, ledger)
        return
    refuse_others(name, head)
    if config.invalid == "error" and b"\0" in head:
        raise binary(name, head.index(0))
    if kind == "json":
        yield from read_json(name, config, ledger, head, file)
        return
    lines = Lines(file, head, ledger)
    if kind == "lines":
        yield from read_json_lines(name, config, ledger, lines)
    elif kind == "table":
        yield from read_table(name, source.suffix, config, ledger, lines)
    elif pairs:
        yield from read_columns(name, config, ledger, lines)
    else:
        yield from _passages(source, config, ledger, lines, resolve(config.documents, head, several), total)


def refuse_others(name: str, head: bytes) -> None:
    """Raise a `LangueError` if a file begins as what is no text."""
    for begin, what in OTHERS.items():
        if head.startswith(begin):
            raise LangueError(f"{name} is {what}")


def _passages(
    source: Source, config: DataConfig, ledger: Ledger, lines: Lines, rule: str, total: int
) -> Iterator[Document]:
    """Documents of plain text."""
    name = source.name
    ledger.rules[name] = rule
    for number, (offset, data) in enumerate(_pieces(rule, lines, total, ledger), 1):
        text = decode(name, offset, data, config, ledger)
        if text is not None:
            yield Document(text, f"{name}:{number}", name)


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
    shortened = _shortened(lines, passage, ledger) if rule == "passage" else lines
    yield from _group_lines(shortened, ends[rule], ledger)


def _shortened(lines: Iterable[bytes], size: int, ledger: Ledger) -> Iterator[bytes]:
    """Lines, of which those that no paragraph would fill come in parts of `size` bytes to twice that."""
    for line in lines:
        if len(line) <= LONG:
            yield line
            continue
        ledger.changed["lines cut for their length"] += 1
        begin = 0
        while begin < len(line):
            end = _end_of_part(line, begin, size)
            yield line[begin:end]
            begin = end


def _end_of_part(line: bytes, begin: int, size: int) -> int:
    low, high = begin + size, begin + 2 * size
    if high >= len(line):
        return len(line)
    for pattern in (_SENTENCE, _BLANK):
        if match := pattern.search(line, low, high):
            return match.end()
    return begin + len(whole_characters(line[begin:high])[0])


def _group_lines(
    lines: Iterable[bytes], ends: Callable[[bytes, int], bool], ledger: Ledger
) -> Iterator[Piece]:
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
