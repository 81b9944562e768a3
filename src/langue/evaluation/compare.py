"""Several models on the same documents: one table, and which differences are real."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from langue.base.errors import LangueError
from langue.evaluation.bootstrap import Interval, interval, resampled_ratios
from langue.evaluation.evaluate import Evaluation, evaluate_store
from langue.models.folder import ModelFolder
from langue.tokens.store import TokenStore


@dataclass(frozen=True)
class Row:
    """One model of a comparison."""

    evaluation: Evaluation
    size: dict[str, int]
    disk_bytes: int
    training_seconds: float

    def to_json(self) -> dict[str, Any]:
        scores = self.evaluation.scores
        return {
            **self.evaluation.to_json(),
            "size": self.size,
            "disk_bytes": self.disk_bytes,
            "training_seconds": self.training_seconds,
            "scoring_tokens_per_second": round(scores.tokens / max(scores.seconds, 1e-9)),
        }


@dataclass(frozen=True)
class Difference:
    """Bits per byte of the worse less the better of two neighbours in the table."""

    better: str
    worse: str
    interval: Interval | None  # None with one document, and where bits are infinite
    infinite: tuple[bool, bool] = (False, False)  # whether the better and the worse are

    @property
    def real(self) -> bool:
        if any(self.infinite):
            return not all(self.infinite)
        return self.interval is not None and self.interval[0] > 0

    def __str__(self) -> str:
        if all(self.infinite):
            return f"{self.better} or {self.worse}? can't tell: both hold impossible what occurs"
        if any(self.infinite):
            return f"{self.better} is better than {self.worse}, which holds impossible what occurs"
        if self.interval is None:
            return f"{self.better} or {self.worse}? can't tell: one document"
        shown = f"by [{self.interval[0]:+.4f}, {self.interval[1]:+.4f}] bits per byte"
        if self.real:
            return f"{self.better} is better than {self.worse} {shown}"
        return f"{self.better} or {self.worse}? can't tell ({shown})"


@dataclass(frozen=True)
class Comparison:
    """Models from best to worst."""

    rows: list[Row]
    differences: list[Difference]

    def to_json(self) -> dict[str, Any]:
        return {
            "models": [row.to_json() for row in self.rows],
            "differences": [
                {"better": found.better, "worse": found.worse, "interval": found.interval, "real": found.real}
                for found in self.differences
            ],
        }

    def __str__(self) -> str:
        head = ("model", "bits/byte", "95 % interval", "ppl/token", "size", "disk MB", "train s", "tokens/s")
        table = [head, *map(_cells, self.rows)]
        widths = [max(len(row[column]) for row in table) for column in range(len(head))]
        lines = [
            "  ".join(
                cell.ljust(width) if not column else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in table
        ]
        return "\n".join([*lines, "", *map(str, self.differences)]).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    facts = row.to_json()
    span = row.evaluation.bits_per_byte_interval
    what, count = next(iter(row.size.items()))
    return (
        row.evaluation.name,
        "-" if row.evaluation.bits_per_byte is None else f"{row.evaluation.bits_per_byte:.4f}",
        f"{span[0]:.4f}–{span[1]:.4f}" if span else "-",
        f"{row.evaluation.perplexity:.2f}",
        f"{count:,} {what}",
        f"{row.disk_bytes / 1e6:.1f}",
        f"{row.training_seconds:.1f}",
        f"{facts['scoring_tokens_per_second']:,}",
    )


def compare(models: Sequence[ModelFolder[Any]], store: TokenStore, *, split: str = "test") -> Comparison:
    """Measure models on a split and rank them.

    Raises:
        LangueError: a model has another tokenizer than the store, or none is given.
    """
    if not models:
        raise LangueError("there is nothing to compare; name one model folder or more")
    rows = [
        Row(
            evaluation=evaluate_store(loaded, store, split=split),
            size=loaded.description.size,
            disk_bytes=sum(file["bytes"] for file in loaded.description.files.values()),
            training_seconds=float(loaded.description.measured["seconds"]),
        )
        for loaded in models
    ]
    rows.sort(key=lambda row: row.evaluation.total_bits)
    return Comparison(rows, _differences(rows))


def _differences(rows: Sequence[Row]) -> list[Difference]:
    """Each model against the next, on the same draws of documents."""
    found = []
    for better, worse in pairwise(row.evaluation for row in rows):
        bits = np.stack([better.scores.bits, worse.scores.bits])
        infinite = (math.isinf(better.total_bits), math.isinf(worse.total_bits))
        span = None
        if len(bits[0]) > 1 and not any(infinite):
            below, above = resampled_ratios(bits, better.scores.bytes)
            span = interval(above - below)
        found.append(Difference(better.name, worse.name, span, infinite))
    return found
