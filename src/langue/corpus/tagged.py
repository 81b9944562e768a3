"""Tagged sentences: CoNLL columns, CoNLL-U and JSON lines.

CoNLL columns: a token a line, its columns separated by tabs or spaces, the word first and the tag
last unless `columns` says otherwise; a blank line between sentences. CoNLL-U: ten columns separated by tabs,
of which one is the tag; comments, multiword ranges and empty nodes are kept and written back. JSON lines: an
object a sentence, each column a list. A tag `?` stands for "not known": a sentence may be tagged in part. So
does `-` among tags of BILOU, as spaCy writes them.

Sentences of one document know of each other where the file says what belongs together: `-DOCSTART-`
lines in columns, `# newdoc` in CoNLL-U, a field `document` in JSON lines that changes from one to the next.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

from langue.base.config import Config, decode
from langue.base.errors import LangueError
from langue.base.files import parse_json
from langue.base.progress import log
from langue.base.wording import counted
from langue.corpus.schemes import UNKNOWN, usual
from langue.corpus.sources import Source, collect, read_lines

Format = Literal["conll", "conllu", "jsonl"]
CHARACTERS = 0.9  # share of tokens of one character from which on all count as characters
SKIP = "-"  # name of a column that is passed over
DOCUMENT_START = "-DOCSTART-"  # CoNLL-2003's line between documents is no sentence
CONLLU = ("id", "word", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
# What CoNLL files of so many columns hold, by the shared tasks of 2000 and 2003.
CONLL = {2: ("word", "tag"), 3: ("word", "pos", "tag"), 4: ("word", "pos", "chunk", "tag")}
FIELDS = {"word": "tokens", "tag": "tags"}  # of JSON lines; other columns go by their own name
VALUES = ("feats", "misc", "deps")  # columns of CoNLL-U where `_` says "none", which is a value
GAPS = ("xpos", "lemma")  # and where it says "not known"
# A line before the first token of a sentence in columns that is none: `# id 7`, `# text = ...`, an address.
_COMMENT = re.compile(r"#\s+(?:(?:id|newdoc|newpar|sent_id)\b|[\w.:]+\s*=|https?:)|#(?:begin|end) document\b")
BEGINS = re.compile(r"#\s*(?:newdoc|begin document)\b")  # the comment before a document
SUFFIXES: dict[str, Format] = {".conllu": "conllu", ".jsonl": "jsonl", ".ndjson": "jsonl"}
Columns = tuple[tuple[str, ...], ...]  # (columns, tokens) of a sentence; the first holds the words


class TaggedConfig(Config, frozen=True):
    """How a labeled file is read: the `[data]` section of a tagger's recipe."""

    format: Literal["auto", "conll", "conllu", "jsonl"] = "auto"  # auto: by the end of the file's name
    # Names of the columns, `-` for one to pass over: one is `word`, and the tag is the one of the name `tag`,
    # else the last. Left out: those of `CONLL` by their number; word and upos in CoNLL-U; word and tag
    # (tokens and tags) in JSON lines.
    columns: tuple[str, ...] = ()

    def check(self) -> None:
        named = [column for column in self.columns if column != SKIP]
        if not self.columns:
            return
        if named.count("word") != 1 or len(named) < 2 or self.columns[tag_column(self.columns)] == "word":
            raise ValueError('columns hold "word" once, and the tag: the one named "tag", else the last')
        twice = sorted({column for column in named if named.count(column) > 1})
        if twice:
            raise ValueError(f"columns name {twice[0]} twice")


class Sentence(NamedTuple):
    """Tokens with what is known of them. A sentence may be empty."""

    columns: Columns
    tags: tuple[str, ...] = ()  # (tokens,), or () where the file has none
    location: str = ""  # file and line
    lines: tuple[str, ...] = ()  # CoNLL-U, and columns that hold more than is read: as it stood
    document: tuple[Columns, ...] = ()  # all sentences of its document; () if it stands alone
    numbers: tuple[int, ...] = ()  # the line of each token, () where one line has all
    record: str = ""  # JSON lines that hold more than is read: the line as it stood

    @property
    def words(self) -> tuple[str, ...]:
        return self.columns[0]

    def locate(self, t: int) -> str:
        """Where token t stands, for messages."""
        if self.numbers:
            return f"{self.location.rpartition(' ')[0]} {self.numbers[t]}"
        return f"{self.location}, token {t + 1}".removeprefix(", ")


class Tagged(NamedTuple):
    """The sentences of a file."""

    name: str
    format: Format
    columns: tuple[str, ...]  # names, as in `TaggedConfig`
    sentences: list[Sentence]
    asked: str = "auto"  # the format that was asked for

    @property
    def features(self) -> tuple[str, ...]:
        """Names of `Sentence.columns`."""
        return tuple(self.columns[index] for index in feature_columns(self.columns))


def tag_column(columns: Sequence[str]) -> int:
    """Which column is the tag: the one named so, else the last that is not passed over."""
    if "tag" in columns:
        return list(columns).index("tag")
    return max(index for index, name in enumerate(columns) if name != SKIP)


def feature_columns(columns: Sequence[str]) -> list[int]:
    """Which columns are read beside the tag, the word first."""
    tag = tag_column(columns)
    others = [index for index, name in enumerate(columns) if name not in (SKIP, "word") and index != tag]
    return [list(columns).index("word"), *others]


class Layout(NamedTuple):
    """How a file was read, for the reading of others like it."""

    columns: tuple[str, ...]
    format: str = "auto"  # that was asked for
    suffix: str = ""  # of the file

    @classmethod
    def of(cls, tagged: Tagged) -> "Layout":
        return cls(tagged.columns, tagged.asked, Source(tagged.name, Path(tagged.name)).suffix)

    def config(self, path: Path, format: str = "auto") -> TaggedConfig:
        """How another file is read. What is asked for now comes first, then what was asked for before,
        unless the name says it is another kind of file."""
        suffix = Source(str(path), path).suffix
        usual = "auto" if suffix in SUFFIXES and suffix != self.suffix else self.format
        return decode(
            TaggedConfig, {"format": usual if format == "auto" else format, "columns": self.columns}, "data"
        )


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
    if path.is_dir():
        raise LangueError(
            f"no file {path}, it is a folder; name a labeled file: CoNLL columns, CoNLL-U or JSON lines"
        )
    with collect([str(path)]) as sources:
        (source,) = sources
        lines = [line.rstrip("\r\n") for _, line in read_lines(source)]
    format = format_of(source, config, lines)
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
    if tags:
        sentences = _in_usual_spelling(str(path), sentences)
    return Tagged(str(path), format, columns, sentences, config.format)


def _in_usual_spelling(name: str, sentences: list[Sentence]) -> list[Sentence]:
    meant = usual([sentence.tags for sentence in sentences])
    changed = sorted(meant.keys() & {tag for sentence in sentences for tag in sentence.tags})
    if changed:
        log.info("%s: tags are read as %s", name, ", ".join(f"{meant[tag]} for {tag}" for tag in changed[:3]))
    return [one._replace(tags=tuple(meant.get(tag, tag) for tag in one.tags)) for one in sentences]


def _in_documents(numbered: Iterable[tuple[int, Sentence]]) -> Iterator[Sentence]:
    """Sentences that know their document, from sentences with its number; 0: it is not known."""
    for number, group in groupby(numbered, key=lambda one: one[0]):
        sentences = [sentence for _, sentence in group]
        document = tuple(sentence.columns for sentence in sentences) if number else ()
        yield from (sentence._replace(document=document) for sentence in sentences)


def format_of(source: Source, config: TaggedConfig, lines: Sequence[str]) -> Format:
    """The format asked for, or, for `auto`, the one the file's name tells; where that tells nothing, CoNLL-U
    if the first token has its ten columns."""
    if config.format != "auto":
        return config.format
    if source.suffix in SUFFIXES:
        return SUFFIXES[source.suffix]
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "").split("\t")
    numbered = len(first) == len(CONLLU) and re.fullmatch(r"1(-\d+)?", first[0]) is not None
    if numbered and all(map(is_conllu_column, config.columns)):
        return "conllu"
    return "conll"


def split_row(line: str) -> list[str]:
    """Columns between tabs, where there are some, without blanks at their edges; else between blanks."""
    if "\t" not in line:
        return line.split()
    return [column.strip(" ") or column for column in line.split("\t")]


def _conll_columns(lines: Sequence[str]) -> tuple[str, ...]:
    """Names by the number of columns of the first token."""
    rows = (split_row(line) for line in lines if line.strip() and not _COMMENT.match(line))
    count = len(next((row for row in rows if row[0] != DOCUMENT_START), ()))
    return CONLL.get(count, ("word", *(f"column{number}" for number in range(2, count)), "tag"))


def _conll(
    name: str, lines: Sequence[str], columns: tuple[str, ...], tags: bool
) -> Iterator[tuple[int, Sentence]]:
    rows: list[list[str]] = []
    kept: list[str] = []  # comments and rows as they stand
    numbers: list[int] = []
    document = 0
    tag = tag_column(columns)
    plain = columns[0] == "word" and tag == len(columns) - 1 and SKIP not in columns
    widths = {len(columns)} if tags else {len(columns), len(columns) - 1}

    def sentence() -> Sentence:
        location = f"{name}: line {numbers[0]}"
        before = [split_row(line) for line in kept[: -len(rows)]]
        as_it_stood = () if plain and before in ([], [usual_mark(len(columns)), []]) else tuple(kept)
        return _sentence(rows, columns, location)._replace(lines=as_it_stood, numbers=tuple(numbers))

    for number, line in enumerate([*lines, ""], 1):
        row = split_row(line) if line.strip() else []
        begins = DOCUMENT_START in row[:1]  # whatever else stands there, and whatever follows
        if row and not begins and not (not rows and _COMMENT.match(line)):
            if len(row) not in widths or "" in row:
                raise LangueError(
                    f"{name}: line {number} has {counted(len(row), 'column')}"
                    f"{' (one is empty)' if '' in row else ''}, not "
                    f"{' or '.join(map(str, sorted(widths)))} ({', '.join(columns)})"
                    + ("" if tags else "; plain text is read with --format=text")
                )
            widths = {len(row)}  # the rest of the file must be like its first token
            rows.append(row)
            kept.append(line)
            numbers.append(number)
        elif row and not begins:
            document += BEGINS.match(line) is not None
            kept.append(line)
        else:
            if rows:
                yield document, sentence()
            document += begins
            # A mark, and blank lines behind it, stay with the first sentence that follows.
            marked = [line] if begins else [*kept, line] if not rows and is_mark(*kept[:1]) else []
            rows, kept, numbers = [], marked, []


def usual_mark(width: int) -> list[str]:
    """The row between documents of so many columns, as CoNLL-2003 has it."""
    return [DOCUMENT_START, *["-X-"] * (width - 2), "O"]


def is_mark(line: str = "") -> bool:
    """Whether a document begins at this line of columns."""
    return DOCUMENT_START in split_row(line)[:1]


def _sentence(rows: list[list[str]], columns: tuple[str, ...], location: str) -> Sentence:
    by_column = [tuple(column) for column in zip(*rows, strict=True)]
    tag = tag_column(columns)
    tagged = len(by_column) == len(columns)
    if not tagged:  # all but the tag: what stands behind it moves up
        by_column.insert(tag, ())
    features = tuple(by_column[index] for index in feature_columns(columns))
    return Sentence(features, by_column[tag] if tagged else (), location)


def is_conllu_column(name: str) -> bool:
    """Whether CoNLL-U has it: a column, or a key of one, `misc.name`."""
    column, _, key = name.partition(".")
    return name in CONLLU or (column in ("feats", "misc") and bool(key))


def _conllu_value(row: Sequence[str], name: str) -> str:
    """What a row says under a name. A key that is not there is outside of all in misc, and none in feats."""
    column, _, key = name.partition(".")
    field = row[CONLLU.index(column)].strip(" ")
    if not key:
        return field
    pairs = dict(pair.partition("=")[::2] for pair in field.split("|"))
    return pairs.get(key) or ("O" if column == "misc" else "_")


def _conllu(
    name: str, lines: Sequence[str], columns: tuple[str, ...], tags: bool
) -> Iterator[tuple[int, Sentence]]:
    unknown = [column for column in columns if not is_conllu_column(column) and column != SKIP]
    if unknown:
        raise LangueError(f"CoNLL-U has no column {unknown[0]}; it has {', '.join(CONLLU)}")
    chosen = [columns[index] for index in feature_columns(columns)]
    tag = columns[tag_column(columns)]
    kept: list[tuple[int, str]] = []
    document = 0
    for number, line in enumerate([*lines, ""], 1):
        if line.strip():
            document += BEGINS.match(line) is not None
            fields = line.split("\t")
            if not line.startswith("#") and len(fields) != len(CONLLU):
                raise LangueError(
                    f"{name}: line {number} has {counted(len(fields), 'column')}, not the 10 of CoNLL-U"
                )
            kept.append((number, line))
        elif kept:
            rows = [(at, one.split("\t")) for at, one in kept if is_word(one)]
            features = tuple(tuple(_conllu_value(row, column) for _, row in rows) for column in chosen)
            told = [_conllu_value(row, tag) for _, row in rows]
            if tag in GAPS:
                told = [UNKNOWN if value == "_" else value for value in told]
            elif tags and tag.partition(".")[0] not in VALUES and "_" in told:
                raise LangueError(
                    f"{name}: line {rows[told.index('_')][0]}: a word of this sentence has no {tag}; where "
                    f"it is not known, write {UNKNOWN}"
                )
            yield (
                document,
                Sentence(
                    features,
                    tuple(told),
                    f"{name}: line {kept[0][0]}",
                    tuple(one for _, one in kept),
                    numbers=tuple(at for at, _ in rows),
                ),
            )
            kept = []


def is_word(line: str) -> bool:
    """Not a comment, a multiword range (1-2) or an empty node (1.1)."""
    return line.partition("\t")[0].isdecimal()


def _json(
    name: str, lines: Sequence[str], columns: tuple[str, ...], tags: bool
) -> Iterator[tuple[int, Sentence]]:
    before, document = None, 0
    chosen = [columns[index] for index in feature_columns(columns)]
    tag = columns[tag_column(columns)]
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        location = f"{name}: line {number}"
        record = parse_json(line, location)
        if not isinstance(record, dict):
            raise LangueError(f"{location} is not a JSON object")
        tagged = tags or FIELDS.get(tag, tag) in record
        wanted = [*chosen, tag] if tagged else chosen
        values = [_list(record, FIELDS.get(column, column), location) for column in wanted]
        if len({len(column) for column in values}) > 1:
            sizes = ", ".join(f"{len(v)} {FIELDS.get(c, c)}" for c, v in zip(wanted, values, strict=True))
            raise LangueError(f"{location}: the lists differ in length: {sizes}")
        if tagged:
            values[-1] = tuple(value.strip(" ") or value for value in values[-1])
        tags_of = values.pop() if tagged else ()
        more = record.keys() - {FIELDS.get(column, column) for column in wanted}
        sentence = Sentence(tuple(values), tags_of, location, record=line if more else "")
        belongs = record.get("document")
        document += belongs is not None and belongs != before
        before = belongs
        yield document if belongs is not None else 0, sentence


def _list(record: dict[str, Any], field: str, location: str) -> tuple[str, ...]:
    values = record.get(field)
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        known = ", ".join(record) or "no fields"
        raise LangueError(
            f"{location}: field {field!r} is no list of texts that are not empty (it has {known})"
        )
    return tuple(values)
