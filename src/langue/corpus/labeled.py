"""Texts with a label each: tab-separated columns and JSON lines.

Tab-separated: the text, then its label; of pairs, two texts and the label. JSON lines: an object with
`text` and `label`; of pairs, `text`, `second` and `label`. A label is text, whatever it looks like.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from langue.base.errors import LangueError
from langue.base.files import parse_json
from langue.base.progress import log
from langue.corpus.sources import Source, collect, no_file, read_lines

JSON_LINES = (".jsonl", ".ndjson")


class Example(NamedTuple):
    texts: tuple[str, ...]  # one, or the two of a pair
    label: str
    location: str  # file and line


def read_labeled(path: Path, *, texts: int) -> list[Example]:
    """The examples of a file; empty lines are passed over, and their number is told.

    Args:
        texts: of each example: 1, or 2 for pairs.

    Raises:
        LangueError: the file is missing, not UTF-8, or empty; a line has other columns or no label.
    """
    if path.is_dir():
        raise no_file(path)
    with collect([str(path)]) as sources:
        return _read(sources[0], texts)


def _read(source: Source, texts: int) -> list[Example]:
    path = source.name
    examples: list[Example] = []
    empty = 0
    parse: Callable[[str, int, str], Example] | None = None
    for number, ended in read_lines(source):
        line = ended.rstrip("\r\n")
        if not line.strip():
            empty += 1
            continue
        if parse is None:  # standard input has no name that tells
            records = source.suffix in JSON_LINES or (not source.suffix and line.lstrip().startswith("{"))
            parse = _record if records else _columns
        example = parse(line, texts, f"{path}, line {number}")
        if not example.label:
            raise LangueError(f"{example.location} has no label")
        examples.append(example)
    if not examples:
        raise LangueError(f"{path} holds no labeled text")
    if empty:
        log.warning("%s: passed over %d empty lines", path, empty)
    return examples


def _columns(line: str, texts: int, location: str) -> Example:
    columns = line.split("\t")
    if len(columns) != texts + 1:
        wanted = "text, label" if texts == 1 else "text, text, label"
        raise LangueError(f"{location}: {len(columns)} columns between tabs, not {texts + 1} ({wanted})")
    return Example(tuple(columns[:-1]), columns[-1].strip(), location)


def _record(line: str, texts: int, location: str) -> Example:
    record = parse_json(line, location)
    names = ("text", "second")[:texts]
    missing = [name for name in (*names, "label") if not isinstance(record, dict) or name not in record]
    if missing:
        raise LangueError(f"{location} has no {missing[0]}; write {', '.join((*names, 'label'))}")
    wrong = [name for name in names if not isinstance(record[name], str)]
    if wrong:
        raise LangueError(f"{location}: {wrong[0]} is no text but {json.dumps(record[wrong[0]])[:40]}")
    label = record["label"]
    if isinstance(label, bool) or not isinstance(label, str | int | float):
        raise LangueError(f"{location}: the label is neither text nor a number but {json.dumps(label)[:40]}")
    return Example(tuple(record[name] for name in names), str(label).strip(), location)
