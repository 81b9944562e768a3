"""Where filtered texts go: lines, JSON lines with every field as it stood, or Parquet, and their scores."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, BinaryIO, Literal

import msgspec
import numpy as np

from langue.base.arrays import Array
from langue.base.errors import LangueError, MissingExtra
from langue.base.files import parse_json
from langue.corpus.stream import Batch
from langue.tasks.filter import Judged

OutputFormat = Literal["text", "jsonl", "parquet"]


class Output(ABC):
    """Writes the texts of batches that are kept."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    @abstractmethod
    def write(self, batch: Batch, rows: Sequence[int], added: dict[str, list[Any]]) -> None:
        """Write some texts of a batch, with fields that are added: their values for these texts."""

    def close(self) -> None:
        """Write what comes after the last."""
        self.file.flush()


class TextOutput(Output):
    """A text a line; what has line ends within has no place there."""

    def write(self, batch: Batch, rows: Sequence[int], added: dict[str, list[Any]]) -> None:
        texts = [batch.texts[row] for row in rows]
        if any("\n" in text for text in texts):
            raise LangueError(
                f"{batch.source} holds texts of several lines, which a file of lines cannot keep apart; "
                "write JSON lines: -o NAME.jsonl"
            )
        self.file.write("".join(f"{text}\n" for text in texts).encode())


class JsonLinesOutput(Output):
    """Records as they stood, byte for byte, the added fields at their ends."""

    def write(self, batch: Batch, rows: Sequence[int], added: dict[str, list[Any]]) -> None:
        names = [msgspec.json.encode(name) for name in added]
        lines = []
        for index, row in enumerate(rows):
            values = [column[index] for column in added.values()]
            lines.append(self._line(batch, row, names, values, added))
        self.file.write(b"".join(lines))

    def _line(
        self, batch: Batch, row: int, names: Sequence[bytes], values: Sequence[Any], added: dict[str, Any]
    ) -> bytes:
        table: dict[str, Any]
        if batch.records is not None:
            line = batch.records[row].strip().removeprefix(b"\xef\xbb\xbf")
            if not any(name in line for name in names) and line[1:-1].strip() != b"":
                more = b",".join(
                    name + b":" + msgspec.json.encode(value)
                    for name, value in zip(names, values, strict=True)
                )
                return line[:-1].rstrip() + (b"," + more if more else b"") + b"}\n"
            table = parse_json(line, batch.source)  # a field of that name is replaced
        elif batch.table is not None:
            (table,) = batch.table.slice(row, 1).to_pylist()
        else:
            table = {"text": batch.texts[row]}
        return msgspec.json.encode(table | dict(zip(added, values, strict=True))) + b"\n"


class ParquetOutput(Output):
    """Columns as they stood, and those that are added; of texts that were no Parquet, `text`."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise MissingExtra("pyarrow", "data", "writing Parquet") from None
        self._library, self._parquet = pyarrow, parquet
        self._writer: Any = None

    def write(self, batch: Batch, rows: Sequence[int], added: dict[str, list[Any]]) -> None:
        arrow = self._library
        if batch.table is not None:
            table = arrow.Table.from_batches([batch.table]).take(arrow.array(rows, arrow.int64()))
        elif batch.records is not None:
            raise LangueError(
                f"{batch.source} holds JSON lines, whose fields need not be columns; write JSON lines: "
                "-o NAME.jsonl"
            )
        else:
            table = arrow.table({"text": arrow.array([batch.texts[row] for row in rows], arrow.string())})
        for name, values in added.items():
            kind = arrow.string() if name == "bucket" else arrow.float64()
            column = arrow.array(values, kind)
            if name in table.column_names:
                table = table.set_column(table.column_names.index(name), name, column)
            else:
                table = table.append_column(name, column)
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self.file, table.schema)
        elif table.schema != self._writer.schema:
            raise LangueError(
                f"{batch.source} has other columns than the files before; filter them one by one"
            )
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


OUTPUTS: dict[OutputFormat, type[Output]] = {
    "text": TextOutput,
    "jsonl": JsonLinesOutput,
    "parquet": ParquetOutput,
}


def values_of(judged: Judged, rows: Array) -> list[float | None]:
    """Scores of some texts, as they are written: an infinite one as none."""
    return [value if math.isfinite(value) else None for value in judged.scores[rows].tolist()]


def rows_of(kept: Array) -> list[int]:
    """The numbers of the texts that are kept."""
    rows: list[int] = np.flatnonzero(kept).tolist()
    return rows
