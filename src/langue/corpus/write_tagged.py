"""Tagged sentences written with other tags, in the format they were read in or another."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from langue.base.errors import LangueError
from langue.corpus.tagged import (
    BEGINS,
    CONLLU,
    DOCUMENT_START,
    FIELDS,
    Format,
    Sentence,
    feature_columns,
    is_conllu_column,
    is_word,
    split_row,
    tag_column,
)


def write_tagged(
    sentences: Iterable[Sentence], tags: Iterable[Sequence[str]], format: Format, columns: Sequence[str]
) -> Iterator[str]:
    """Sentences with other tags, as pieces of a text in a format.

    Args:
        columns: names as in `Tagged.columns`. A sentence of the same format keeps its other columns and its
            comments.

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
        told = _says_document(sentence, format)
        if begins and not told and format == "conll":
            yield "\t".join([DOCUMENT_START, *("-X-" for _ in sentence.columns[1:]), "O"]) + "\n\n"
        if begins and not told and format == "conllu":
            yield "# newdoc\n"
        yield write(sentence, chosen, columns, document if sentence.document else 0)


def _says_document(sentence: Sentence, format: Format) -> bool:
    """Whether the comments that are written with a sentence say that a document begins."""
    as_it_stood = format == ("conllu" if _is_conllu(sentence) else "conll")
    return as_it_stood and any(map(BEGINS.match, sentence.lines))


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
    written = []
    comments = len(sentence.lines) - len(tags)
    for line in sentence.lines[comments:]:
        row = split_row(line)
        row[column : column + (len(row) == width)] = [next(remaining)]
        written.append("\t".join(row) + "\n")
    return "".join([*(f"{line}\n" for line in sentence.lines[:comments]), *written]) + "\n"


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
    known = {"document": document} if document else {}
    return json.dumps(dict(zip(names, values, strict=True)) | known, ensure_ascii=False) + "\n"
