"""Texts by the stream: lines, records or documents of any number of files, in batches and in order.

What is held does not grow with what is read. The first batch is small, so that whoever waits sees something
soon; and what comes through a pipe is handed on before anybody waits for more of it.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from langue.base.errors import LangueError
from langue.corpus.config import DataConfig
from langue.corpus.document import Document
from langue.corpus.ledger import Ledger, size
from langue.corpus.lines import Lines, binary, decode
from langue.corpus.read import read_opened, refuse_others
from langue.corpus.records import kind_of, read_json_line, read_rows
from langue.corpus.sources import (
    Source,
    check_text_field,
    collect,
    no_field,
    nothing_in,
    open_source,
    read_head,
)

By = Literal["line", "document"]
FIRST = 1 << 12  # bytes of the first batch: a second's work for the slowest network
MOST = 1 << 18  # ... of the largest: what is made of it stays in the cache, and starting it costs nothing


@dataclass(frozen=True)
class Batch:
    """Texts that follow one another."""

    source: str
    held: list[str] | str  # the texts, or lines that are one each
    lines: bytes | None = None  # the same lines as they stand
    records: Sequence[bytes] | None = None  # JSON lines as they stand
    table: Any = None  # rows of Parquet, a `pyarrow.RecordBatch`, where they are asked for
    last: bool = False  # so far: whoever reads on would wait

    @cached_property
    def texts(self) -> list[str]:
        if isinstance(self.held, list):
            return self.held
        lines = self.held.split("\n")
        return [line.removesuffix("\r") for line in lines] if "\r" in self.held else lines


def read_batches(
    names: Sequence[str],
    config: DataConfig,
    *,
    by: By = "line",
    ledger: Ledger | None = None,
    whole: bool = False,
) -> Iterator[Batch]:
    """The texts of files, folders, pipes and standard input (`-`), a batch at a time.

    Args:
        config: how records are read, and by document how a text is cut.
        by: what a text is in plain text: a line of it, or a document; elsewhere each record is one.
        whole: rows of Parquet are wanted with all their columns, and files are refused whose records do not
            come so.

    Raises:
        LangueError: a file is missing, binary, damaged or not UTF-8; a record has no such field; there is
            nothing in any.
    """
    ledger = ledger or Ledger()
    empty = True
    with collect(names, ledger, config=config, live=True) as sources:
        check_text_field(sources, config)
        total = sum(source.size for source in sources)
        for batch in read_sources(
            sources, config, by=by, whole=whole, several=len(sources), total=total, sizes=_sizes(),
            ledger=ledger,
        ):  # fmt: skip
            empty = False
            yield batch
    if empty:
        raise nothing_in(names)


def read_sources(
    sources: Sequence[Source],
    config: DataConfig,
    *,
    by: By,
    whole: bool,
    several: int,
    total: int,
    sizes: Iterator[int],
    ledger: Ledger | None = None,
) -> Iterator[Batch]:
    """The batches of some of the files of a corpus; see `read_batches`.

    Args:
        several, total: how many files the corpus has, and their bytes: by which documents are cut.
        sizes: bytes of each batch in turn.
    """
    ledger = ledger or Ledger()
    for source in sources:
        ledger.read["files"] += 1
        yield from _batches(source, config, ledger, by, sizes, several, total, whole)


def read_text_batches(name: str, text_field: str | None = None) -> Iterator[list[str]]:
    """The texts of a file in batches, as every verb reads them: those of records, else its lines."""
    config = DataConfig(documents="line", text_field=text_field)
    return (batch.texts for batch in read_batches([name], config))


def _sizes() -> Iterator[int]:
    """Bytes of each batch in turn."""
    return itertools.chain(
        itertools.takewhile(lambda size: size < MOST, (FIRST << n for n in itertools.count())),
        itertools.repeat(MOST),
    )


def _batches(
    source: Source,
    config: DataConfig,
    ledger: Ledger,
    by: By,
    sizes: Iterator[int],
    several: int,
    total: int,
    whole: bool,
) -> Iterator[Batch]:
    """The batches of one file."""
    waits = source.pipe.waits if source.pipe is not None else bool
    with open_source(source) as file:
        head = read_head(source, file)
        kind = kind_of(source.suffix, head, config.named_field)
        if kind == "text" and config.named_field is not None and source.pipe is not None:
            raise no_field([source.name], config)
        if kind == "lines" or (kind == "text" and by == "line"):
            refuse_others(source.name, head)
            if b"\0" in head:
                raise binary(source.name, head.index(0))
            blocks = Lines(file, head, ledger).blocks(sizes, waits)
            read = _of_json_lines if kind == "lines" else _of_lines
            yield from read(source.name, blocks, config, ledger, waits)
            return
        if whole and kind == "parquet":
            with source.seekable(head, file) as path:
                yield from _of_rows(source.name, path, config)
            return
        if whole and kind in ("json", "table"):
            raise LangueError(
                f"{source.name} holds records of a form that is not written back; give JSON lines, Parquet "
                "or plain text"
            )
        documents = read_opened(source, file, head, kind, config, ledger, several=several, total=total)
        yield from _of_documents(source.name, documents, sizes)


def _of_lines(
    name: str, blocks: Iterator[bytes], config: DataConfig, ledger: Ledger, waits: Callable[[], bool]
) -> Iterator[Batch]:
    offset = 0
    for block in blocks:
        text = decode(name, offset, block, config, ledger)
        offset += len(block)
        if text is None:
            continue
        ledger.lines += text.count("\n") + 1
        yield Batch(name, text, block, last=waits())


def _of_json_lines(
    name: str, blocks: Iterator[bytes], config: DataConfig, ledger: Ledger, waits: Callable[[], bool]
) -> Iterator[Batch]:
    (field,) = config.fields
    record = msgspec.defstruct("Record", [("text", str, msgspec.field(name=field))])
    parse: Callable[[bytes], Any] = msgspec.json.Decoder(record).decode  # other fields are passed over
    number = offset = 0
    for block in blocks:
        texts, records = [], []
        for line in block.splitlines(keepends=True) if b"\r" not in block else _lines(block):
            number += 1
            try:
                texts.append(parse(line).text)
                records.append(line)
            except (msgspec.DecodeError, UnicodeDecodeError):  # a blank line, or what is told more exactly
                if text := read_json_line(name, number, offset, line, config, ledger):
                    texts += text
                    records.append(line)
            offset += len(line)
        if texts:
            yield Batch(name, texts, records=records, last=waits())


def _lines(block: bytes) -> list[bytes]:
    *lines, rest = block.split(b"\n")
    return [line + b"\n" for line in lines] + ([rest] if rest else [])


def _of_documents(name: str, documents: Iterator[Document], sizes: Iterator[int]) -> Iterator[Batch]:
    texts: list[str] = []
    held, room = 0, next(sizes)
    for document in documents:
        texts.append(document.text)
        held += size(document.text) + 1
        if held >= room:
            yield Batch(name, texts)
            texts, held, room = [], 0, next(sizes)
    if texts:
        yield Batch(name, texts, last=True)


def _of_rows(name: str, path: Path, config: DataConfig) -> Iterator[Batch]:
    (field,) = config.fields
    for table in read_rows(name, path, config):
        texts = table.column(field).to_pylist()
        if None in texts or not all(isinstance(text, str) for text in texts):
            raise LangueError(
                f"{name}: not every row of {field!r} is text; put it right, or name another field"
            )
        yield Batch(name, texts, table=table)
