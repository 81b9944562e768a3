"""Scoring and filtering in tasks over files, by several processes or machines, to the same bytes.

The texts are cut into parts; a task scores those of one, by a model that it opens itself.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from langue.base.arrays import Float64Array
from langue.base.executors import Distribution
from langue.base.stages import Executor, Stage, run_stage, versions_of
from langue.corpus.batch_parts import read_batch_part, write_batches
from langue.corpus.config import DataConfig
from langue.corpus.parts import pack, part_names, read_part, unpack, write_part
from langue.corpus.sources import check_text_field, collect, read_once, unpacked_size
from langue.corpus.stream import Batch, By
from langue.models.folder import DESCRIPTION, ModelFolder
from langue.models.folder import load as load_folder
from langue.protocols import Masked
from langue.tasks.filter import Judge, Rules
from langue.tasks.score_formats import FormatName, format_of
from langue.tasks.scoring import BatchScorer, BatchScores, config_of, token_scores

JOB, SCORES = "scoring", "scores"  # of a folder of stages: a `ScoreJob` or a `JudgeJob`; of each part
ON_THE_WAY = 3  # bytes that are written for each byte of text, roughly


class ScoreJob(msgspec.Struct):
    """What is told of each text."""

    model: bytes  # its folder
    format: FormatName | Literal["json"]
    per_token: bool


class JudgeJob(msgspec.Struct):
    """What texts are ranked by."""

    models: list[bytes]  # the folders of `Judge`
    rules: Rules


class StoredScores(msgspec.Struct):
    """`BatchScores` without the batch, in bytes."""

    normalized: list[bytes] | None
    bits: bytes
    tokens: bytes
    unknowns: bytes
    closed: bool

    @classmethod
    def of(cls, scores: BatchScores) -> "StoredScores":
        return cls(
            None if scores.normalized is None else list(map(pack, scores.normalized)),
            scores.bits.astype("<f8").tobytes(),
            scores.tokens.astype("<i8").tobytes(),
            scores.unknowns.astype("<i8").tobytes(),
            scores.closed,
        )

    def scores(self, batch: Batch) -> BatchScores:
        return BatchScores(
            batch,
            None if self.normalized is None else list(map(unpack, self.normalized)),
            np.frombuffer(self.bits, "<f8"),
            np.frombuffer(self.tokens, "<i8"),
            np.frombuffer(self.unknowns, "<i8"),
            self.closed,
        )


class Staged(NamedTuple):
    """Texts that stages work on."""

    folder: Path
    executor: Executor
    of: Callable[[int], str]  # the file of a part


@contextmanager
def staged_texts(
    names: Sequence[str],
    config: DataConfig,
    job: ScoreJob | JudgeJob,
    distribution: Distribution,
    *,
    by: By,
    whole: bool,
    output: Path | None = None,
) -> Iterator[Staged]:
    """The texts of some files in parts, in a folder of stages that is there until the block ends.

    Args:
        by, whole: see `read_batches`.
        output: the file that is made of them. Without it, only a run in a scratch folder is gone on with.
    """
    with ExitStack() as stack:
        sources = stack.enter_context(collect(names, config=config, scratch=distribution.scratch))
        check_text_field(sources, config)
        models = [job.model] if isinstance(job, ScoreJob) else job.models
        read = [source.path for source in sources] + [Path(unpack(model)) / DESCRIPTION for model in models]
        named = [pack(source.name) for source in sources]
        identity = msgspec.msgpack.encode([named, config, by, whole, job, versions_of(read)])
        goes_on = (output is not None or distribution.scratch is not None) and not read_once(sources)
        name = f"scores-{hashlib.sha256(identity).hexdigest()[:8]}"
        target = output or (distribution.scratch or Path(tempfile.gettempdir())) / name
        if distribution.on is None:  # one worker is a process of one thread, too: threads may tell other bits
            distribution = distribution._replace(on="processes")
        begun = distribution.begin(target, identity if goes_on else None, ON_THE_WAY * unpacked_size(sources))
        folder, executor = stack.enter_context(begun)
        of = write_batches(folder, sources, config, executor, by=by, whole=whole)
        write_part(folder / JOB, job)
        (folder / SCORES).mkdir(exist_ok=True)
        yield Staged(folder, executor, of)


def score_by_stages(
    model: ModelFolder[Any],
    names: Sequence[str],
    format: FormatName | Literal["json"],
    distribution: Distribution,
    *,
    per_token: bool = False,
    by: By = "line",
    text_field: str | None = None,
) -> Iterator[str | bytes]:
    """The pieces of a file of scores, as `write_scores` makes them."""
    job = ScoreJob(pack(str(model.path.absolute())), format, per_token)
    written = format_of(format, pseudo=isinstance(model.model, Masked), per_token=per_token)
    config = config_of(model, by, text_field)
    with staged_texts(names, config, job, distribution, by=by, whole=False) as (folder, executor, of):
        parts = part_names(folder)
        run_stage(Stage("scoring", score_part, len(parts), of), folder, executor)
        if written.in_order:
            yield from written.whole(map(written.rows, _stored_scores(folder)))
        else:
            pieces = (read_part(folder / SCORES / name, list[Any]) for name in parts)
            yield from written.whole(chain.from_iterable(pieces))


def score_part(number: int, folder: Path) -> None:
    """A task: what is told of the texts of a part, or their scores where the whole is written by one."""
    name, job = part_names(folder)[number], read_part(folder / JOB, ScoreJob)
    model = _load(job.model)
    pseudo = isinstance(model.model, Masked)
    written = format_of(job.format, pseudo=pseudo, per_token=job.per_token)
    done: list[Any] = []
    scorer = None if pseudo else BatchScorer(model)
    for batch in read_batch_part(folder, name):
        if scorer is None or job.per_token:
            done += map(written.rows, token_scores(model, batch))
        elif written.in_order:
            done.append(StoredScores.of(scorer(batch)))
        else:
            done.append(written.rows(scorer(batch)))
    write_part(folder / SCORES / name, done)


def _stored_scores(folder: Path) -> Iterator[BatchScores]:
    for name in part_names(folder):
        stored = read_part(folder / SCORES / name, list[StoredScores])
        for batch, one in zip(read_batch_part(folder, name), stored, strict=True):
            yield one.scores(batch)


def judge_by_stages(staged: Staged) -> None:
    """Score the texts that are to be filtered."""
    stage = Stage("scoring", judge_part, len(part_names(staged.folder)), staged.of)
    run_stage(stage, staged.folder, staged.executor)


def judge_part(number: int, folder: Path) -> None:
    """A task: the scores of the texts of a part."""
    name, job = part_names(folder)[number], read_part(folder / JOB, JudgeJob)
    good, other = [*map(_load, job.models), None, None][:2]
    judge = Judge(good, other, job.rules)
    scores = [judge(batch).scores.astype("<f8").tobytes() for batch in read_batch_part(folder, name)]
    write_part(folder / SCORES / name, scores)


def judge_job(judge: Judge) -> JudgeJob:
    return JudgeJob([pack(str(scorer.folder.path.absolute())) for scorer in judge.scorers], judge.rules)


class StagedScores:
    """The scores of the texts that are to be filtered, read as those of a `Spool`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.rewind()

    def parts(self) -> Iterator[Float64Array]:
        for name in part_names(self._folder):
            for scores in read_part(self._folder / SCORES / name, list[bytes]):
                yield np.frombuffer(scores, "<f8")

    def rewind(self) -> None:
        self._batches = self.parts()

    def read(self, count: int) -> Float64Array:
        """Those of the next batch, which has so many texts."""
        scores = next(self._batches)
        assert len(scores) == count
        return scores


def _load(model: bytes) -> ModelFolder[Any]:
    """A model, opened once by each process for each version of its folder."""
    folder = Path(unpack(model))
    return _opened(folder, versions_of([folder / DESCRIPTION])[0])


@lru_cache(2)
def _opened(folder: Path, version: tuple[int, int]) -> ModelFolder[Any]:
    return load_folder(folder)
