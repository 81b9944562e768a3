"""From text files to a token store: read, clean, split, learn a vocabulary, encode.

Stages over a folder of parts (`base/stages.py`, `corpus/pipeline.py`), each a map over tasks by whoever runs
them: this process, several, or a cluster. What wants to see all stands between them, and looks at numbers:
which documents repeat, which texts a vocabulary is learned from. So the store is the same bytes whoever makes
it.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from langue.base.config import encode as as_table
from langue.base.executors import Distribution
from langue.base.files import atomic_file, atomic_folder, check_file_free, check_free, refuse_same
from langue.base.progress import bar, log
from langue.base.stages import Executor, Stage, run_stage, versions_of
from langue.base.wording import counted
from langue.corpus.config import DataConfig
from langue.corpus.ledger import Ledger
from langue.corpus.parts import (
    RULE,
    Job,
    RepeatRule,
    Row,
    part_names,
    read_part,
    unpack,
    write_part,
)
from langue.corpus.pipeline import check_splits, make_job, read_corpus, select
from langue.corpus.sources import Source, check_text_field, collect, read_once, unpacked_size
from langue.corpus.split import SPLITS
from langue.tokens.encoding import CODING, LOST, Coding, append_parts, encode
from langue.tokens.store import MANIFEST, TOKENIZER, StoreWriter
from langue.tokens.tokenizer import Tokenizer
from langue.tokens.train import Sample, TokenizerConfig, size_of_vocabulary, train_tokenizer

LARGE = 64 << 20  # bytes of text from which on several processes are worth their start
ON_THE_WAY = 3  # bytes that are written for each byte of text: as it was read, cleaned, hashed, encoded

Chosen = tuple[int, int, int]  # a text of the sample: number of the part, of the row, of the text in it


@dataclass(frozen=True)
class Report:
    """Report of a preparation: what was read, dropped, kept and encoded."""

    path: Path | str  # a URL of an object store
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
    distribution: Distribution | None = None,
) -> Report:
    """Write a token store from files, folders and `-` for standard input.

    Args:
        valid, test: files of those splits; a split without files is cut from `inputs` by hash.
        dropped: JSON-lines file that receives every dropped document with its reason.
        distribution: who does the tasks; None: a process for each processor, where there is much text, else
            this one. What several do, or do in a scratch folder, the same call goes on with after a stop.

    Raises:
        LangueError: a file is missing, empty, binary, damaged or not UTF-8; too little text for a
            split; the output is in the way; the disk is full, or has too little room.
    """
    started = time.perf_counter()
    scratch = distribution.scratch if distribution else None
    check_free(output, marker=MANIFEST, overwrite=overwrite)
    ready = Tokenizer.load(Path(tokenizer.file)) if tokenizer.file else None
    if ready is None:
        size_of_vocabulary(tokenizer)  # what it refuses, it refuses before anything is read
    with ExitStack() as stack:
        ledger = Ledger()
        named = {"train": inputs, "valid": valid, "test": test}
        sources = {
            split: stack.enter_context(collect(names, ledger, config=data, scratch=scratch))
            for split, names in named.items()
        }
        listed = [source for files in sources.values() for source in files]
        check_text_field(listed, data)
        read = [source.path for source in listed]
        refuse_same(output, read)
        _warn_of_one_file(sources)
        store = stack.enter_context(atomic_folder(output, marker=MANIFEST, overwrite=overwrite))
        if dropped is not None:  # opened after the store's folder, so written before it: no store without it
            refuse_same(dropped, read)
            check_file_free(dropped, overwrite=overwrite)
            ledger.write_dropped(stack.enter_context(atomic_file(dropped, overwrite=overwrite)))
        size = unpacked_size(listed)
        staged = distribution or Distribution()
        if staged.workers is None and staged.on is None and size < LARGE:
            staged = staged._replace(workers=1)
        goes_on = staged != Distribution(1) and not read_once(listed)
        no_sample = tokenizer.file or tokenizer.kind == "whitespace"
        job = make_job(sources, data, sample_seed=None if no_sample else tokenizer.seed)
        identity = _identity(job, tokenizer, listed) if goes_on else None
        with staged.begin(output, identity, ON_THE_WAY * size) as (folder, executor):
            ready, sep = _run_stages(folder, job, tokenizer, ready, ledger, executor)
            writer = stack.enter_context(
                StoreWriter(store, vocabulary_size=ready.vocab_size, eos=ready.eos, sep=sep)
            )
            append_parts(folder, writer)
        ledger.warn_of_leaks()
        described = {
            "kind": ready.kind,
            "vocabulary": ready.vocab_size,
            "closed": ready.closed,
            "fingerprint": ready.fingerprint,
        }
        ready.save(store / TOKENIZER)
        writer.finish(
            tokenizer=described,
            normalization=as_table(data.normalization),
            data=as_table(data),
            report=ledger.to_json(),
        )
        totals = msgspec.to_builtins(writer.totals)
    return Report(output, ledger.to_json(), totals, described, time.perf_counter() - started)


def _identity(job: Job, tokenizer: TokenizerConfig, sources: Sequence[Source]) -> bytes:
    """What tells a preparation from every other: the store that comes out is a function of it."""
    read = [source.path for source in sources] + ([Path(tokenizer.file)] if tokenizer.file else [])
    return msgspec.msgpack.encode([job, tokenizer, versions_of(read)])


def _run_stages(
    folder: Path,
    job: Job,
    config: TokenizerConfig,
    ready: Tokenizer | None,
    ledger: Ledger,
    executor: Executor,
) -> tuple[Tokenizer, int | None]:
    """Everything up to the ids; returns the tokenizer and, of pairs, the id between their texts."""
    of = read_corpus(folder, job, executor)
    chosen = _select(folder, ledger, Sample[Chosen](config.sample_bytes))
    check_splits(ledger, job.data)  # before a vocabulary is learned and all is encoded
    if ready is None:
        texts = _train_texts(folder) if job.sample_seed is None else _texts_of(folder, chosen)
        ready = train_tokenizer(config, texts)
    sep: int | None = None
    if job.data.are_pairs:
        ready, sep = ready.with_separator()
    ready.save(folder / TOKENIZER)
    write_part(folder / CODING, Coding(ready.vocab_size, ready.eos, sep))
    run_stage(Stage("encoding", encode, len(part_names(folder)), of), folder, executor)
    return ready, sep


def _select(folder: Path, ledger: Ledger, sample: Sample[Chosen]) -> list[Chosen]:
    """Note of each part which rows are kept; returns the texts that a vocabulary is learned from."""
    rule = read_part(folder / RULE, RepeatRule)
    with bar("selecting", total=len(part_names(folder))) as progress:
        for part, (name, facts, kept) in enumerate(select(folder, rule, ledger)):
            for row, (fact, is_kept) in enumerate(zip(facts, kept, strict=True)):
                if is_kept and fact.split == "train":
                    for text, (key, size) in enumerate(fact.sample):
                        sample.add(key, size, (part, row, text))
            splits = [
                SPLITS.index(fact.split) if is_kept else LOST
                for fact, is_kept in zip(facts, kept, strict=True)
            ]
            write_part(folder / "kept" / name, bytes(splits))
            progress.advance()
    return sample.texts()


def _texts_of(folder: Path, chosen: Sequence[Chosen]) -> Iterator[str]:
    """The texts of a sample, in the order of the corpus."""
    names = part_names(folder)
    for part, of_part in groupby(sorted(chosen), lambda one: one[0]):
        rows = read_part(folder / "texts" / names[part], list[Row])
        for _, row, text in of_part:
            yield unpack(rows[row].texts[text])


def _train_texts(folder: Path) -> Iterator[str]:
    train = SPLITS.index("train")
    for name in part_names(folder):
        splits = read_part(folder / "kept" / name, bytes)
        for row, split in zip(read_part(folder / "texts" / name, list[Row]), splits, strict=True):
            if split == train:
                yield from map(unpack, row.texts)


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
