"""Records: JSON lines, JSON, tables (CSV, TSV) and Parquet, of which one field is the text, or two the pair.

What a file holds is told by its ending where that is plain, else by how it begins.
"""

import codecs
import csv
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

from langue.base.errors import Damaged, LangueError, MissingExtra
from langue.base.files import parse_json
from langue.corpus.config import DOCUMENT_FIELDS, SUMMARY_FIELDS, DataConfig
from langue.corpus.document import Document
from langue.corpus.ledger import Ledger
from langue.corpus.lines import BOM, LARGEST, Lines, Malformed, decode

Kind = Literal["text", "lines", "json", "table", "parquet"]

TEXT = (".txt", ".text", ".md", ".markdown")
PARQUET = b"PAR1"
# An object that begins, in a list or not; what else begins with a brace, such as TeX, has no such key.
_OBJECT = re.compile(rb'\s*(\[?)\s*\{\s*(?:"(?:[^"\\]|\\.)*"\s*:|\}\s*[],\n])')
_BLANKS = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()
BLOCK = 1 << 16  # bytes of JSON read at a time


def kind_of(suffix: str, head: bytes, text_field: str | None) -> Kind:
    """How a file is read.

    Args:
        suffix: of its name, once unpacked.
        head: its first bytes.
        text_field: if one was asked for, a text file may hold records, too.
    """
    if suffix == ".parquet" or head.startswith(PARQUET):
        return "parquet"
    if suffix in (".csv", ".tsv"):
        return "table"
    if suffix in (".jsonl", ".ndjson"):
        return "lines"
    if suffix in TEXT and text_field is None:
        return "text"
    begins = _OBJECT.match(head.removeprefix(BOM))
    if begins is None:
        return "json" if suffix == ".json" else "text"
    first, ended, _ = head.partition(b"\n")
    return "lines" if not begins[1] and (not ended or _is_object(first.removeprefix(BOM))) else "json"


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(parse_json(line, ""), dict)
    except Damaged:
        return False


def has_field(suffix: str, head: bytes, config: DataConfig) -> bool:
    """Whether a file begins with records, the first of which has a field that is read."""
    kind = kind_of(suffix, head, config.named_field)
    if kind == "table":
        header = head.removeprefix(BOM).partition(b"\n")[0].rstrip(b"\r").decode(errors="replace")
        columns = next(csv.reader([header], **dialect_of(suffix, header)), [])
        return not set(config.for_fields(columns).fields).isdisjoint(columns)
    usual = (*DOCUMENT_FIELDS, *SUMMARY_FIELDS) if config.documents == "summaries" else ()
    named = "|".join(map(re.escape, (*config.fields, *usual))).encode()
    return kind in ("lines", "json") and re.search(rb'"(?:%b)"\s*:' % named, head) is not None


def read_json_lines(name: str, config: DataConfig, ledger: Ledger, lines: Lines) -> Iterator[Document]:
    """Documents of JSON lines: an object a line."""
    offset = 0
    for number, line in enumerate(lines, 1):
        start, offset = offset, offset + len(line)
        if texts := read_json_line(name, number, start, line, config, ledger):
            yield _document(texts, f"{name}:{number}", name)


def read_json_line(
    name: str, number: int, offset: int, line: bytes, config: DataConfig, ledger: Ledger
) -> list[str]:
    """The text of a JSON line, or the two of a pair; none of a blank one, or one that is to be skipped."""
    if not line.strip():
        return []
    if len(line) > LARGEST - 4 and not line.endswith(b"\n"):
        raise LangueError(f"{name}: line {number} is over {LARGEST >> 20} MB long")
    decoded = decode(name, offset, line, config, ledger)
    if decoded is None:
        return []
    where = f"{name}:{number}"
    try:
        record = parse_json(decoded, f"{name}: line {number}")
    except Damaged as error:
        if config.invalid == "skip":
            ledger.miss(Document(decoded, where, name), "invalid JSON")
            return []
        raise Malformed(f"{error.message}; put it right", "skip") from None
    texts = _texts(record, f"{name}: line {number}", config)
    if not texts:
        ledger.miss(Document(decoded, where, name), "no text")
    return texts


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "its brackets are too many, one in another"
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error).partition(";")[0]


def _document(texts: Sequence[str], where: str, name: str) -> Document:
    text, *target = texts
    return Document(text, where, name, *target)


def _texts(record: Any, where: str, config: DataConfig) -> list[str]:
    """The text of a record, or the two of a pair; none where one is missing and it is to be skipped."""
    texts = []
    if isinstance(record, dict):
        config = config.for_fields(record)
    for field, option in config.fields.items():
        text = record.get(field) if isinstance(record, dict) else None
        if isinstance(text, str):
            texts.append(text)
            continue
        if config.invalid == "skip":
            return []
        if isinstance(record, dict) and field in record:
            raise Malformed(
                f"{where}: field {field!r} is no text but {json.dumps(text)[:40]}; put it right", "skip"
            )
        known = ", ".join(record) if isinstance(record, dict) else "no fields"
        raise LangueError(f"{where} has no text in field {field!r} ({known}); pass {option}")
    return texts


def read_json(
    name: str, config: DataConfig, ledger: Ledger, head: bytes, file: BinaryIO
) -> Iterator[Document]:
    """Documents of JSON that is no line each: a list of objects, or objects one after another."""
    for number, (record, begun) in enumerate(_Values(name, config.invalid, head, file), 1):
        where = f"{name}: line {begun}"
        if texts := _texts(record, where, config):
            yield _document(texts, f"{name}:{number}", name)
        else:
            ledger.miss(Document(json.dumps(record, ensure_ascii=False), f"{name}:{number}", name), "no text")


def read_values(name: str, head: bytes, file: BinaryIO) -> Iterator[tuple[Any, int]]:
    """The values of a list, or those of a file one after another, each with the line that it begins in.

    Raises:
        LangueError: it is not JSON, or not UTF-8.
    """
    yield from _Values(name, "error", head, file)


class _Values:
    """Each value of a list, or of a file of values, and the line that it begins in; one is held at a time."""

    def __init__(self, name: str, invalid: str, head: bytes, file: BinaryIO) -> None:
        self._name = name
        self._file = file
        self._utf8 = codecs.getincrementaldecoder("utf-8")(
            errors="replace" if invalid == "replace" else "strict"
        )
        self._read = len(head) - len(head.removeprefix(BOM))  # bytes
        self._held = self._decode(head.removeprefix(BOM), ended=not head)
        self._at = 0
        self._line = 1
        self._ended = not head

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        listed = self._next() == "["
        self._at += listed
        while (character := self._next()) and not (listed and character == "]"):
            yield self._value(), self._line
        if listed and not character:
            raise Damaged(f"{self._name} is cut short: its list does not end")

    def _next(self) -> str:
        """The character that the next value begins with; "" at the end."""
        while True:
            match = _BLANKS.match(self._held, self._at)
            assert match is not None
            self._pass(match.end())
            if self._at < len(self._held) or self._ended:
                return self._held[self._at : self._at + 1]
            self._more()

    def _value(self) -> Any:
        while True:
            try:
                value, end = _DECODER.raw_decode(self._held, self._at)
            except (ValueError, RecursionError) as error:
                if self._ended or isinstance(error, RecursionError) or len(self._held) - self._at > LARGEST:
                    raise LangueError(
                        f"{self._name} is not JSON: {_reason(error)}, "
                        f"in the value that begins in line {self._line}"
                    ) from None
                self._more()
                continue
            self._pass(end)
            return value

    def _pass(self, end: int) -> None:
        self._line += self._held.count("\n", self._at, end)
        self._at = end

    def _more(self) -> None:
        """Read as much again as is held, so that a long value is not parsed again and again."""
        self._held = self._held[self._at :]
        self._at = 0
        data = self._file.read(max(len(self._held), BLOCK))
        self._ended = not data
        self._held += self._decode(data, ended=self._ended)

    def _decode(self, data: bytes, *, ended: bool) -> str:
        begin = self._read - len(self._utf8.getstate()[0])
        self._read += len(data)
        try:
            return self._utf8.decode(data, final=ended)
        except UnicodeDecodeError as error:
            raise Malformed(
                f"{self._name}: byte {begin + error.start} is not UTF-8; convert the file, for example with "
                "iconv",
                "replace",
            ) from None


def read_table(
    name: str, suffix: str, config: DataConfig, ledger: Ledger, lines: Lines
) -> Iterator[Document]:
    """Documents of a table whose first row names its columns: `.csv`, quoted, or `.tsv`, as it stands."""
    lines_read: list[str] = []  # of the row at hand
    texts = _noted(_lines_of(name, config, ledger, lines), lines_read)
    header = next(texts, "")
    csv.field_size_limit(LARGEST)
    dialect = dialect_of(suffix, header)
    rows = csv.reader(itertools.chain([header], texts), **dialect)
    columns = next(rows, [])
    if not header.strip():
        raise LangueError(f"{name} has no columns: its first line is empty")
    config = config.for_fields(columns)
    _check_columns(name, columns, config)
    chosen = [columns.index(field) for field in config.fields]
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise LangueError(f"{name}: line {rows.line_num} is no row of a table: {error}") from None
        if row is None:
            return
        begin, raw = rows.line_num - len(lines_read) + 1, "".join(lines_read)
        lines_read.clear()
        if not row:
            continue
        where = f"{name}:{rows.line_num}"
        if _is_open(raw, dialect):
            if config.invalid != "skip":
                raise Malformed(
                    f"{name}: a quote of the row that begins in line {begin} is never closed, and takes all "
                    "that follows into it; put it right",
                    "skip",
                )
            ledger.miss(Document(raw, where, name), "no text")
        elif len(row) == len(columns):
            yield _document([row[column] for column in chosen], where, name)
        elif config.invalid == "skip":
            ledger.miss(Document(" ".join(row), where, name), "no text")
        else:
            raise Malformed(
                f"{name}: line {rows.line_num} has {len(row)} columns, not {len(columns)}; put it right",
                "skip",
            )


def _check_columns(name: str, columns: Sequence[str], config: DataConfig) -> None:
    for field, option in config.fields.items():
        if field not in columns:
            raise LangueError(f"{name} has no column {field!r} ({', '.join(columns)[:200]}); pass {option}")


def read_columns(name: str, config: DataConfig, ledger: Ledger, lines: Lines) -> Iterator[Document]:
    """Pairs of plain text: a source, a tab and a target in each line; empty lines are passed over."""
    offset = 0
    for number, line in enumerate(lines, 1):
        text = decode(name, offset, line, config, ledger)
        offset += len(line)
        if text is None or not text.strip(" \n"):
            continue
        columns = text.split("\t")
        where = f"{name}:{number}"
        if len(columns) == 2:
            yield _document(columns, where, name)
        elif config.invalid == "skip":
            ledger.miss(Document(text, where, name), "no pair")
        else:
            raise Malformed(
                f"{name}: line {number} has {len(columns)} columns between tabs, not 2 (source, target); put "
                "it right, or give pairs with tabs in them as JSON lines",
                "skip",
            )


def _lines_of(name: str, config: DataConfig, ledger: Ledger, lines: Lines) -> Iterator[str]:
    offset = 0
    for line in lines:
        text = decode(name, offset, line, config, ledger)
        offset += len(line)
        if text is not None:
            yield text + "\n"


def _noted(lines: Iterator[str], notes: list[str]) -> Iterator[str]:
    for line in lines:
        notes.append(line)
        yield line


def _is_open(raw: str, dialect: Mapping[str, Any]) -> bool:
    """Whether a quote of a row is open where the file ends, which the reader takes for its end."""
    if raw.count('"') % 2 == 0 or dialect.get("quoting") == csv.QUOTE_NONE:
        return False
    try:
        list(csv.reader(raw.splitlines(keepends=True), strict=True, **dialect))
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def dialect_of(suffix: str, header: str) -> dict[str, Any]:
    """How the columns of a table are told apart, by its first row."""
    if suffix == ".tsv":
        return {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    delimiter = next((mark for mark in ",;\t" if mark in header), ",")
    return {"delimiter": delimiter}


def read_parquet(name: str, path: Path, config: DataConfig, ledger: Ledger) -> Iterator[Document]:
    """Documents of a column of a Parquet file."""
    fields = list(config.fields)
    number = 0
    for batch in read_rows(name, path, config, columns=fields):
        for texts in zip(*(batch.column(field).to_pylist() for field in fields), strict=True):
            number += 1
            where = f"{name}:{number}"
            wrong = [field for field, text in zip(fields, texts, strict=True) if type(text) is not str]
            if not wrong:
                yield _document(texts, where, name)
            elif config.invalid == "skip":
                ledger.miss(Document(" ".join(map(str, texts)), where, name), "no text")
            else:
                raise Malformed(f"{name}: row {number} of {wrong[0]!r} is not text; put it right", "skip")


def read_rows(name: str, path: Path, config: DataConfig, columns: list[str] | None = None) -> Iterator[Any]:
    """The rows of a Parquet file, some hundred at a time, as `pyarrow.RecordBatch`.

    Args:
        columns: those to read; None: all. The fields of the configuration are looked for.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise MissingExtra("pyarrow", "data", f"reading {name}") from None
    try:
        with parquet.ParquetFile(path) as file:
            _check_columns(name, file.schema_arrow.names, config)
            yield from file.iter_batches(batch_size=256, columns=columns)
    except ArrowException as error:
        raise Damaged(f"{name} is not a whole Parquet file: {error}") from None
