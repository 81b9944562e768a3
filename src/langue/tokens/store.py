"""The token store: a corpus as memory-mapped token ids, cut into train, valid and test.

A store is a folder, written once, of these files, for each split:

    SPLIT.tokens    ids of all documents, one after another, each closed by `<eos>`: uint16 or uint32
    SPLIT.offsets   where each document begins, and the end of the last: uint64, documents + 1
    SPLIT.bytes     UTF-8 bytes of each normalized document: uint64
    SPLIT.words     words of each document: uint64

A pair is a document: the ids of its source, the id `sep` of the manifest, which no text has, and those of its
target. All are little-endian. `tokenizer.json` is the tokenizer, and `manifest.json` says how the rest came
to be, with the size and SHA-256 of every file. Reading maps the files and holds nothing in memory;
writing appends and holds one document at a time.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import msgspec
import numpy as np

from langue.base.arrays import Array, UInt64Array
from langue.base.bounds import NonNegativeInt
from langue.base.checked import CHUNK_ELEMENTS, ArraySpec, check, damaged, is_rising, once
from langue.base.checksums import FileRecords, check_seal, describe_files, sealed, verify_files
from langue.base.config import convert, decode
from langue.base.deprecated import rename_keys
from langue.base.errors import Damaged, LangueError
from langue.base.files import read_json, write_json
from langue.base.remote import local
from langue.base.verified import verifying
from langue.corpus.config import DOCUMENTS
from langue.corpus.normalize import Normalization
from langue.corpus.split import SPLITS as SPLITS
from langue.tokens.preprocessing import RENAMED_KEYS, Preprocessing

FORMAT = 1
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
COUNTS = np.dtype("<u8")
MOST_IDS = 1 << 31  # ids that a store of 32 bits and a network of this size could have
# Of a split, beside its name.
ARRAYS = {
    "tokens": ArraySpec(("<u2", "<u4"), ("tokens",), below="vocabulary"),
    "offsets": ArraySpec("<u8", ("documents + 1",), rising=True, first=0, last="tokens"),
    "bytes": ArraySpec("<u8", ("documents",)),
    "words": ArraySpec("<u8", ("documents",)),
}


class Totals(msgspec.Struct):
    """Of a split."""

    documents: NonNegativeInt = 0
    tokens: NonNegativeInt = 0
    bytes: NonNegativeInt = 0
    words: NonNegativeInt = 0


class Splits(msgspec.Struct):
    """Of all splits."""

    train: Totals
    valid: Totals
    test: Totals


class TokenizerRecord(msgspec.Struct):
    """What a manifest tells of the tokenizer."""

    fingerprint: str
    kind: str = ""
    vocabulary: NonNegativeInt = 0
    closed: bool = False


class Manifest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of `manifest.json`."""

    format: Literal[1]
    fingerprint: str
    vocabulary_size: Annotated[int, msgspec.Meta(ge=1, le=MOST_IDS)]
    eos: NonNegativeInt
    sep: NonNegativeInt | None = None  # of a store of pairs: ends the source of each
    splits: Splits
    tokenizer: TokenizerRecord
    normalization: dict[str, Any] = {}
    data: dict[str, Any] = {}
    report: dict[str, Any] = {}
    files: FileRecords
    digest: str | None = None  # of all else that stands here; those of old have none

    def __post_init__(self) -> None:
        if self.eos >= self.vocabulary_size:
            raise ValueError(f"eos is {self.eos}, and ids run to {self.vocabulary_size - 1}")
        if self.sep is not None and (self.sep >= self.vocabulary_size or self.sep == self.eos):
            raise ValueError(f"sep is {self.sep}: eos is {self.eos}, ids run to {self.vocabulary_size - 1}")
        # Of what is told of the texts alone, this is gone by.
        asked, taken = self.data.get("documents"), self.report.get("documents", {})
        if not isinstance(asked, str | None) or not isinstance(taken, dict):
            raise ValueError(
                "how its texts were cut into documents is told by no rule, or by no table of them"
            )


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a store as a table, every entry of its type.

    Raises:
        Damaged: it is of another format, or something in it is not what it must be; it is named.
    """
    table = _read_table(path)
    manifest = convert(Manifest, table, path)
    check_seal(table, path)
    return dict(msgspec.to_builtins(manifest))


def _read_table(path: Path) -> dict[str, Any]:
    table = read_json(path)
    given = table.get("format") if isinstance(table, dict) else None
    if given != FORMAT:
        raise Damaged(f"{path.parent} has store format {given}, not {FORMAT}; prepare it again")
    return rename_keys(table, RENAMED_KEYS)


def token_dtype(vocabulary_size: int) -> np.dtype[Any]:
    """The narrowest type that holds every id: half the disk and bandwidth below 65,536 entries."""
    return np.dtype("<u2") if vocabulary_size <= 1 << 16 else np.dtype("<u4")


@dataclass(frozen=True)
class Split:
    """The documents of one split. Arrays are memory maps: slicing one reads only that part."""

    name: str
    tokens: Array  # (tokens,) each document closed by <eos>
    offsets: UInt64Array  # (documents + 1,)
    bytes: UInt64Array  # (documents,)
    words: UInt64Array  # (documents,)
    folder: Path | None = None  # of the store, or the model, with the tokenizer of its ids

    def __len__(self) -> int:
        return len(self.bytes)

    def document(self, index: int) -> Array:
        """Ids of one document, its closing `<eos>` included."""
        return self.tokens[int(self.offsets[index]) : int(self.offsets[index + 1])]

    def documents(self) -> Iterator[Array]:
        """Ids of every document in order."""
        for index in range(len(self)):
            yield self.document(index)

    def part(self, begin: int, end: int) -> "Split":
        """The documents [begin, end)."""
        first, last = int(self.offsets[begin]), int(self.offsets[end])
        return replace(
            self,
            tokens=self.tokens[first:last],
            offsets=self.offsets[begin : end + 1] - np.uint64(first),
            bytes=self.bytes[begin:end],
            words=self.words[begin:end],
        )


class TokenStore:
    """A store opened for reading.

    Args:
        path: the folder `langue prepare` wrote; of an object store, what is read is a copy.
        verify: read every file whole and compare its hash; None: those that were touched since they last
            were. Without it, only sizes are compared.

    Raises:
        LangueError: no store is there, a file of it is missing, cut short or altered, or it was
            written by a later version of langue.
    """

    def __init__(self, path: Path | str, *, verify: bool | None = None) -> None:
        self.path = local(path)
        if not (self.path / MANIFEST).is_file():
            what = f"is not a token store (no {MANIFEST})" if self.path.exists() else "does not exist"
            raise LangueError(f"{self.path} {what}; make a token store: langue prepare TEXT -o STORE")
        table = _read_table(self.path / MANIFEST)
        manifest = convert(Manifest, table, self.path / MANIFEST)
        verify_files(self.path, manifest.files, hashes=verify)
        self.vocabulary_size = manifest.vocabulary_size
        self.eos = manifest.eos
        self.sep = manifest.sep
        with verifying("whole") if verify else nullcontext():
            self.splits = {name: self._open(name, getattr(manifest.splits, name)) for name in SPLITS}
        check_seal(table, self.path / MANIFEST)
        self.manifest = msgspec.to_builtins(manifest)

    @property
    def fingerprint(self) -> str:
        """Changes with any change of text, split, normalization or tokenizer."""
        return str(self.manifest["fingerprint"])

    @property
    def preprocessing(self) -> Preprocessing:
        """Preprocessing of its texts into ids, for the models made from it."""
        return Preprocessing(
            self.path / TOKENIZER,
            self.manifest["tokenizer"]["fingerprint"],
            self.manifest["normalization"],
            self._rule(),
        )

    @property
    def of_summaries(self) -> bool:
        """Whether its pairs are documents with summaries, or with sentences that stand for one."""
        data = self.manifest["data"]
        return data.get("documents") == "summaries" or bool(data.get("gap_sentences"))

    def _rule(self) -> str | None:
        """How its texts were cut into documents: as asked for, or as was found best for all of them."""
        asked: str | None = self.manifest["data"].get("documents")
        taken = [rule for rule in self.manifest["report"].get("documents", ()) if rule in DOCUMENTS]
        return taken[0] if asked == "auto" and len(taken) == 1 else asked

    @property
    def normalization(self) -> Normalization:
        """The spelling its texts were brought to, in which their bytes are counted."""
        return decode(Normalization, self.manifest["normalization"], f"{self.path / MANIFEST}: normalization")

    def split(self, name: str) -> Split:
        """One split by name, with at least one document.

        Raises:
            LangueError: no such split, or nothing in it.
        """
        if name not in self.splits:
            raise LangueError(f"unknown split {name}; there are {', '.join(SPLITS)}")
        if not len(self.splits[name]):
            raise LangueError(f"the {name} split of {self.path} is empty; prepare it with more documents")
        return self.splits[name]

    def _open(self, name: str, totals: Totals) -> Split:
        dtypes = {"tokens": token_dtype(self.vocabulary_size)}
        files = {part: self.path / f"{name}.{part}" for part in ARRAYS}
        arrays = {part: _map(file, dtypes.get(part, COUNTS)) for part, file in files.items()}

        def verify() -> None:
            check(arrays, self.path, ARRAYS, f"{name}.", vocabulary=self.vocabulary_size)
            _check_documents(arrays, self.path, name, self.eos, totals)
            if self.sep is not None:
                _check_pairs(arrays, self.path, name, self.sep)

        known = (self.vocabulary_size, self.eos, self.sep, msgspec.structs.astuple(totals))
        once(list(files.values()), known, verify)
        return Split(name, **arrays, folder=self.path)


def _check_documents(arrays: dict[str, Array], folder: Path, name: str, eos: int, totals: Totals) -> None:
    tokens, offsets = arrays["tokens"], arrays["offsets"]
    if not is_rising(offsets, strictly=True):
        raise damaged(folder, f"{name}.offsets", "has a document without tokens")
    for begin in range(1, len(offsets), CHUNK_ELEMENTS):
        if not (tokens[offsets[begin : begin + CHUNK_ELEMENTS].astype(np.int64) - 1] == eos).all():
            raise damaged(folder, f"{name}.offsets", "and the tokens: a document does not end with <eos>")
    sums = [len(arrays["bytes"]), len(tokens), *(_sum(arrays[part]) for part in ("bytes", "words"))]
    for what, own, meant in zip(totals.__struct_fields__, sums, msgspec.structs.astuple(totals), strict=True):
        if own != meant:
            raise damaged(folder, f"{name}.{what}", f"are {own}, where {MANIFEST} has {meant}")


def _check_pairs(arrays: dict[str, Array], folder: Path, name: str, sep: int) -> None:
    """Each document has one end of a source."""
    tokens, offsets = arrays["tokens"], arrays["offsets"]
    following = 0  # the document whose source ends next
    for begin in range(0, len(tokens), CHUNK_ELEMENTS):
        ends = np.flatnonzero(tokens[begin : begin + CHUNK_ELEMENTS] == sep).astype(np.uint64) + np.uint64(
            begin
        )
        documents = np.searchsorted(offsets, ends, side="right") - 1
        if not np.array_equal(documents, np.arange(following, following + len(ends))):
            break
        following += len(ends)
    else:
        if following == len(offsets) - 1:
            return
    raise damaged(folder, f"{name}.tokens", "is not of pairs: a document has not one source that ends")


def _sum(array: Array) -> int:
    """Of numbers whose sum may need more than their 64 bits."""
    return int((array >> 32).sum()) * (1 << 32) + int((array & 0xFFFFFFFF).sum())


def _map(path: Path, dtype: np.dtype[Any]) -> Array:
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.empty(0, dtype)
    if path.stat().st_size % dtype.itemsize:
        raise Damaged(f"{path} is damaged: it ends inside a number; make it again")
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))


class StoreWriter:
    """Appends documents to a store that is being written; use it as a context manager.

    Args:
        folder: an empty folder (`atomic_folder` gives one).
        eos: id that closes each document; `add` appends it.
        sep: of pairs, the id that stands between a source and its target.
    """

    def __init__(self, folder: Path, *, vocabulary_size: int, eos: int, sep: int | None = None) -> None:
        self.folder = folder
        self.vocabulary_size = vocabulary_size
        self.eos = eos
        self.sep = sep
        self.totals = {name: Totals() for name in SPLITS}
        self._dtype = token_dtype(vocabulary_size)
        self._files: dict[str, BinaryIO] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "StoreWriter":
        for name in SPLITS:
            for part in ("tokens", "offsets", "bytes", "words"):
                file = self._stack.enter_context((self.folder / f"{name}.{part}").open("wb"))
                self._files[f"{name}.{part}"] = file
            self._files[f"{name}.offsets"].write(np.zeros(1, COUNTS).tobytes())
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def add(self, split: str, ids: Array, *, bytes: int, words: int) -> None:
        """Append one document: its ids without the closing `<eos>`, its size in bytes and words."""
        tokens = np.append(np.asarray(ids, self._dtype), self._dtype.type(self.eos))
        one = [np.array([count], COUNTS) for count in (len(tokens), bytes, words)]
        self.append(split, tokens, lengths=one[0], bytes=one[1], words=one[2])

    def append(
        self, split: str, tokens: Array, *, lengths: UInt64Array, bytes: UInt64Array, words: UInt64Array
    ) -> None:
        """Append documents.

        Args:
            tokens: ids of all of them, each document closed by `<eos>`.
            lengths: tokens of each, `(documents,)`, and so are its `bytes` and `words`.
        """
        totals = self.totals[split]
        offsets = np.uint64(totals.tokens) + np.cumsum(lengths, dtype=np.uint64)
        totals.documents += len(lengths)
        totals.tokens += len(tokens)
        totals.bytes += int(bytes.sum())
        totals.words += int(words.sum())
        self._files[f"{split}.tokens"].write(np.asarray(tokens, self._dtype).tobytes())
        for part, counts in (("offsets", offsets), ("bytes", bytes), ("words", words)):
            self._files[f"{split}.{part}"].write(np.asarray(counts, COUNTS).tobytes())

    def finish(self, **description: Any) -> None:
        """Close the files and write the manifest; `tokenizer.json` must already stand in the folder.

        Args:
            description: what else the manifest keeps: tokenizer, normalization, report.
        """
        self._stack.close()
        files = describe_files(self.folder)
        digest = hashlib.sha256(json.dumps({name: file.sha256 for name, file in files.items()}).encode())
        table = {
            "format": FORMAT,
            "fingerprint": digest.hexdigest(),
            "vocabulary_size": self.vocabulary_size,
            "eos": self.eos,
            **({} if self.sep is None else {"sep": self.sep}),
            "splits": msgspec.to_builtins(self.totals),
            **description,
            "files": msgspec.to_builtins(files),
        }
        msgspec.convert(table, Manifest)  # as it will be read
        write_json(self.folder / MANIFEST, sealed(table))
