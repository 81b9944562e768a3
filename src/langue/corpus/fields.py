"""Records with all of their fields: JSON lines, JSON, and tables whose first row names the columns.

Where `langue.corpus.read` gives the text of each record, this gives the record, for what is written back with
a field more.
"""

import csv
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from langue.base.errors import LangueError
from langue.base.files import parse_json
from langue.corpus.lines import LARGEST
from langue.corpus.records import dialect_of, kind_of, read_values
from langue.corpus.sources import HEAD, Source, open_source, read_head, read_lines

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
    """Whether a file holds records whose fields can be kept: JSON lines, a `.json`, or a table.

    Args:
        text_field: if one was asked for, a file of any name may hold them.
    """
    with open_source(source) as file:
        kind = kind_of(source.suffix, file.read(HEAD), text_field)
    return kind in ("lines", "table") or (kind == "json" and source.suffix == ".json")


def read_fields(source: Source) -> Iterator[Located]:
    """The records of a file, one at a time.

    Raises:
        LangueError: a line is no object or not UTF-8, a row has other columns than the first.
    """
    if source.suffix in (".csv", ".tsv"):
        yield from _rows(source)
        return
    for record, where in _values(source):
        if not isinstance(record, dict):
            shown = json.dumps(record, ensure_ascii=False)[:40]
            raise LangueError(f"{where} is no object but {shown}; write a record in each line")
        yield Located(record, where)


def _values(source: Source) -> Iterator[tuple[Any, str]]:
    """What stands in JSON or in JSON lines, and where."""
    if source.suffix == ".json":
        with open_source(source) as file:
            for value, number in read_values(source.name, read_head(source, file), file):
                yield value, f"{source.name}, line {number}"
        return
    for number, line in read_lines(source):
        if line.strip():
            where = f"{source.name}, line {number}"
            yield parse_json(line, where), where


def _rows(source: Source) -> Iterator[Located]:
    csv.field_size_limit(LARGEST)
    texts = (line for _, line in read_lines(source))
    header = next(texts, "")
    # Strict, for a quote that is never closed would swallow the rest.
    rows = csv.reader(itertools.chain([header], texts), strict=True, **dialect_of(source.suffix, header))
    try:
        columns: Sequence[str] = next(rows, [])
        for row in rows:
            where = f"{source.name}, line {rows.line_num}"
            if not row:
                continue
            if len(row) != len(columns):
                raise LangueError(f"{where} has {len(row)} columns, not {len(columns)}")
            yield Located(dict(zip(columns, row, strict=True)), where)
    except csv.Error as error:
        raise LangueError(f"{source.name}, line {rows.line_num} is no row of a table: {error}") from None
