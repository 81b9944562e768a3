"""Passages: what is looked up at a time, a paragraph or so, with where it stands.

Texts are files (or each record of one), documents of a token store, or what a program gives. A passage is a
paragraph; short ones are joined and long ones cut between sentences, so that passages are of like length,
about as long as those of SQuAD.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from langue.base.arguments import check_choice, check_paths
from langue.base.errors import LangueError
from langue.corpus.config import DataConfig
from langue.corpus.ledger import Ledger
from langue.corpus.lines import BOM, LARGEST, decode, has_old_line_ends, whole_characters
from langue.corpus.read import read_source
from langue.corpus.records import kind_of
from langue.corpus.sentences import SentenceSpan, split_sentences, stripped
from langue.corpus.sources import HEAD, Source, check_text_field, collect, open_source
from langue.tasks.retrieval.bm25 import Index
from langue.tasks.retrieval.terms import terms_of
from langue.tokens.store import MANIFEST, SPLITS, TOKENIZER, TokenStore
from langue.tokens.tokenizer import Tokenizer

PathLike = str | Path
Cut = Literal["auto", "line", "blank-line", "text"]
CUTS: tuple[Cut, ...] = ("auto", "line", "blank-line", "text")

SHORT = 600  # characters up to which paragraphs that follow each other are joined
LONG = 1500  # characters of a paragraph that is cut
_PARAGRAPH_END = re.compile(r"\n[^\S\n]*\n\s*|[\f\x1e]\s*")
_LINE_END = re.compile(r"\n")


class Text(NamedTuple):
    """A text that passages are cut from, or a part of one that is too long to be held in one."""

    name: str  # `notes.txt`, `news.jsonl:3`, `store: train 12`
    text: str
    begin: int = 0  # where a part begins: characters
    begin_byte: int = 0

    def location(self, begin: int, end: int) -> tuple[int, int, int, int]:
        """Where characters of it begin and end in the whole text, and the same in bytes of UTF-8."""
        begin_byte = self.begin_byte + len(self.text[:begin].encode())
        end_byte = begin_byte + len(self.text[begin:end].encode())
        return self.begin + begin, self.begin + end, begin_byte, end_byte


class Passage(NamedTuple):
    """Characters `begin` to `end` - 1 of a text."""

    text: int  # which of the texts
    begin: int
    end: int


@dataclass(frozen=True)
class Passages:
    """Texts, the passages they are cut into, and an index of them that is made when it is first needed."""

    texts: Sequence[Text]
    spans: Sequence[Passage] = field(repr=False)
    _sentences: dict[int, list[SentenceSpan]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, texts: Iterable[Text], cut: Cut = "auto") -> "Passages":
        """Cut texts.

        Args:
            cut: "line": each line is a passage; "blank-line": each paragraph; "text": each text; "auto":
                paragraphs, short ones joined and long ones cut.

        Raises:
            LangueError: there is nothing but white space.
        """
        check_choice("passages", cut, CUTS)
        kept = list(texts)
        spans = [Passage(number, *span) for number, one in enumerate(kept) for span in _cut(one.text, cut)]
        if not spans:
            named = ", ".join(one.name for one in kept[:3]) or "what was given"
            raise LangueError(f"{named} holds no text: there is nothing to look in")
        return cls(kept, spans)

    @classmethod
    def read(
        cls, data: PathLike | Sequence[PathLike], *, cut: Cut = "auto", text_field: str | None = None
    ) -> "Passages":
        """Cut the texts of files, folders, standard input (`-`) and token stores.

        Raises:
            NotFound: there is nothing of a name.
            LangueError: a file is empty, binary, damaged or not UTF-8; a record has no such field.
        """
        return cls.of(read_texts(check_paths("data", data), text_field), cut)

    def __len__(self) -> int:
        return len(self.spans)

    def passage(self, number: int) -> str:
        text, begin, end = self.spans[number]
        return self.texts[text].text[begin:end]

    def name(self, number: int) -> str:
        """Of the text that a passage is of."""
        return self.texts[self.spans[number].text].name

    def location(self, number: int) -> tuple[int, int, int, int]:
        """Where a passage begins and ends in its text: in characters, and in bytes of UTF-8."""
        text, begin, end = self.spans[number]
        return self.texts[text].location(begin, end)

    @cached_property
    def index(self) -> Index:
        return Index(terms_of(self.passage(number)) for number in range(len(self)))

    def sentences(self, number: int) -> list[SentenceSpan]:
        """Of a passage, without the white space around them; offsets are those of the whole text."""
        if (known := self._sentences.get(number)) is not None:
            return known
        begin = self.spans[number].begin
        text = self.passage(number)
        spans = (stripped(text, span) for span in split_sentences(text))
        self._sentences[number] = [
            SentenceSpan(begin + span.begin, begin + span.end) for span in spans if span.end > span.begin
        ]
        return self._sentences[number]


def _cut(text: str, cut: Cut) -> Iterator[tuple[int, int]]:
    """Where the passages of a text begin and end, white space around them left out."""
    if cut == "text":
        pieces: Iterable[tuple[int, int]] = [(0, len(text))]
    elif cut == "line":
        pieces = _between(text, _LINE_END)
    else:
        pieces = _between(text, _PARAGRAPH_END)
        if cut == "auto":
            pieces = _of_like_length(text, pieces)
    for begin, end in pieces:
        span = stripped(text, SentenceSpan(begin, end))
        if span.end > span.begin:
            yield span.begin, span.end


def _between(text: str, ends: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    begin = 0
    for match in ends.finditer(text):
        yield begin, match.start()
        begin = match.end()
    yield begin, len(text)


def _of_like_length(text: str, paragraphs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Long paragraphs cut at sentences into pieces of about `SHORT` characters; short ones joined."""
    held: tuple[int, int] | None = None
    for begin, end in paragraphs:
        if held is not None and end - held[0] <= SHORT:
            held = held[0], end
            continue
        if held is not None:
            yield held
        held = begin, end
        if end - begin > LONG:
            yield from _grouped(text, begin, end)
            held = None
    if held is not None:
        yield held


def _grouped(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    start = begin
    for sentence in split_sentences(text[begin:end]):
        if begin + sentence.end - start > SHORT and begin + sentence.begin > start:
            yield start, begin + sentence.begin
            start = begin + sentence.begin
    yield start, end


def given_texts(texts: Sequence[str]) -> Iterator[Text]:
    """Texts of a program, by their number."""
    return (Text(f"text {number}", text) for number, text in enumerate(texts))


def read_texts(names: Sequence[PathLike], text_field: str | None = None) -> Iterator[Text]:
    """The texts of files, folders, standard input (`-`) and token stores.

    Raises:
        NotFound: there is nothing of a name.
        LangueError: a file is binary, damaged or not UTF-8; a record has no such field; a store has none.
    """
    for name in names:
        if (Path(name) / MANIFEST).is_file():
            if text_field is not None:
                raise LangueError(f"{name} is a token store and has no fields; leave --text-field out")
            yield from _of_store(TokenStore(name))
            continue
        config = DataConfig(text_field=text_field)
        with collect([str(name)], config=config) as sources:
            check_text_field(sources, config)
            for source in sources:
                yield from _of_source(source, config)


def _of_source(source: Source, config: DataConfig) -> Iterator[Text]:
    with open_source(source) as file:
        head = file.read(HEAD)
        if kind_of(source.suffix, head, config.named_field) == "text":
            marked = len(BOM) if head.startswith(BOM) else 0
            begin = begin_byte = 0
            for part in _parts(head[marked:], file):
                text = decode(source.name, marked + begin_byte, part, config, Ledger())
                assert text is not None  # what is wrong is an error
                yield Text(source.name, text, begin, begin_byte)
                begin, begin_byte = begin + len(part.decode()), begin_byte + len(part)
            return
    for number, text in enumerate(read_source(source, config.text_field), 1):
        yield Text(f"{source.name}:{number}", text)


def _parts(head: bytes, file: BinaryIO) -> Iterator[bytes]:
    """The bytes of a text, a bounded number at a time: cut behind a paragraph, else behind a line, else
    between characters. Lines end in `\\n`, those of old Macintoshes, too."""
    old, held = has_old_line_ends(head), head
    while True:
        read = file.read(LARGEST - len(held))
        held = (held + read).replace(b"\r", b"\n") if old else held + read
        if read and len(held) < LARGEST:
            continue
        end = len(held)
        if read:
            ends = (held.rfind(b"\n\n") + 1, held.rfind(b"\n") + 1, len(whole_characters(held)[0]))
            end = next(filter(None, ends))
        if end:
            yield held[:end]
        held = held[end:]
        if not read:
            return


def _of_store(store: TokenStore) -> Iterator[Text]:
    """Its documents as they were normalized; of a pair, the source and the target, a line each."""
    tokenizer = Tokenizer.load(store.path / TOKENIZER)
    for name in SPLITS:
        for number, ids in enumerate(store.splits[name].documents()):
            parts = [ids[:-1]]
            if store.sep is not None:
                cut = int((ids == store.sep).argmax())
                parts = [ids[:cut], ids[cut + 1 : -1]]
            yield Text(f"{store.path}: {name} {number}", "\n".join(map(tokenizer.decode, parts)))
