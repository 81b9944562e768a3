"""The documents that models are measured on: one cut, one spelling of the bytes, one count of them, for all.

A document is text first. Whoever measures it normalizes and encodes the text as its own training text was;
what it costs is divided by the bytes counted here. Of a token store the ids are there too, and a model of the
same tokenizer takes those: the figures are the same, and nothing is encoded anew.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from weakref import finalize

import numpy as np

from langue.base.arguments import check_choice
from langue.base.arrays import Ids
from langue.base.errors import InvalidSetting, LangueError, Mismatch, NotFound
from langue.corpus.config import DOCUMENTS, PAIRS, DataConfig
from langue.corpus.ledger import Ledger, size
from langue.corpus.normalize import Normalization
from langue.corpus.read import read
from langue.corpus.sources import check_text_field, collect
from langue.models.folder import ModelFolder
from langue.tokens.store import MANIFEST, TOKENIZER, Split, TokenStore
from langue.tokens.tokenizer import Tokenizer, encode_texts
from langue.tokens.words import count_words

PathLike = str | Path


class Document(ABC):
    """A document to score, and what its score is divided by.

    Attributes:
        bytes: of its text, in UTF-8; of a pair, of both.
        words: of the same.
        ids: by the tokenizer of the store it comes from, the closing `<eos>` included; None of a text.
    """

    bytes: int
    words: int
    ids: Ids | None = None

    @property
    @abstractmethod
    def texts(self) -> tuple[str, ...]:
        """Its text, or the source and the target of a pair."""

    @property
    def text(self) -> str:
        """Of a document that is no pair."""
        (text,) = self.texts
        return text


class TextDocument(Document):
    """A document of a text file: its texts as they stand there, and as they are counted."""

    def __init__(self, texts: tuple[str, ...], counted: tuple[str, ...]) -> None:
        self._texts = texts
        self.bytes, self.words = sum(map(size, counted)), sum(map(count_words, counted))

    @property
    def texts(self) -> tuple[str, ...]:
        return self._texts


class StoredDocument(Document):
    """A document of a token store, whose text is decoded only for whom its ids are of no use."""

    def __init__(
        self, ids: Ids, bytes: int, words: int, tokenizer: Tokenizer | None, sep: int | None = None
    ) -> None:
        self.ids, self.bytes, self.words, self._tokenizer, self._sep = ids, bytes, words, tokenizer, sep

    @property
    def texts(self) -> tuple[str, ...]:
        assert self._tokenizer is not None and self.ids is not None
        parts = [self.ids[:-1]]
        if self._sep is not None:
            parts = np.split(self.ids[:-1], np.flatnonzero(self.ids == self._sep))
        return tuple(map(self._tokenizer.decode, parts))  # a special token has no text


class Documents(ABC):
    """Documents to measure on, as often as one likes.

    Attributes:
        name: what they are, for tables and messages.
        cut: how they were cut, in words.
        normalization: in which their bytes are counted.
        fingerprint: of the tokenizer of their ids; None where they have none.
        closed: whether some of the text is lost in `<unk>`, so that no other tokenizer can read it.
        pairs: whether each is a source and a target.
    """

    name: str
    cut: str
    normalization: Normalization
    fingerprint: str | None = None
    closed: bool = False
    pairs: bool = False

    @abstractmethod
    def __iter__(self) -> Iterator[Document]: ...

    @abstractmethod
    def __len__(self) -> int:
        """How many there are; 0 where that is not known before they are read."""


class StoredDocuments(Documents):
    """A split of a token store.

    Raises:
        LangueError: there is no such split, or it is empty.
    """

    def __init__(self, store: TokenStore, split: str) -> None:
        self.store = store
        self.split: Split = store.split(split)
        self.name = str(store.path)
        rule = store.preprocessing.documents
        self.cut = f"the {split} split of {store.path}" + (f", documents = {rule}" if rule else "")
        self.normalization = store.normalization
        self.fingerprint = store.preprocessing.fingerprint
        self.closed = bool(store.manifest["tokenizer"]["closed"])
        self.pairs = store.sep is not None
        self._tokenizer: Tokenizer | None = None

    def with_texts(self) -> "StoredDocuments":
        """The same, with a tokenizer to decode them: whoever takes ids does not wait for it."""
        self._tokenizer = self._tokenizer or Tokenizer.load(self.store.path / TOKENIZER)
        return self

    def __iter__(self) -> Iterator[Document]:
        if self.pairs:  # the bytes of targets alone are those of their texts
            self.with_texts()
        columns = (self.split.documents(), self.split.bytes.tolist(), self.split.words.tolist())
        for ids, count, words in zip(*columns, strict=True):
            yield StoredDocument(ids, count, words, self._tokenizer, self.store.sep)

    def __len__(self) -> int:
        return len(self.split)


class Reading(NamedTuple):
    """How the text was read that models were trained on."""

    rule: str = "auto"  # how it was cut: `corpus.config.DataConfig.documents`
    blank: bool = False  # whether a blank line was an empty document: of a text that is counted as it stands


class TextDocuments(Documents):
    """All documents of text files.

    Args:
        fields: of records, which `DataConfig` names otherwise: `text_field`, `source_field`, `target_field`.
    """

    def __init__(self, paths: Sequence[PathLike], reading: Reading, fields: Mapping[str, str | None]) -> None:
        rule, self._blank = reading
        check_choice("documents", rule, DOCUMENTS)
        try:
            self.data = DataConfig(documents=rule, **fields)  # type: ignore[arg-type]  # just checked
        except ValueError as error:
            raise InvalidSetting(str(error)) from error
        self._held = ExitStack()  # of what came through pipes, as long as these documents are at hand
        self.sources = self._held.enter_context(collect([str(path) for path in paths]))
        finalize(self, self._held.close)
        self.name = ", ".join(source.name for source in self.sources)
        self.cut = f"all of {self.name}, documents = {rule}"
        check_text_field(self.sources, self.data)
        self.normalization = self.data.normalization
        self.pairs = rule in PAIRS

    def __iter__(self) -> Iterator[Document]:
        for document in read(self.sources, self.data, Ledger()):
            counted = tuple(map(self.normalization.apply, document.texts))
            if self._blank or all(text.strip() for text in counted):
                yield TextDocument(document.texts, counted)

    def __len__(self) -> int:
        return 0


def open_documents(
    data: PathLike | Sequence[PathLike],
    *,
    split: str = "test",
    rule: str | None = None,
    usual: Reading = Reading(),  # noqa: B008  # immutable
    fields: Mapping[str, str | None] | None = None,
) -> Documents:
    """The documents of a token store or of text files.

    Args:
        rule: how texts are cut; None: as `usual`, as what the models to be measured were trained on.
        fields: of records: see `TextDocuments`.

    Raises:
        NotFound: there is nothing of that name.
        LangueError: a folder is no store, or a store is given together with other things.
    """
    paths = [Path(data)] if isinstance(data, str | Path) else [Path(path) for path in data]
    if not paths:
        raise LangueError("there is nothing to measure on; name a token store or a text file")
    stores = [path for path in paths if (path / MANIFEST).is_file()]
    if stores:
        if len(paths) > 1:
            raise LangueError(f"{stores[0]} is a token store, which is measured on alone; leave the rest out")
        if rule is not None:
            raise LangueError(
                f"{stores[0]} is a token store: its documents are cut already; leave --documents out"
            )
        if any((fields or {}).values()):
            raise LangueError(f"{stores[0]} is a token store and has no fields; leave them out")
        return StoredDocuments(TokenStore(stores[0]), split)
    for path in paths:
        if path.is_dir():
            raise NotFound(f"{path} is neither a token store (no {MANIFEST}) nor a text file")
    return TextDocuments(paths, usual if rule in (None, usual.rule) else Reading(rule), fields or {})


def usual_reading(folders: Sequence[ModelFolder[Any]]) -> Reading:
    """How texts are read for models: as what all of them were trained on, else as a file of its own."""
    rules = {folder.description.documents for folder in folders}
    blank = all(folder.lines and folder.normalization.form == "none" for folder in folders)
    return Reading(rules.pop() or "auto", blank) if len(rules) == 1 else Reading()


def encode_documents(documents: Sequence[Document], folder: ModelFolder[Any]) -> list[Ids]:
    """The texts of documents in the ids of a model, each closed by `<eos>`."""
    texts = [tuple(map(folder.normalization.apply, document.texts)) for document in documents]
    eos = np.uint32(folder.tokenizer.eos)
    return [np.append(ids, eos) for ids in encode_texts(folder.tokenizer, texts, sep_of(folder))]


def sep_of(folder: ModelFolder[Any]) -> int | None:
    """The id that ends a source, of a model of pairs."""
    known = folder.description.vocabulary
    return known.sep if known is not None else None


def check_pairs(documents: Documents, folder: ModelFolder[Any]) -> None:
    """See that a model that has to read texts can tell where a source ends.

    Raises:
        Mismatch: they are pairs, and it was trained on texts.
    """
    if documents.pairs and sep_of(folder) is None:
        raise Mismatch(
            f"{documents.name} holds pairs, and {folder.path} was trained on texts, where no source ends; "
            "measure a model of a store of pairs (langue prepare PAIRS --documents pairs), or single texts"
        )


def split_of(documents: Documents, folder: ModelFolder[Any]) -> Split:
    """The documents by the ids of a model, for what needs them all at hand.

    Raises:
        LangueError: there are none, or they are pairs and the model was trained on texts.
    """
    if isinstance(documents, StoredDocuments) and documents.fingerprint == folder.preprocessing.fingerprint:
        return documents.split
    check_pairs(documents, folder)
    if isinstance(documents, StoredDocuments):
        documents.with_texts()
    read = list(documents)
    if not read:
        raise LangueError(f"{documents.name} holds no text: there is nothing to measure on")
    rows = encode_documents(read, folder)
    sizes = np.array([document.bytes for document in read], np.uint64)
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.uint64)
    return Split(documents.name, np.concatenate(rows), offsets, sizes, sizes)
