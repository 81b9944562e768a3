"""Several models on the same documents: one table, and which differences are real."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from langue.base.errors import LangueError
from langue.base.wording import counted
from langue.evaluation.bootstrap import Interval, interval, resampled_ratios
from langue.evaluation.documents import Documents
from langue.evaluation.evaluate import Evaluation, evaluate
from langue.evaluation.scorer import ModelScorer, TextScorer


@dataclass(frozen=True)
class Row:
    """One model of a comparison."""

    evaluation: Evaluation
    size: dict[str, int]
    disk_bytes: int
    training_seconds: float | None

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
    """Bits per byte of the worse less the better of two neighbors in the table."""

    better: str
    worse: str
    interval: Interval | None  # None with one document, and where bits are infinite
    infinite: tuple[bool, bool] = (False, False)  # whether the better and the worse are

    @property
    def real(self) -> bool:
        if any(self.infinite):
            return not all(self.infinite)
        return self.interval is not None and self.interval[0] > 0

    def to_json(self) -> dict[str, Any]:
        return {"better": self.better, "worse": self.worse, "interval": self.interval, "real": self.real}

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


@dataclass(frozen=True, repr=False)
class Comparison:
    """Models from best to worst; those without bits per byte stand below, by the tokenizer they share."""

    rows: list[Row]
    differences: list[Difference]

    def to_json(self) -> dict[str, Any]:
        return {
            "models": [row.to_json() for row in self.rows],
            "differences": [difference.to_json() for difference in self.differences],
            "notes": self.notes(),
        }

    def notes(self) -> list[str]:
        """What was measured on, and what each column is comparable with."""
        evaluations = [row.evaluation for row in self.rows]
        first = evaluations[0]
        lines = [
            f"measured on {counted(len(first.scores.bits), 'document')}, "
            f"{int(first.scores.bytes.sum()):,} bytes ({first.normalization}): {first.cut}",
            "bits/byte compares all models, whatever their tokenizers",
        ]
        alike: dict[str, list[str]] = {}
        for evaluation in evaluations:
            alike.setdefault(evaluation.tokens_by, []).append(evaluation.name)
        if len(alike) > 1:
            groups = " | ".join(", ".join(names) for names in alike.values())
            lines.append(f"ppl/token compares models of one tokenizer alone: {groups}")
        lines += [
            f"{evaluation.name} has no bits/byte: {evaluation.reason}"
            for evaluation in evaluations
            if evaluation.bits_per_byte is None
        ]
        return lines

    def __repr__(self) -> str:
        """As it is printed: a notebook shows this, and the arrays are of every document."""
        return str(self)

    def __str__(self) -> str:
        from rich.cells import cell_len

        head = ("model", "bits/byte", "95 % interval", "ppl/token", "size", "disk MB", "train s", "tokens/s")
        table = [head, *map(_cells, self.rows)]
        widths = [max(cell_len(row[column]) for row in table) for column in range(len(head))]
        lines = [
            "  ".join(
                cell + " " * (width - cell_len(cell)) if not column else " " * (width - cell_len(cell)) + cell
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in table
        ]
        return "\n".join([*lines, "", *map(str, self.differences), "", *self.notes()]).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    evaluation = row.evaluation
    span = evaluation.bits_per_byte_interval
    what, count = next(iter(row.size.items()), ("", 0))
    return (
        evaluation.name,
        "-" if evaluation.bits_per_byte is None else f"{evaluation.bits_per_byte:.4f}",
        f"{span[0]:.4f}–{span[1]:.4f}" if span else "-",
        "-" if evaluation.perplexity is None else f"{evaluation.perplexity:.2f}",
        f"{count:,} {what}".strip() if row.size else "-",
        f"{row.disk_bytes / 1e6:.1f}" if row.disk_bytes else "-",
        "-" if row.training_seconds is None else f"{row.training_seconds:.1f}",
        f"{row.to_json()['scoring_tokens_per_second']:,}",
    )


def compare(scorers: Sequence[TextScorer], documents: Documents) -> Comparison:
    """Measure models on documents and rank them.

    Raises:
        LangueError: none is given, there are no documents, or a model cannot read them.
    """
    if not scorers:
        raise LangueError("there is nothing to compare; name one model folder or more")
    rows = [_row(scorer, evaluate(scorer, documents)) for scorer in scorers]
    rows.sort(key=lambda row: (_group(row.evaluation), row.evaluation.total_bits))
    return Comparison(rows, _differences(rows))


def _row(scorer: TextScorer, evaluation: Evaluation) -> Row:
    if not isinstance(scorer, ModelScorer):
        return Row(evaluation, {}, 0, None)
    folder = scorer.folder
    disk = sum(file.stat().st_size for file in folder.path.rglob("*") if file.is_file())
    return Row(evaluation, folder.description.size, disk, folder.description.figures().seconds)


def _group(evaluation: Evaluation) -> tuple[int, str]:
    """Models that compare: all that have bits per byte; of closed vocabularies, those of one tokenizer."""
    if not evaluation.scored:
        return 2, evaluation.name
    return (1, evaluation.tokens_by) if evaluation.closed else (0, "")


def _differences(rows: Sequence[Row]) -> list[Difference]:
    """Each model against the next that it compares with, on the same draws of documents."""
    differences = []
    for better, worse in pairwise(row.evaluation for row in rows):
        if _group(better) != _group(worse):
            continue
        bits = np.stack([better.scores.bits, worse.scores.bits])
        infinite = (math.isinf(better.total_bits), math.isinf(worse.total_bits))
        span = None
        if len(bits[0]) > 1 and not any(infinite):
            below, above = resampled_ratios(bits, better.scores.bytes)
            span = interval(above - below)
        differences.append(Difference(better.name, worse.name, span, infinite))
    return differences
