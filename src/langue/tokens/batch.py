"""A batch of rows: what a model that reads from left to right is trained on."""

from typing import NamedTuple

from langue.base.arrays import Int64Array


class Batch(NamedTuple):
    """Rows of packed documents, each array `(batch, time)`."""

    inputs: Int64Array  # what is read; the first token of a document is read after `<eos>`
    targets: Int64Array  # what comes next
    positions: Int64Array  # how far into the document, or into the row where a row stands alone
    segments: Int64Array  # which document

    @property
    def rows(self) -> int:
        return len(self.inputs)

    @property
    def targets_count(self) -> int:
        return int(self.targets.size)

    def cut(self, begin: int, end: int) -> "Batch":
        return Batch(*(part[begin:end] for part in self))
