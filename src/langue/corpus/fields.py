"""Records with all of their fields: JSON lines, and tables whose first row names the columns.

Where `langue.corpus.read` gives the text of each record, this gives the record, for what is written back with
a field more.
"""

import csv
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from langue.base.errors import LangueError
from langue.base.files import parse_json
from langue.corpus.lines import BOM, LARGEST
from langue.corpus.records import kind_of
from langue.corpus.sources import HEAD, Source, open_source

Record = dict[str, Any]


class Located(NamedTuple):
    """A record, and where it stands."""

    record: Record
    where: str

    def text(self, field: str, option: str) -> str:
        """The text of a field.

        Raises:
            LangueError: there is none; the option that names another is named.
        """
        value = self.record.get(field)
        if not isinstance(value, str):
            what = "no field" if field not in self.record else "no text in the field"
            known = ", ".join(self.record)[:200]
            raise LangueError(f"{self.where} has {what} {field!r} ({known}); pass {option}")
        return value


def holds_records(source: Source, text_field: str | None = None) -> bool:
    """Whether a file holds records whose fields can be kept: JSON lines, or a table.

    Args:
        text_field: if one was asked for, a file of any name may hold them.
    """
    with open_source(source) as file:
        return kind_of(source.suffix, file.read(HEAD), text_field) in ("lines", "table")


def read_fields(source: Source) -> Iterator[Located]:
    """The records of a file, one at a time.

    Raises:
        LangueError: a line is no object or not UTF-8, a row has other columns than the first.
    """
    if source.suffix in (".csv", ".tsv"):
        yield from _rows(source)
        return
    for where, line in _lines(source):
        if not line.strip():
            continue
        record = parse_json(line, where)
        if not isinstance(record, dict):
            raise LangueError(f"{where} is no object but {line.strip()[:40]}; write a record in each line")
        yield Located(record, where)


def _rows(source: Source) -> Iterator[Located]:
    csv.field_size_limit(LARGEST)
    texts = (line for _, line in _lines(source))
    if source.suffix == ".tsv":
        rows = csv.reader(texts, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        rows = csv.reader(texts, strict=True)  # a quote that is never closed would swallow the rest
    columns: Sequence[str] = next(rows, [])
    try:
        for row in rows:
            where = f"{source.name}, line {rows.line_num}"
            if not row:
                continue
            if len(row) != len(columns):
                raise LangueError(f"{where} has {len(row)} columns, not {len(columns)}")
            yield Located(dict(zip(columns, row, strict=True)), where)
    except csv.Error as error:
        raise LangueError(f"{source.name}, line {rows.line_num} is no row of a table: {error}") from None


def _lines(source: Source) -> Iterator[tuple[str, str]]:
    with open_source(source) as file:
        for number, line in enumerate(file, 1):
            where = f"{source.name}, line {number}"
            try:
                yield where, (line.removeprefix(BOM) if number == 1 else line).decode()
            except UnicodeDecodeError as error:
                raise LangueError(f"{where} is not UTF-8: byte {error.start}; convert the file") from None
