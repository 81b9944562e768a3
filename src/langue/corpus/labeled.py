"""Texts with a label each: tab-separated columns, and records as JSON lines, JSON, CSV or Parquet.

Tab-separated: the text, then its label; of pairs, two texts and the label; of texts with several labels, a
column for each. A first line that only names the columns is no example. Records: `text` and `label`; of
pairs, `text`, `second` and `label`; of texts with several labels, `text` and a list `labels`. A label is
text, whatever it looks like.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from langue.base.errors import LangueError
from langue.base.files import parse_json
from langue.base.progress import log
from langue.base.wording import counted
from langue.corpus.config import DataConfig
from langue.corpus.fields import read_fields
from langue.corpus.records import read_rows
from langue.corpus.sources import Source, collect, no_file, read_lines

JSON_LINES = (".jsonl", ".ndjson")
HEADS = ("label", "labels")  # what the last column of a table is called, in its first line

E = TypeVar("E")


class Example(NamedTuple):
    texts: tuple[str, ...]  # one, or the two of a pair
    label: str
    location: str  # file and line


class LabelSet(NamedTuple):
    """A text with any number of labels."""

    text: str
    labels: tuple[str, ...]
    location: str  # file and line


def read_labeled(path: Path, *, texts: int | None) -> list[Example]:
    """The examples of a file; empty lines are passed over, and their number is told.

    Args:
        texts: of each example: 1, or 2 for pairs; None: as many as the first one has.

    Raises:
        LangueError: the file is missing, not UTF-8, or empty; a line has other columns or no label.
    """
    examples = _read(path, partial(_columns, texts=texts), partial(_record, texts=texts))
    for example in examples:
        if len(example.texts) != len(examples[0].texts):
            both = f"{len(examples[0].texts)} in {examples[0].location}, {len(example.texts)} here"
            raise LangueError(f"{example.location}: a file has texts, or pairs of them: {both}")
        if not example.label:
            raise LangueError(f"{example.location} has no label")
    return examples


def read_label_sets(path: Path) -> list[LabelSet]:
    """Texts with any number of labels: a column for each, or in records a list `labels`.

    Raises:
        LangueError: the file is missing, not UTF-8, or empty; a line has no column of labels, a record no
            list.
    """
    return _read(path, _columns_of_set, _record_of_set)


def _read(path: Path, columns: Callable[[list[str], str], E], record: Callable[[Any, str], E]) -> list[E]:
    """The examples of a file, each made of the columns of a line, or of a record, and its location."""
    if path.is_dir():
        raise no_file(path)
    with collect([str(path)]) as sources:
        source = sources[0]
        contents = _without_head(source.name, list(_contents(source)))
    if not contents:
        raise LangueError(f"{source.name} holds no labeled text")
    return [
        columns(held, where) if isinstance(held, _Columns) else record(held, where)
        for held, where in contents
    ]


def _without_head(name: str, contents: list[tuple[Any, str]]) -> list[tuple[Any, str]]:
    """Without a first line that names the columns of a table, as GLUE has it; the texts before the label."""
    if not contents or not isinstance(head := contents[0][0], _Columns):
        return contents
    names = [column.strip().lower() for column in head]
    label = next((column for column in names if column in HEADS), None)
    if label is None or any(row[-1] == head[-1] for row, _ in contents[1:]):
        return contents
    order = list(range(len(names)))
    if "text" in names:
        order = [names.index(column) for column in ("text", "second", label) if column in names]
    elif names[-1] != label:
        return contents
    log.info("%s: the first line names the columns (%s), and is no example", name, ", ".join(head))
    for row, where in contents[1:]:
        if len(row) != len(names):
            raise LangueError(
                f"{where} has {counted(len(row), 'column')}, not {len(names)} as the first line"
            )
    return [(_Columns(row[column] for column in order), where) for row, where in contents[1:]]


class _Columns(list[str]):
    """Of a line, as they stand between tabs."""


def _contents(source: Source) -> Iterator[tuple[Any, str]]:
    """Records, or `_Columns`, and where each stands."""
    if source.suffix in (".csv", ".json"):
        yield from read_fields(source)
    elif source.suffix == ".parquet":
        rows = (
            row for batch in read_rows(source.name, source.path, DataConfig()) for row in batch.to_pylist()
        )
        yield from ((row, f"{source.name}, row {number}") for number, row in enumerate(rows, 1))
    else:
        yield from _lines(source)


def _lines(source: Source) -> Iterator[tuple[Any, str]]:
    records: bool | None = None
    empty = 0
    for number, ended in read_lines(source):
        line, where = ended.rstrip("\r\n"), f"{source.name}, line {number}"
        if not line.strip():
            empty += 1
        else:
            if records is None:  # standard input has no name that tells
                records = source.suffix in JSON_LINES or (not source.suffix and line.lstrip().startswith("{"))
            yield parse_json(line, where) if records else _Columns(line.split("\t")), where
    if empty:
        log.warning("%s: passed over %d empty lines", source.name, empty)


def _columns(columns: list[str], location: str, *, texts: int | None) -> Example:
    texts = texts or (2 if len(columns) == 3 else 1)
    if len(columns) != texts + 1:
        wanted = "text, label" if texts == 1 else "text, text, label"
        raise LangueError(
            f"{location}: {counted(len(columns), 'column')} between tabs, not {texts + 1} ({wanted})"
        )
    return Example(tuple(columns[:-1]), columns[-1].strip(), location)


def _record(record: Any, location: str, *, texts: int | None) -> Example:
    names = ("text", "second")[: texts or (2 if isinstance(record, dict) and "second" in record else 1)]
    _check_fields(record, location, names, "label")
    return Example(tuple(record[name] for name in names), _label(record["label"], location), location)


def _columns_of_set(columns: list[str], location: str) -> LabelSet:
    text, *labels = columns
    if not labels:
        raise LangueError(
            f"{location}: no tab; write the text and a column for each of its labels, an empty one for none"
        )
    return LabelSet(text, _distinct(label.strip() for label in labels), location)


def _record_of_set(record: Any, location: str) -> LabelSet:
    _check_fields(record, location, ("text",), "labels")
    if not isinstance(record["labels"], list):
        raise LangueError(f"{location}: labels is no list but {json.dumps(record['labels'])[:40]}")
    return LabelSet(record["text"], _distinct(_label(one, location) for one in record["labels"]), location)


def _distinct(labels: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label for label in labels if label))


def _check_fields(record: Any, location: str, texts: Sequence[str], label: str) -> None:
    """That a record has these texts, and something as its label."""
    missing = [name for name in (*texts, label) if not isinstance(record, dict) or name not in record]
    if missing:
        raise LangueError(f"{location} has no {missing[0]}; write {', '.join((*texts, label))}")
    wrong = [name for name in texts if not isinstance(record[name], str)]
    if wrong:
        raise LangueError(f"{location}: {wrong[0]} is no text but {json.dumps(record[wrong[0]])[:40]}")


def _label(value: Any, location: str) -> str:
    missing = isinstance(value, float) and not math.isfinite(value)  # how tables write that there is none
    if missing or isinstance(value, bool) or not isinstance(value, str | int | float):
        raise LangueError(
            f"{location}: the label is neither text nor a number but {json.dumps(value)[:40]}; "
            "several of a text are for --task=multilabel, as `labels`"
        )
    return str(value).strip()
