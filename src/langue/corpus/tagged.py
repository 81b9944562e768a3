"""Tagged sentences: CoNLL columns, CoNLL-U and JSON lines, read and written.

CoNLL columns: a token a line, its columns separated by tabs or spaces, the word first and the tag
last; a blank line between sentences. CoNLL-U: ten columns separated by tabs, of which one is the tag;
comments, multiword ranges and empty nodes are kept and written back. JSON lines: an object a sentence,
each column a list. A tag `?` stands for "not known": a sentence may be tagged in part.

Sentences of one document know of each other where the file says what belongs together: `-DOCSTART-`
lines in columns, `# newdoc` in CoNLL-U, a field `document` in JSON lines that changes from one to the next.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

from langue.base.config import Config
from langue.base.errors import LangueError
from langue.base.files import parse_json
from langue.corpus.sources import Source, no_file, open_source

Format = Literal["conll", "conllu", "jsonl"]
UNKNOWN = "?"
CHARACTERS = 0.9  # share of tokens of one character from which on all count as characters
SKIP = "-"  # name of a column that is passed over
DOCUMENT_START = "-DOCSTART-"  # CoNLL-2003's line between documents is no sentence
CONLLU = ("id", "word", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
# What CoNLL files of so many columns hold, by the shared tasks of 2000 and 2003.
CONLL = {2: ("word", "tag"), 3: ("word", "pos", "tag"), 4: ("word", "pos", "chunk", "tag")}
FIELDS = {"word": "tokens", "tag": "tags"}  # of JSON lines; other columns go by their own name
SUFFIXES: dict[str, Format] = {".conllu": "conllu", ".jsonl": "jsonl", ".ndjson": "jsonl"}
Columns = tuple[tuple[str, ...], ...]  # (columns, tokens) of a sentence; the first holds the words


class TaggedConfig(Config, frozen=True):
    """How a labeled file is read: the `[data]` section of a tagger's recipe."""

    format: Literal["auto", "conll", "conllu", "jsonl"] = "auto"  # auto: by the end of the file's name
    # Names of the columns, the word first and the tag last, `-` for one to pass over. Left out: those of
    # `CONLL` by their number; word and upos in CoNLL-U; word and tag (tokens and tags) in JSON lines.
    columns: tuple[str, ...] = ()

    def check(self) -> None:
        if self.columns and (len(self.columns) < 2 or self.columns[0] != "word"):
            raise ValueError('columns start with "word" and end with the tag')


class Sentence(NamedTuple):
    """Tokens with what is known of them. A sentence may be empty."""

    columns: Columns
    tags: tuple[str, ...] = ()  # (tokens,), or () where the file has none
    location: str = ""  # file and line
    lines: tuple[str, ...] = ()  # CoNLL-U: the sentence as it stood
    document: tuple[Columns, ...] = ()  # all sentences of its document; () if it stands alone

    @property
    def words(self) -> tuple[str, ...]:
        return self.columns[0]


class Tagged(NamedTuple):
    """The sentences of a file."""

    name: str
    format: Format
    columns: tuple[str, ...]  # names, as in `TaggedConfig`: the tag is the last
    sentences: list[Sentence]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of `Sentence.columns`."""
        return tuple(name for name in self.columns[:-1] if name != SKIP)


def unit_of(sentences: Iterable[Sentence]) -> Literal["characters", "words"]:
    """The unit of the tokens: characters, if nearly all have only one."""
    lengths = [len(word) for sentence in sentences for word in sentence.words]
    return "characters" if lengths.count(1) >= CHARACTERS * len(lengths) else "words"


def groups(sentences: Sequence[Sentence], tokens: int) -> Iterator[Sequence[Sentence]]:
    """Runs of sentences of about so many tokens."""
    first = size = 0
    for index, sentence in enumerate(sentences, 1):
        size += len(sentence.words)
        if size >= tokens or index == len(sentences):
            yield sentences[first:index]
            first, size = index, 0


def read_tagged(path: Path, config: TaggedConfig | None = None, *, tags: bool = True) -> Tagged:
    """All sentences of a file, packed (.gz, .zst) or not.

    Args:
        tags: whether every sentence must have tags; without, the tag column may be missing.

    Raises:
        LangueError: the file is missing, holds no sentence, or is not of its format; the line is named.
    """
    config = config or TaggedConfig()
    if not path.is_file():
        raise no_file(path)
    format = format_of(path, config.format)
    lines = list(_lines(path))
    columns = (
        config.columns
        or {
            "conll": _conll_columns(lines),
            "conllu": ("word", "upos"),
            "jsonl": ("word", "tag"),
        }[format]
    )
    read = {"conll": _conll, "conllu": _conllu, "jsonl": _json}[format]
    sentences = list(_in_documents(read(str(path), lines, columns, tags)))
    if not any(sentence.words for sentence in sentences):
        raise LangueError(f"{path} holds no sentence")
    return Tagged(str(path), format, columns, sentences)


def _in_documents(numbered: Iterable[tuple[int, Sentence]]) -> Iterator[Sentence]:
    """Sentences that know their document, from sentences with its number; 0: it is not known."""
    for number, group in groupby(numbered, key=lambda one: one[0]):
        sentences = [sentence for _, sentence in group]
        document = tuple(sentence.columns for sentence in sentences) if number else ()
        yield from (sentence._replace(document=document) for sentence in sentences)


def format_of(path: Path, format: str) -> Format:
    """The format asked for, or, for `auto`, the one the file's name tells."""
    known: dict[str, Format] = {"conll": "conll", "conllu": "conllu", "jsonl": "jsonl"}
    return known.get(format) or SUFFIXES.get(Source(str(path), path).suffix, "conll")


def _lines(path: Path) -> Iterator[str]:
    """Lines of a file without their ends."""
    number = 0
    with open_source(Source(str(path), path)) as file:
        for number, line in enumerate(file, 1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            try:
                yield line.decode().rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise LangueError(
                    f"{path}: line {number}: byte {error.start} is not UTF-8; convert the file, "
                    "for example with iconv"
                ) from None


def _split(line: str) -> list[str]:
    return line.split("\t") if "\t" in line else line.split()


def _conll_columns(lines: Sequence[str]) -> tuple[str, ...]:
    """Names by the number of columns of the first token."""
    first = next((line for line in lines if line.strip()), "")
    count = len(_split(first))
    return CONLL.get(count, ("word", *(f"column{number}" for number in range(2, count)), "tag"))


def _conll(
    name: str, lines: Sequence[str], columns: tuple[str, ...], tags: bool
) -> Iterator[tuple[int, Sentence]]:
    rows: list[list[str]] = []
    document = 0
    widths = {len(columns)} if tags else {len(columns), len(columns) - 1}
    for number, line in enumerate([*lines, ""], 1):
        if line.strip():
            row = _split(line)
            if len(row) not in widths or "" in row:
                raise LangueError(
                    f"{name}: line {number} has {_columns(sum(map(bool, row)))}, not "
                    f"{' or '.join(map(str, sorted(widths)))} ({', '.join(columns)})"
                    + ("" if tags else "; plain text is read with --format=text")
                )
            widths = {len(row)}  # the rest of the file must be like its first token
            rows.append(row)
        elif rows:
            if rows[0][0] == DOCUMENT_START:
                document += 1
            else:
                yield document, _sentence(rows, columns, f"{name}: line {number - len(rows)}")
            rows = []


def _columns(count: int) -> str:
    return f"{count} column{'' if count == 1 else 's'}"


def _sentence(rows: list[list[str]], columns: tuple[str, ...], location: str) -> Sentence:
    by_column = [tuple(column) for column in zip(*rows, strict=True)]
    kept = tuple(values for named, values in zip(columns[:-1], by_column, strict=False) if named != SKIP)
    return Sentence(kept, by_column[-1] if len(by_column) == len(columns) else (), location)


def _conllu(
    name: str, lines: Sequence[str], columns: tuple[str, ...], tags: bool
) -> Iterator[tuple[int, Sentence]]:
    unknown = [column for column in columns if column not in CONLLU]
    if unknown:
        raise LangueError(f"CoNLL-U has no column {unknown[0]}; it has {', '.join(CONLLU)}")
    indices = [CONLLU.index(column) for column in columns]
    kept: list[str] = []
    document = 0
    for number, line in enumerate([*lines, ""], 1):
        if line:
            document += line.startswith("# newdoc")
            fields = line.split("\t")
            if not line.startswith("#") and len(fields) != len(CONLLU):
                raise LangueError(f"{name}: line {number} has {_columns(len(fields))}, not the 10 of CoNLL-U")
            kept.append(line)
        elif kept:
            rows = [kept_line.split("\t") for kept_line in kept if _is_word(kept_line)]
            by_column = [tuple(row[index] for row in rows) for index in indices]
            sentence = Sentence(
                tuple(by_column[:-1]), by_column[-1], f"{name}: line {number - len(kept)}", tuple(kept)
            )
            if tags and "_" in sentence.tags:
                raise LangueError(f"{sentence.location}: a word of this sentence has no {columns[-1]}")
            yield document, sentence
            kept = []


def _is_word(line: str) -> bool:
    """Not a comment, a multiword range (1-2) or an empty node (1.1)."""
    return line.partition("\t")[0].isdecimal()


def _json(
    name: str, lines: Sequence[str], columns: tuple[str, ...], tags: bool
) -> Iterator[tuple[int, Sentence]]:
    before, document = None, 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        location = f"{name}: line {number}"
        record = parse_json(line, location)
        if not isinstance(record, dict):
            raise LangueError(f"{location} is not a JSON object")
        wanted = columns if tags or FIELDS.get(columns[-1], columns[-1]) in record else columns[:-1]
        values = [_list(record, FIELDS.get(column, column), location) for column in wanted if column != SKIP]
        if len({len(column) for column in values}) > 1:
            sizes = ", ".join(f"{len(v)} {FIELDS.get(c, c)}" for c, v in zip(wanted, values, strict=False))
            raise LangueError(f"{location}: the lists differ in length: {sizes}")
        tagged = len(wanted) == len(columns)
        belongs = record.get("document")
        document += belongs is not None and belongs != before
        before = belongs
        yield (
            document if belongs is not None else 0,
            Sentence(tuple(values[:-1] if tagged else values), values[-1] if tagged else (), location),
        )


def _list(record: dict[str, Any], field: str, location: str) -> tuple[str, ...]:
    values = record.get(field)
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        known = ", ".join(record) or "no fields"
        raise LangueError(
            f"{location}: field {field!r} is no list of texts that are not empty (it has {known})"
        )
    return tuple(values)


def write_tagged(
    sentences: Iterable[Sentence], tags: Iterable[Sequence[str]], format: Format, columns: Sequence[str]
) -> Iterator[str]:
    """Sentences with other tags, as pieces of a text in a format.

    Args:
        columns: names as in `Tagged.columns`. A sentence of CoNLL-U keeps its other columns and its comments.
    """
    write = {"conll": _as_conll, "conllu": _as_conllu, "jsonl": _as_json}[format]
    before: Any = None
    document = 0
    for sentence, chosen in zip(sentences, tags, strict=True):
        begins = bool(sentence.document) and sentence.document is not before
        before = sentence.document
        document += begins
        if begins and format == "conll":
            yield "\t".join([DOCUMENT_START, *("-X-" for _ in sentence.columns[1:]), "O"]) + "\n\n"
        yield write(sentence, chosen, columns, document if sentence.document else 0)


def _as_conll(sentence: Sentence, tags: Sequence[str], columns: Sequence[str], document: int) -> str:
    rows = zip(*sentence.columns, tags, strict=True)
    return "".join("\t".join(row) + "\n" for row in rows) + "\n"


def _as_conllu(sentence: Sentence, tags: Sequence[str], columns: Sequence[str], document: int) -> str:
    index = CONLLU.index(columns[-1]) if columns[-1] in CONLLU else CONLLU.index("xpos")
    lines = sentence.lines or tuple(
        "\t".join([str(number), word, *"_" * 8]) for number, word in enumerate(sentence.words, 1)
    )
    written = []
    remaining = iter(tags)
    for line in lines:
        if _is_word(line):
            fields = line.split("\t")
            fields[index] = next(remaining)
            line = "\t".join(fields)
        written.append(line + "\n")
    return "".join(written) + "\n"


def _as_json(sentence: Sentence, tags: Sequence[str], columns: Sequence[str], document: int) -> str:
    names = [FIELDS.get(name, name) for name in columns if name != SKIP]
    values = [list(values) for values in (*sentence.columns, tags)]
    known = {"document": document} if document else {}
    return json.dumps(dict(zip(names, values, strict=True)) | known, ensure_ascii=False) + "\n"
