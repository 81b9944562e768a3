"""Texts with a label each: tab-separated columns and JSON lines.

Tab-separated: the text, then its label; of pairs, two texts and the label. JSON lines: an object with
`text` and `label`; of pairs, `text`, `second` and `label`; of texts with several labels, `text` and a list
`labels`, or a column for each. A label is text, whatever it looks like.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from langue.base.errors import LangueError
from langue.base.files import parse_json
from langue.base.progress import log
from langue.corpus.sources import collect, no_file, read_lines

JSON_LINES = (".jsonl", ".ndjson")

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
    """Texts with any number of labels: a column for each, or in JSON lines a list `labels`.

    Raises:
        LangueError: the file is missing, not UTF-8, or empty; a line has no column of labels, a record no
            list.
    """
    return _read(path, _columns_of_set, _record_of_set)


def _read(path: Path, columns: Callable[[str, str], E], record: Callable[[str, str], E]) -> list[E]:
    """The examples of a file, each made of a line and its location."""
    if path.is_dir():
        raise no_file(path)
    with collect([str(path)]) as sources:
        source = sources[0]
        examples: list[E] = []
        empty = 0
        parse: Callable[[str, str], E] | None = None
        for number, ended in read_lines(source):
            line = ended.rstrip("\r\n")
            if not line.strip():
                empty += 1
                continue
            if parse is None:  # standard input has no name that tells
                records = source.suffix in JSON_LINES or (not source.suffix and line.lstrip().startswith("{"))
                parse = record if records else columns
            examples.append(parse(line, f"{source.name}, line {number}"))
    if not examples:
        raise LangueError(f"{source.name} holds no labeled text")
    if empty:
        log.warning("%s: passed over %d empty lines", source.name, empty)
    return examples


def _columns(line: str, location: str, *, texts: int | None) -> Example:
    columns = line.split("\t")
    texts = texts or (2 if len(columns) == 3 else 1)
    if len(columns) != texts + 1:
        wanted = "text, label" if texts == 1 else "text, text, label"
        raise LangueError(f"{location}: {len(columns)} columns between tabs, not {texts + 1} ({wanted})")
    return Example(tuple(columns[:-1]), columns[-1].strip(), location)


def _record(line: str, location: str, *, texts: int | None) -> Example:
    record = parse_json(line, location)
    names = ("text", "second")[: texts or (2 if isinstance(record, dict) and "second" in record else 1)]
    _check_fields(record, location, names, "label")
    return Example(tuple(record[name] for name in names), _label(record["label"], location), location)


def _columns_of_set(line: str, location: str) -> LabelSet:
    text, *labels = line.split("\t")
    if not labels:
        raise LangueError(
            f"{location}: no tab; write the text and a column for each of its labels, an empty one for none"
        )
    return LabelSet(text, _distinct(label.strip() for label in labels), location)


def _record_of_set(line: str, location: str) -> LabelSet:
    record = parse_json(line, location)
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
