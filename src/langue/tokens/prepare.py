"""From text files to a token store: read, clean, split, learn a vocabulary, encode.

Documents stream: where the vocabulary is still to be learned, the cleaned text waits in a temporary
file beside the store, so every source is read once and standard input is like any other.
"""

import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from langue.base.arrays import Ids
from langue.base.config import encode as as_table
from langue.base.files import atomic_file, atomic_folder, check_file_free, check_free, refuse_same
from langue.base.groups import group_by_size
from langue.base.parallel import default_workers, parallel_imap
from langue.base.progress import bar, log
from langue.base.wording import counted
from langue.corpus.config import DataConfig
from langue.corpus.document import UNIT_SEPARATOR, Document
from langue.corpus.ledger import Ledger, document_size
from langue.corpus.lines import naming_choices
from langue.corpus.pipeline import Assigned, assign_splits, check_splits
from langue.corpus.sources import Source, check_text_field, collect
from langue.tokens.store import MANIFEST, SPLITS, TOKENIZER, StoreWriter
from langue.tokens.tokenizer import Tokenizer, encode_texts
from langue.tokens.train import TokenizerConfig, train_tokenizer
from langue.tokens.words import count_words

BATCH_BYTES = 1 << 20  # bytes encoded at a time: enough to keep every core busy, little to hold
SPOOL = ".text"  # cleaned text on its way to the vocabulary


@dataclass(frozen=True)
class Report:
    """Report of a preparation: what was read, dropped, kept and encoded."""

    path: Path
    ledger: dict[str, Any]  # what was read, changed, dropped, kept, leaked
    splits: dict[str, dict[str, int]]  # documents, tokens, bytes, words of each split
    tokenizer: dict[str, Any]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            **self.ledger,
            "splits": self.splits,
            "tokenizer": self.tokenizer,
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        ends = ", ".join(f"{count:,} by {rule}" for rule, count in self.ledger["documents"].items())
        lines = [
            f"{self.path}: {self.tokenizer['kind']} tokenizer, {self.tokenizer['vocabulary']:,} entries",
            "read       " + _counts(self.ledger["read"]) + f" (files whose documents end: {ends})",
        ]
        if any(self.ledger["changed"].values()):
            changed = {what: count for what, count in self.ledger["changed"].items() if count}
            lines.append("changed    " + ", ".join(f"{what}: {count:,}" for what, count in changed.items()))
        for reason, counter in self.ledger["dropped"].items():
            lines.append(f"dropped    {reason}: {_counts(counter)}")
        if self.ledger["near_duplicates"] is not None:
            lines.append(
                f"near-dups  {counted(self.ledger['near_duplicates'], 'document')} much like an earlier one "
                "(more than half is shared)"
            )
        for name, totals in self.splits.items():
            lines.append(f"{name:<10} {_counts(totals) or 'none'}")
        for split, count in self.ledger["leaks"].items():
            lines.append(f"leak       {counted(count, 'document')} of {split}, which train has too")
        return "\n".join(lines)


def _counts(counter: dict[str, int]) -> str:
    return ", ".join(counted(count, what.removesuffix("s")) for what, count in counter.items() if count)


def prepare(
    inputs: Sequence[str],
    output: Path,
    *,
    data: DataConfig,
    tokenizer: TokenizerConfig,
    valid: Sequence[str] = (),
    test: Sequence[str] = (),
    dropped: Path | None = None,
    overwrite: bool = False,
) -> Report:
    """Write a token store from files, folders and `-` for standard input.

    Args:
        valid, test: files of those splits; a split without files is cut from `inputs` by hash.
        dropped: JSON-lines file that receives every dropped document with its reason.

    Raises:
        LangueError: a file is missing, empty, binary, damaged or not UTF-8; too little text for a
            split; the output is in the way; the disk is full.
    """
    started = time.perf_counter()
    check_free(output, marker=MANIFEST, overwrite=overwrite)
    ready = Tokenizer.load(Path(tokenizer.file)) if tokenizer.file else None
    with ExitStack() as stack:
        ledger = Ledger()
        named = {"train": inputs, "valid": valid, "test": test}
        sources = {
            split: stack.enter_context(collect(names, ledger, config=data)) for split, names in named.items()
        }
        check_text_field([source for files in sources.values() for source in files], data)
        read = [source.path for files in sources.values() for source in files]
        refuse_same(output, read)
        _warn_of_one_file(sources)
        folder = stack.enter_context(atomic_folder(output, marker=MANIFEST, overwrite=overwrite))
        if dropped is not None:  # opened after the store's folder, so written before it: no store without it
            refuse_same(dropped, read)
            check_file_free(dropped, overwrite=overwrite)
            ledger.write_dropped(stack.enter_context(atomic_file(dropped, overwrite=overwrite)))
        documents: Iterator[Assigned] = _read(sources, data, ledger)
        if ready is None:
            spool = folder / SPOOL
            ready = train_tokenizer(tokenizer, _spool(documents, spool))
            documents = _unspool(spool)
        sep: int | None = None
        if data.are_pairs:
            ready, sep = ready.with_separator()
        with StoreWriter(folder, vocabulary_size=ready.vocab_size, eos=ready.eos, sep=sep) as writer:
            _write(documents, ready, writer, sep)
            (folder / SPOOL).unlink(missing_ok=True)
            ledger.warn_of_leaks()
            described = {
                "kind": ready.kind,
                "vocabulary": ready.vocab_size,
                "closed": ready.closed,
                "fingerprint": ready.fingerprint,
            }
            ready.save(folder / TOKENIZER)
            writer.finish(
                tokenizer=described,
                normalization=as_table(data.normalization),
                data=as_table(data),
                report=ledger.to_json(),
            )
            totals = msgspec.to_builtins(writer.totals)
    return Report(output, ledger.to_json(), totals, described, time.perf_counter() - started)


def _read(sources: dict[str, list[Source]], data: DataConfig, ledger: Ledger) -> Iterator[Assigned]:
    """Every document that is kept, under a progress bar."""
    with bar("reading") as progress, naming_choices():
        for number, (split, document) in enumerate(assign_splits(sources, data, ledger), 1):
            if number % 1000 == 0:
                progress.note(f"{number:,} documents, {ledger.read['bytes'] / 1e6:,.0f} MB")
            yield split, document
    check_splits(ledger, data)  # before a vocabulary is learned and all is encoded


def _warn_of_one_file(sources: Mapping[str, Sequence[Source]]) -> None:
    """Tell of a file, whatever its name or link, that is read for two splits."""
    seen: dict[tuple[int, int], tuple[str, str]] = {}
    for split, files in sources.items():
        for source in files:
            status = source.path.stat()
            before, name = seen.setdefault((status.st_dev, status.st_ino), (split, source.name))
            if before != split:
                log.warning(
                    "%s and %s hold the same file (%s): figures on the one say nothing of the other",
                    before, split, name,
                )  # fmt: skip


def _spool(documents: Iterable[Assigned], path: Path) -> Iterator[str]:
    """Put documents aside, and pass the training texts on to who learns from them."""
    with path.open("wb") as file:
        for split, document in documents:
            text = document.joined.encode()
            file.write(struct.pack("<BQ", SPLITS.index(split), len(text)))
            file.write(text)
            if split == "train":
                yield from document.texts


def _unspool(path: Path) -> Iterator[Assigned]:
    total = path.stat().st_size
    with path.open("rb") as file, bar("encoding", total=total) as progress:
        while head := file.read(9):
            index, length = struct.unpack("<BQ", head)
            text, *target = file.read(length).decode().split(UNIT_SEPARATOR)
            yield SPLITS[index], Document(text, "", "", *target)
            progress.advance(9 + length)


def _write(documents: Iterable[Assigned], tokenizer: Tokenizer, writer: StoreWriter, sep: int | None) -> None:
    """Encode in other threads while the next documents are read and their words counted."""

    def batches() -> Iterator[tuple[list[Assigned], list[int]]]:
        for batch in group_by_size(documents, lambda kept: document_size(kept[1]), BATCH_BYTES):
            yield batch, [sum(map(count_words, document.texts)) for _, document in batch]

    def encode(work: tuple[list[Assigned], list[int]]) -> tuple[list[Assigned], list[int], list[Ids]]:
        batch, words = work
        return batch, words, encode_texts(tokenizer, [document.texts for _, document in batch], sep)

    workers = min(default_workers(), 2)  # each of which tokenizers shares out among all processors
    for encoded in parallel_imap(encode, batches(), workers=workers):
        for (split, document), count, ids in zip(*encoded, strict=True):
            writer.add(split, ids, bytes=document_size(document), words=count)
