"""Batches of texts on disk, in parts that stages work on: where one ends is a matter of the texts alone."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from langue.base.groups import group_by_size
from langue.base.stages import Executor, Stage, run_stage
from langue.corpus.config import DataConfig
from langue.corpus.parts import (
    CORPUS,
    PART_BYTES,
    PARTS,
    SourceTask,
    pack,
    part_names,
    read_part,
    source_tasks,
    unpack,
    write_part,
)
from langue.corpus.sources import Source, nothing_in
from langue.corpus.stream import MOST, Batch, By, read_sources

BATCHES = "batches"  # of each part


class BatchJob(msgspec.Struct):
    """What is read, and how: see `read_batches`."""

    config: DataConfig
    by: By
    whole: bool
    several: int  # files, and their bytes: by which documents are cut
    total: int
    tasks: list[SourceTask]
    part_bytes: int


class StoredBatch(msgspec.Struct):
    """A `Batch` in bytes."""

    source: bytes
    texts: list[bytes] | None
    lines: bytes | None  # that are a text each
    raw: bytes | None  # the same as they stood
    records: list[bytes] | None
    table: bytes | None  # a stream of Arrow

    @classmethod
    def of(cls, batch: Batch) -> "StoredBatch":
        held = batch.held
        return cls(
            pack(batch.source),
            None if isinstance(held, str) else [pack(text) for text in held],
            pack(held) if isinstance(held, str) else None,
            batch.lines,
            None if batch.records is None else list(batch.records),
            None if batch.table is None else _pack_table(batch.table),
        )

    @property
    def batch(self) -> Batch:
        held = unpack(self.lines) if self.lines is not None else [unpack(text) for text in self.texts or ()]
        table = None if self.table is None else _unpack_table(self.table)
        return Batch(unpack(self.source), held, self.raw, self.records, table)

    @property
    def size(self) -> int:
        parts = (self.lines, self.raw, self.table, *(self.texts or ()), *(self.records or ()))
        return sum(len(part) for part in parts if part is not None)


def write_batches(
    folder: Path, sources: Sequence[Source], config: DataConfig, executor: Executor, *, by: By, whole: bool
) -> Callable[[int], str]:
    """The batches of some files, as parts in a folder of stages.

    Returns:
        The name of the file that a part begins with, for people.

    Raises:
        LangueError: as `read_batches`.
    """
    (folder / BATCHES).mkdir(exist_ok=True)
    job = BatchJob(
        config, by, whole, len(sources), sum(source.size for source in sources),
        source_tasks(sources, "train", PART_BYTES), PART_BYTES,
    )  # fmt: skip
    write_part(folder / CORPUS, job)

    def of(number: int) -> str:
        return unpack(job.tasks[number].names[0])

    run_stage(Stage("reading", cut_batches, len(job.tasks), of), folder, executor)
    if not (folder / PARTS).exists():
        written = (path.name for path in (folder / BATCHES).iterdir())
        write_part(folder / PARTS, sorted(name for name in written if not name.startswith(".")))
    names = part_names(folder)
    if not names:
        raise nothing_in(source.name for source in sources)

    def of_part(number: int) -> str:
        return of(int(names[number].partition("-")[0]))

    return of_part


def cut_batches(number: int, folder: Path) -> None:
    """A task: the batches of some files, in parts."""
    job = read_part(folder / CORPUS, BatchJob)
    batches = read_sources(
        job.tasks[number].sources(), job.config, by=job.by, whole=job.whole, several=job.several,
        total=job.total, sizes=itertools.repeat(MOST),
    )  # fmt: skip
    stored = map(StoredBatch.of, batches)
    for index, part in enumerate(group_by_size(stored, lambda batch: batch.size, job.part_bytes)):
        write_part(folder / BATCHES / f"{number:07}-{index:07}", part)


def read_batch_part(folder: Path, name: str) -> Iterator[Batch]:
    """The batches of a part."""
    return (stored.batch for stored in read_part(folder / BATCHES / name, list[StoredBatch]))


def read_all_batches(folder: Path) -> Iterator[Batch]:
    for name in part_names(folder):
        yield from read_batch_part(folder, name)


def _pack_table(table: Any) -> bytes:
    import pyarrow

    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_batch(table)
    return bytes(sink.getvalue())


def _unpack_table(data: bytes) -> Any:
    import pyarrow

    with pyarrow.ipc.open_stream(data) as reader:
        return reader.read_next_batch()
