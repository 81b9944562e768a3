"""Records with all of their fields: JSON lines, and tables whose first row names the columns.

Where `langue.corpus.read` gives the text of each record, this gives the record, for what is written back with
a field more.
"""

import csv
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from langue.base.errors import LangueError
from langue.base.files import parse_json
from langue.corpus.lines import LARGEST
from langue.corpus.records import dialect_of, kind_of
from langue.corpus.sources import HEAD, Source, open_source, read_lines

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
    for number, line in read_lines(source):
        if not line.strip():
            continue
        where = f"{source.name}, line {number}"
        record = parse_json(line, where)
        if not isinstance(record, dict):
            raise LangueError(f"{where} is no object but {line.strip()[:40]}; write a record in each line")
        yield Located(record, where)


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
