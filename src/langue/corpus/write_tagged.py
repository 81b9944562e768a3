"""Tagged sentences written with other tags, in the format they were read in or another."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from langue.base.errors import LangueError
from langue.corpus.tagged import (
    BEGINS,
    CONLLU,
    FIELDS,
    Format,
    Sentence,
    feature_columns,
    is_conllu_column,
    is_mark,
    is_word,
    split_row,
    tag_column,
    usual_mark,
)


def write_tagged(
    sentences: Iterable[Sentence], tags: Iterable[Sequence[str]], format: Format, columns: Sequence[str]
) -> Iterator[str]:
    """Sentences with other tags, as pieces of a text in a format.

    Args:
        columns: names as in `Tagged.columns`. A sentence of the same format keeps its other columns and its
            comments, or its other fields.

    Raises:
        LangueError: a token cannot stand in columns.
    """
    write = {"conll": _as_conll, "conllu": _as_conllu, "jsonl": _as_json}[format]
    before: Any = None
    document = 0
    for sentence, chosen in zip(sentences, tags, strict=True):
        begins = bool(sentence.document) and sentence.document is not before
        before = sentence.document
        document += begins
        if begins and format != "jsonl" and not _says_document(sentence, format):
            mark = "\t".join(usual_mark(len(sentence.columns) + 1)) + "\n"
            yield f"{mark}\n" if format == "conll" else "# newdoc\n"
        yield write(sentence, chosen, columns, document if sentence.document else 0)


def _says_document(sentence: Sentence, format: Format) -> bool:
    """Whether what is written with a sentence, as it stood before it, says that a document begins."""
    if _is_conllu(sentence):
        return format == "conllu" and any(map(BEGINS.match, sentence.lines))
    return format == "conll" and any(BEGINS.match(line) or is_mark(line) for line in sentence.lines)


def _as_conll(sentence: Sentence, tags: Sequence[str], columns: Sequence[str], document: int) -> str:
    if sentence.lines and not _is_conllu(sentence):
        return _with_tags(sentence, tags, tag_column(columns), len(columns))
    for values in sentence.columns:
        for word in values:
            if "\t" in word or "\n" in word or not word.strip():
                raise LangueError(
                    f"{sentence.location}: {word!r} cannot stand in columns, which are separated by tabs; "
                    "write JSON lines (--to=jsonl)"
                )
    rows = zip(*sentence.columns, tags, strict=True)
    return "".join("\t".join(row) + "\n" for row in rows) + "\n"


def _is_conllu(sentence: Sentence) -> bool:
    return any(is_word(line) and line.count("\t") == len(CONLLU) - 1 for line in sentence.lines)


def _with_tags(sentence: Sentence, tags: Sequence[str], column: int, width: int) -> str:
    """Columns as they stood, comments and all that is passed over, with other tags."""
    remaining = iter(tags)
    first = len(sentence.lines) - len(tags)  # before it are comments, and the mark of a document
    written = ["\t".join(split_row(line)) if is_mark(line) else line for line in sentence.lines[:first]]
    for line in sentence.lines[first:]:
        row = split_row(line)
        row[column : column + (len(row) == width)] = [next(remaining)]
        written.append("\t".join(row))
    return "".join(f"{line}\n" for line in written) + "\n"


def _as_conllu(sentence: Sentence, tags: Sequence[str], columns: Sequence[str], document: int) -> str:
    name = columns[tag_column(columns)]
    column, _, key = (name if is_conllu_column(name) else "xpos").partition(".")
    index = CONLLU.index(column)
    lines = sentence.lines if _is_conllu(sentence) else _bare(sentence)
    written = []
    remaining = iter(tags)
    for line in lines:
        if is_word(line):
            fields = line.split("\t")
            fields[index] = _set(fields[index], key, next(remaining)) if key else next(remaining)
            line = "\t".join(fields)
        written.append(line + "\n")
    return "".join(written) + "\n"


def _bare(sentence: Sentence) -> Iterator[str]:
    """Lines of CoNLL-U that hold nothing but the words."""
    for number, word in enumerate(sentence.words, 1):
        if "\t" in word or "\n" in word:
            raise LangueError(
                f"{sentence.location}: {word!r} cannot stand in CoNLL-U, whose columns tabs separate; "
                "write JSON lines (--to=jsonl)"
            )
        yield "\t".join([str(number), word, *"_" * 8])


def _set(field: str, key: str, value: str) -> str:
    """A field of `key=value` pairs with another value of one; `_` is none."""
    pairs = dict(pair.partition("=")[::2] for pair in field.split("|") if pair != "_")
    if value == "_":
        pairs.pop(key, None)
    else:
        pairs[key] = value
    return "|".join(f"{name}={own}" if own else name for name, own in pairs.items()) or "_"


def _as_json(sentence: Sentence, tags: Sequence[str], columns: Sequence[str], document: int) -> str:
    order = [*feature_columns(columns), tag_column(columns)]
    names = [FIELDS.get(columns[index], columns[index]) for index in order]
    values = [list(values) for values in (*sentence.columns, tags)]
    written: dict[str, Any] = dict(zip(names, values, strict=True))
    if sentence.record:  # with its own name of the document
        written = json.loads(sentence.record) | written
    elif document:
        written["document"] = document
    return json.dumps(written, ensure_ascii=False) + "\n"
