"""Parts of a corpus on disk, between the stages that make a store of it.

`raw` parts hold documents as they were read, `texts` the same in one spelling, `facts` what is to be known
of them without their texts; `repeats.py` keeps their hashes. Where a part ends is a matter of the corpus
alone. A document that is lost stays in its part with the reason, so that losses are told in the order in
which they were read.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from langue.base.errors import Damaged
from langue.base.files import atomic_file, read_bytes
from langue.base.groups import group_by_size
from langue.corpus.config import DataConfig
from langue.corpus.document import Document
from langue.corpus.ledger import Ledger
from langue.corpus.sources import Source

PART_BYTES = 4 << 20  # of the documents of a part: a second's work, and little to hold
CORPUS, RULE, PARTS = "corpus", "rule", "parts"  # files of a folder of stages: a `Job`, a `RepeatRule`, names

T = TypeVar("T")


class Row(NamedTuple):
    """A document in a part, in bytes: texts as they were read, and names, may have halves of characters."""

    texts: tuple[bytes, ...]
    id: bytes
    source: bytes
    lost: str  # why, if it is

    @classmethod
    def of(cls, document: Document, lost: str = "") -> "Row":
        return cls(tuple(map(pack, document.texts)), pack(document.id), pack(document.source), lost)

    @property
    def document(self) -> Document:
        text, *target = map(unpack, self.texts)
        return Document(text, unpack(self.id), unpack(self.source), *target)


def pack(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def unpack(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


class SourceTask(msgspec.Struct):
    """Files of one split that are read by one task."""

    split: str
    names: list[bytes]
    paths: list[bytes]

    def sources(self) -> list[Source]:
        return [
            Source(unpack(name), Path(unpack(path)))
            for name, path in zip(self.names, self.paths, strict=True)
        ]


def source_tasks(sources: Iterable[Source], split: str, part_bytes: int) -> list[SourceTask]:
    """Files in tasks: some small ones together, a large one alone."""
    return [
        SourceTask(
            split,
            [pack(source.name) for source in group],
            [pack(str(source.path.absolute())) for source in group],
        )
        for group in group_by_size(sources, lambda source: source.size, part_bytes)
    ]


class Job(msgspec.Struct):
    """What is read, and how."""

    data: DataConfig
    given: list[str]  # the splits that have files of their own, besides train
    several: dict[str, int]  # how many files a split has, and their bytes: by which texts are cut
    total: dict[str, int]
    tasks: list[SourceTask]
    part_bytes: int  # of the documents of a part
    sample_seed: int | None  # of the sample of texts that a vocabulary is learned from; None: there is one


class RepeatRule(msgspec.Struct, frozen=True):
    """What is done about documents that stand there twice."""

    exact: Literal["drop", "count", "ignore"]  # count: those of held-out splits that stand in train, too
    near: Literal["drop", "count", "ignore"]


class Counts(msgspec.Struct):
    """What a ledger counts of a part, but for what is kept and dropped."""

    read: dict[str, int]
    changed: dict[str, int]
    rules: list[tuple[bytes, str]]
    lines: int

    def add_to(self, ledger: Ledger) -> None:
        ledger.read.update(self.read)
        ledger.changed.update(self.changed)
        ledger.rules.update((unpack(name), rule) for name, rule in self.rules)
        ledger.lines += self.lines


class RawPart(msgspec.Struct):
    split: str
    counts: Counts
    rows: list[Row]


class Fact(NamedTuple):
    """What is to be known of a row without its texts."""

    lost: str  # why, if it is; then what follows the size is nothing
    size: int  # UTF-8 bytes
    split: str = ""
    text_hash: int = 0  # of its text, of a pair its source
    sample: tuple[tuple[int, int], ...] = ()  # hash and size of each text, where there is a sample


class Facts(msgspec.Struct):
    """What is to be known of a part."""

    counts: Counts
    rows: list[Fact]


class PartLedger(Ledger):
    """Keeps what is dropped as a row in its turn, to be counted when all parts before are known."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Row] = []

    def drop(self, document: Document, reason: str) -> None:
        self.rows.append(Row.of(document, reason))

    def take(self) -> Counts:
        """What was counted since it was last taken."""
        rules = [(pack(name), rule) for name, rule in self.rules.items()]
        counts = Counts(dict(self.read), dict(self.changed), rules, self.lines)
        self.read.clear()
        self.changed.clear()
        self.rules.clear()
        self.lines = 0
        return counts


def write_part(path: Path, part: Any) -> None:
    with atomic_file(path) as file:
        file.write(msgspec.msgpack.encode(part))


def read_part(path: Path, kind: type[T]) -> T:
    """A part, or another file of a folder of stages.

    Raises:
        Damaged: it is cut short, as after a power failure.
    """
    try:
        return msgspec.msgpack.decode(read_bytes(path), type=kind)
    except msgspec.DecodeError as error:
        raise Damaged(f"{path} is damaged: {error}; remove {path.parents[1]} and start again") from error


def part_names(folder: Path) -> list[str]:
    return read_part(folder / PARTS, list[str])
