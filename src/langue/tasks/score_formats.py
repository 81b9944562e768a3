"""Scores as rows: the table that people read, JSON lines, JSON, what KenLM's `query` prints, and Parquet."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np

from langue.base.compiled import njit
from langue.base.errors import MissingExtra, Unsupported
from langue.evaluation.pseudo import PseudoScore
from langue.evaluation.score import Score, perplexity
from langue.tasks.scoring import BatchScores

FormatName = Literal["tsv", "jsonl", "kenlm", "parquet"]
FORMATS: tuple[FormatName, ...] = ("tsv", "jsonl", "kenlm", "parquet")
Rows: TypeAlias = BatchScores | Sequence[Score | PseudoScore]
ROW_BYTES = 64  # of a line of KenLM's at most: two numbers of twenty digits and the words around them


class Format(ABC):
    """How scores are written.

    Attributes:
        head: what comes before the first row.
        in_order: batches are to be written one after another; else by several threads at once.
    """

    in_order = False
    head = ""

    @abstractmethod
    def rows(self, scores: Rows) -> str | bytes:
        """The rows of a batch, each with its end."""

    def close(self) -> str | bytes:
        """What comes after the last."""
        return ""

    def whole(self, rows: Iterable[str | bytes]) -> Iterator[str | bytes]:
        """Rows with what comes before and after them: nothing, where there are none."""
        before = self.head
        for piece in rows:
            if before:
                yield before
                before = ""
            yield piece
        yield self.close()


class Tsv(Format):
    """Columns between tabs, and with a score of tokens, a line for each."""

    def __init__(self, *, pseudo: bool) -> None:
        self.head = (
            "pseudo-bits\tpseudo-bits/byte\ttext\n" if pseudo else "bits\tbits/byte\tperplexity\ttext\n"
        )
        self.per_token = False

    def rows(self, scores: Rows) -> str:
        if not isinstance(scores, BatchScores):
            rows = ([score.row(), *(score.token_rows() if self.per_token else ())] for score in scores)
            return "".join(f"{row}\n" for group in rows for row in group)
        columns = (scores.bits.tolist(), scores.bits_per_byte.tolist(), scores.tokens.tolist(), scores.texts)
        return "".join(
            f"{bits:.2f}\t{'-' if per_byte != per_byte else f'{per_byte:.3f}'}"
            f"\t{perplexity(bits / tokens):.2f}\t{text!r}\n"
            for bits, per_byte, tokens, text in zip(*columns, strict=True)
        )


class JsonLines(Format):
    """A record a text."""

    def __init__(self) -> None:
        self.per_token = False

    def tables(self, scores: Rows) -> list[dict[str, Any]]:
        if not isinstance(scores, BatchScores):
            return [score.to_json(per_token=self.per_token) for score in scores]
        per_byte = scores.bits_per_byte.tolist()
        return [
            {
                "text": score.text,
                "bits": _finite(score.bits),
                "bits_per_byte": _finite(rate),
                "perplexity": _finite(score.perplexity),
                "tokens": score.tokens,
                **({"unknown": score.unknowns} if score.closed else {}),
            }
            for score, rate in zip(scores, per_byte, strict=True)
        ]

    def rows(self, scores: Rows) -> str:
        return b"".join(msgspec.json.encode(table) + b"\n" for table in self.tables(scores)).decode()


class JsonList(JsonLines):
    """One list of the same records, an item after another."""

    head = "["

    def close(self) -> str:
        return "\n]\n"

    def rows(self, scores: Rows) -> str:
        tables = (json.dumps(t, ensure_ascii=False, indent=2, allow_nan=False) for t in self.tables(scores))
        return ",".join("\n  " + shown.replace("\n", "\n  ") for shown in tables)

    def whole(self, rows: Iterable[str | bytes]) -> Iterator[str | bytes]:
        """Rows with commas between those of two batches."""
        pieces = (piece for piece in rows if piece)
        return super().whole(chain(islice(pieces, 1), chain.from_iterable((",", piece) for piece in pieces)))


class KenLM(Format):
    """What `query -v sentence` prints: log10 of a text's probability, and its unknown words."""

    def rows(self, scores: Rows) -> bytes:
        assert isinstance(scores, BatchScores)
        log10 = scores.bits * -math.log10(2)
        room = np.empty(ROW_BYTES * len(log10), np.uint8)
        end = _totals(log10, scores.unknowns, room)
        return room[:end].tobytes()


class Parquet(Format):
    """Columns of a Parquet file."""

    in_order = True

    def __init__(self) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise MissingExtra("pyarrow", "data", "writing Parquet") from None
        self._library = pyarrow
        kinds = [
            ("text", pyarrow.string()),
            ("bits", pyarrow.float64()),
            ("bits_per_byte", pyarrow.float64()),
        ]
        self._schema = pyarrow.schema([*kinds, ("tokens", pyarrow.int64()), ("unknown", pyarrow.int64())])
        self._sink = _Sink()
        self._writer = parquet.ParquetWriter(pyarrow.PythonFile(self._sink, "w"), self._schema)

    def rows(self, scores: Rows) -> bytes:
        assert isinstance(scores, BatchScores)
        per_byte = [_finite(value) for value in scores.bits_per_byte.tolist()]
        columns = [scores.texts, scores.bits, per_byte, scores.tokens, scores.unknowns]
        self._writer.write_table(self._library.table(columns, schema=self._schema))
        return self._sink.take()

    def close(self) -> bytes:
        """The end of the file."""
        self._writer.close()
        return self._sink.take()


class _Sink:
    """A file that keeps what is written until it is taken."""

    closed = False

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def write(self, data: Any) -> int:
        self._held.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def take(self) -> bytes:
        taken, self._held = b"".join(self._held), []
        return taken


def format_of(name: FormatName | Literal["json"], *, pseudo: bool, per_token: bool) -> Format:
    """The format of a name.

    Raises:
        Unsupported: it has no room for what is to be written.
        MissingExtra: pyarrow, which Parquet needs, is not installed.
    """
    if name in ("kenlm", "parquet"):
        if pseudo or per_token:
            what = "pseudo-scores, which are no probabilities" if pseudo else "the bits of tokens"
            raise Unsupported(f"the format {name} has no room for {what}; choose tsv or jsonl")
        return KenLM() if name == "kenlm" else Parquet()
    format = Tsv(pseudo=pseudo) if name == "tsv" else JsonList() if name == "json" else JsonLines()
    format.per_token = per_token
    return format


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@njit
def _totals(log10, unknowns, room):
    """Fill `room` with lines `Total: -12.345678 OOV: 0`; returns where they end."""
    at = np.int64(0)
    for row in range(len(log10)):
        for letter in TOTAL:
            room[at] = letter
            at += 1
        at = _number(log10[row], room, at)
        for letter in OOV:
            room[at] = letter
            at += 1
        at = _integer(unknowns[row], np.int64(1), room, at)
        room[at] = np.uint8(10)
        at += 1
    return at


TOTAL = np.frombuffer(b"Total: ", np.uint8)
OOV = np.frombuffer(b" OOV: ", np.uint8)
INFINITE = np.frombuffer(b"-inf", np.uint8)
MICRO = 1_000_000  # six digits after the point


@njit
def _number(value, room, at):
    if not value > -1e12:
        for letter in INFINITE:
            room[at] = letter
            at += 1
        return at
    scaled = np.int64(np.rint(value * MICRO))
    if scaled < 0:
        room[at] = np.uint8(45)
        at += 1
        scaled = -scaled
    at = _integer(scaled // MICRO, np.int64(1), room, at)
    room[at] = np.uint8(46)
    return _integer(scaled % MICRO, np.int64(6), room, at + 1)


@njit
def _integer(value, digits, room, at):
    """Write a whole number, with zeros before it to fill as many digits; returns where it ends."""
    rest = value
    count = np.int64(0)
    while rest > 0 or count < digits:
        rest //= 10
        count += 1
    for digit in range(count):
        room[at + count - 1 - digit] = np.uint8(48 + value % 10)
        value //= 10
    return at + count
