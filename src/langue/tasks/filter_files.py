"""Files in, filtered files out: one pass where the cut is known, two where a share is to be kept."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from langue.base.arrays import Array
from langue.base.files import writing
from langue.base.progress import bar
from langue.corpus.config import DataConfig
from langue.corpus.pipes import put_aside, read_standard_input
from langue.corpus.stream import By, read_batches
from langue.tasks.filter import BUCKETS, FilterReport, Histogram, Judge, Judged, Near, Spool, cut_at
from langue.tasks.filter_output import Output, rows_of, values_of

BUCKET = "bucket"


def filter_files(
    names: Sequence[str],
    output: Output,
    judge: Judge,
    *,
    ranked_by: str,
    config: DataConfig,
    by: By = "line",
    keep: float | None = None,
    below: float | None = None,
    buckets: bool = False,
    score_field: str | None = None,
) -> FilterReport:
    """Write the texts of some files that pass, in their order.

    Args:
        names: files, folders, pipes, `-`; where there are two passes, what can be read once is put aside.
        ranked_by: what a score is, in words; "": there is none.
        keep: the share of the texts that pass the rules which is kept, the best.
        below: the score up to which a text is kept.
        buckets: tell of each text in which third it is, in a field `bucket`.
        score_field: the field in which its score is told; None: in none.

    Raises:
        LangueError: as `read_batches`; the output has no room for what is read.
    """
    with ExitStack() as stack:
        spool = None
        histogram, edges, cut = Histogram(), (math.nan, math.nan), math.inf if below is None else below
        if keep is not None or buckets:
            names = [_seekable(name, stack) for name in names]
            file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="langue-"))
            spool = Spool(file.file)
            _first_pass(names, judge, spool, histogram, Path(file.name), config, by)
            if keep is not None:
                cut = min(cut, cut_at(keep, histogram, spool.parts))
            edges = (cut_at(1 / 3, histogram, spool.parts), cut_at(2 / 3, histogram, spool.parts))
            spool.rewind()
        report = FilterReport(ranked_by, cut, Histogram(), Near(cut))
        with bar("filtering") as progress:
            for judged in _judged(names, judge, spool, config, by):
                kept = judged.scores <= cut
                report.count(judged, kept)
                report.histogram.add(judged.scores)
                report.near.add(judged.scores, judged.batch.texts)
                rows = rows_of(kept)
                added: dict[str, list[Any]] = {}
                if score_field is not None:
                    added[score_field] = values_of(judged, kept)
                if buckets:
                    added[BUCKET] = _buckets(judged.scores[kept], edges)
                if rows:
                    output.write(judged.batch, rows, added)
                progress.advance(len(judged.scores))
        output.close()
    return report


def _seekable(name: str, stack: ExitStack) -> str:
    """A name under which an input can be read twice."""
    if name != "-":
        return name
    return str(stack.enter_context(put_aside(name, read_standard_input())))


def _first_pass(
    names: Sequence[str],
    judge: Judge,
    spool: Spool,
    histogram: Histogram,
    path: Path,
    config: DataConfig,
    by: By,
) -> None:
    with bar("scoring") as progress:
        for judged in judge.judge(read_batches(names, config, by=by, whole=True)):
            with writing(path):
                spool.write(judged.scores)
            histogram.add(judged.scores)
            progress.advance(len(judged.scores))


def _judged(
    names: Sequence[str], judge: Judge, spool: Spool | None, config: DataConfig, by: By
) -> Iterator[Judged]:
    """Batches with their scores: those of the first pass, or new ones."""
    batches = read_batches(names, config, by=by, whole=True)
    if spool is None:
        yield from judge.judge(batches)
        return
    for batch in batches:
        yield judge.again(batch, spool.read(len(batch.texts)))


def _buckets(scores: Array, edges: tuple[float, float]) -> list[str]:
    return [BUCKETS[number] for number in np.searchsorted(np.array(edges), scores, side="left").tolist()]
