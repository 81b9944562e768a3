"""The ledger: what was read, changed, dropped and kept, with a counted reason for every loss."""

import json
from collections import Counter
from typing import Any, BinaryIO

from langue.base.progress import log
from langue.corpus.document import Document

Split = str
FEW = 64  # different texts: of so many, a twentieth that none falls into is rare (4 %)


class Ledger:
    """Counts what happens to documents on their way into a store."""

    def __init__(self) -> None:
        self.read = Counter[str]()
        self.kept: dict[Split, Counter[str]] = {}
        self.dropped: dict[str, Counter[str]] = {}
        self.changed = Counter[str]()
        self.leaks = Counter[str]()
        self.rules: dict[str, str] = {}  # source → where its documents ended
        self.different: set[int] = set()  # hashes of the first `FEW` different texts that were kept
        self.lines = 0  # read whole, of text and JSON lines
        self.near_duplicates: int | None = None  # None: not counted
        self._file: BinaryIO | None = None

    def write_dropped(self, file: BinaryIO) -> None:
        """Write each document that is dropped from now on to an open file, as a JSON line."""
        self._file = file

    def drop(self, document: Document, reason: str) -> None:
        """Count a document as lost for a reason, and write it out if the user asked for that."""
        counter = self.dropped.setdefault(reason, Counter())
        counter["documents"] += 1
        counter["bytes"] += document_size(document)
        if self._file is not None:
            row = {**document._asdict(), "reason": reason}
            if document.target is None:
                del row["target"]
            self._file.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n")

    def miss(self, document: Document, reason: str) -> None:
        """`drop` what is wrong in its file, and so was not read as a document yet."""
        self.read["documents"] += 1
        self.read["bytes"] += document_size(document)
        self.drop(document, reason)

    def keep(self, split: Split, document: Document) -> None:
        counter = self.kept.setdefault(split, Counter())
        counter["documents"] += 1
        counter["bytes"] += document_size(document)
        if len(self.different) < FEW:
            self.different.add(hash(document.text))

    def to_json(self) -> dict[str, Any]:
        return {
            "read": dict(self.read),
            "kept": {split: dict(counter) for split, counter in self.kept.items()},
            "dropped": {reason: dict(counter) for reason, counter in self.dropped.items()},
            "changed": dict(self.changed),
            "near_duplicates": self.near_duplicates,
            "leaks": dict(self.leaks),
            "documents": dict(Counter(self.rules.values())),
        }

    def warn_of_leaks(self) -> None:
        """Say once, plainly, that held-out documents also stand in the training text."""
        if self.leaks:
            leaks = ", ".join(f"{count:,} of {split}" for split, count in sorted(self.leaks.items()))
            log.warning("leak: documents that also stand in train: %s; figures on them flatter", leaks)


def document_size(document: Document) -> int:
    """UTF-8 bytes of its texts."""
    return sum(map(size, document.texts))


def size(text: str) -> int:
    """UTF-8 bytes of a text."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
