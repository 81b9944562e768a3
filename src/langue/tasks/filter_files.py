"""Files in, filtered files out: one pass where the cut is known, two where a share is to be kept."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from langue.base.arrays import Array
from langue.base.executors import Distribution
from langue.base.files import writing
from langue.base.progress import bar
from langue.corpus.batch_parts import read_all_batches
from langue.corpus.config import DataConfig
from langue.corpus.pipes import put_aside, read_standard_input
from langue.corpus.stream import Batch, By, read_batches
from langue.tasks.filter import BUCKETS, FilterReport, Histogram, Judge, Judged, Near, Spool, cut_at
from langue.tasks.filter_output import Output, rows_of, values_of
from langue.tasks.scoring_stages import StagedScores, judge_by_stages, judge_job, staged_texts

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
    distribution: Distribution | None = None,
    path: Path | None = None,
) -> FilterReport:
    """Write the texts of some files that pass, in their order.

    Args:
        names: files, folders, pipes, `-`; where there are two passes, what can be read once is put aside.
        ranked_by: what a score is, in words; "": there is none.
        keep: the share of the texts that pass the rules which is kept, the best.
        below: the score up to which a text is kept.
        buckets: tell of each text in which third it is, in a field `bucket`.
        score_field: the field in which its score is told; None: in none.
        distribution: who scores the texts, by stages; None: this process.
        path: the file that is written, where it is one.

    Raises:
        LangueError: as `read_batches`; the output has no room for what is read.
    """
    with ExitStack() as stack:
        spool: Spool | StagedScores | None = None
        edges, cut = (math.nan, math.nan), math.inf if below is None else below
        batches = partial(read_batches, names, config, by=by, whole=True)
        if distribution is not None:
            staged = stack.enter_context(
                staged_texts(names, config, judge_job(judge), distribution, by=by, whole=True, output=path)
            )
            judge_by_stages(staged)
            spool, batches = StagedScores(staged.folder), partial(read_all_batches, staged.folder)
        elif keep is not None or buckets:
            names = [_seekable(name, stack) for name in names]
            batches = partial(read_batches, names, config, by=by, whole=True)
            file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="langue-"))
            spool = Spool(file.file)
            _first_pass(batches(), judge, spool, Path(file.name))
        if spool is not None and (keep is not None or buckets):
            histogram = Histogram()
            for scores in spool.parts():
                histogram.add(scores)
            if keep is not None:
                cut = min(cut, cut_at(keep, histogram, spool.parts))
            edges = (cut_at(1 / 3, histogram, spool.parts), cut_at(2 / 3, histogram, spool.parts))
            spool.rewind()
        report = FilterReport(ranked_by, cut, Histogram(), Near(cut))
        with bar("filtering") as progress:
            for judged in _judged(batches(), judge, spool):
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


def _first_pass(batches: Iterator[Batch], judge: Judge, spool: Spool, path: Path) -> None:
    with bar("scoring") as progress:
        for judged in judge.judge(batches):
            with writing(path):
                spool.write(judged.scores)
            progress.advance(len(judged.scores))


def _judged(batches: Iterator[Batch], judge: Judge, spool: Spool | StagedScores | None) -> Iterator[Judged]:
    """Batches with their scores: those of a first pass, or new ones."""
    if spool is None:
        yield from judge.judge(batches)
        return
    for batch in batches:
        yield judge.again(batch, spool.read(len(batch.texts)))


def _buckets(scores: Array, edges: tuple[float, float]) -> list[str]:
    return [BUCKETS[number] for number in np.searchsorted(np.array(edges), scores, side="left").tolist()]
