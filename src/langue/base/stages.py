"""Stages: work over files, cut into numbered tasks that run here, in other processes or on other machines.

A task is `function(number, folder)`, a plain function of a module. It reads what stands in the folder, writes
its own output aside and renames it, and gives nothing back: between tasks there are only files. What is done
is marked in the folder, so whatever stopped a run, the next one goes on with the tasks that are left. Work is
cut by the data alone: then the output is the same bytes, whoever does how many tasks at a time.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Protocol

from langue.base import staging
from langue.base.errors import (
    Damaged,
    Interrupted,
    InvalidSetting,
    LangueError,
    Mismatch,
    NotFound,
    Unsupported,
)
from langue.base.files import atomic_file, read_bytes, writing
from langue.base.progress import bar, log
from langue.base.verified import langue_version

OF_INPUT = (NotFound, Mismatch, Unsupported, Damaged, InvalidSetting)  # other input is another job
JOB = "job"  # holds the digest of what a folder is for


class Task(NamedTuple):
    """A task of a stage, as it is told to other processes."""

    stage: str
    function: str  # `module:name`
    number: int
    folder: str
    of: str  # the input it works on, for people


class Stage(NamedTuple):
    """A step of some work.

    Args:
        name: what is done, for people; one for each stage of a folder.
        function: of the number of a task and the folder.
        tasks: how many there are.
        of: the input that a task works on, for people.
    """

    name: str
    function: Callable[[int, Path], None]
    tasks: int
    of: Callable[[int], str]

    def task(self, number: int, folder: Path) -> Task:
        function = f"{self.function.__module__}:{self.function.__qualname__}"
        return Task(self.name, function, number, str(folder.absolute()), self.of(number))


class Executor(Protocol):
    """Who runs tasks."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Task]:
        """The tasks, each as soon as it is done.

        Raises:
            LangueError: what a task raised, or a machine refused; what was done before stays done.
        """
        ...

    def close(self) -> None:
        """End the processes; a task that runs is broken off."""
        ...


def run_task(task: Task) -> None:
    """Do a task and mark it as done."""
    module, name = task.function.split(":")
    getattr(import_module(module), name)(task.number, Path(task.folder))
    mark = _marks(task.stage, Path(task.folder)) / str(task.number)
    with writing(mark):
        mark.touch()


def run_stage(stage: Stage, folder: Path, executor: Executor) -> None:
    """Do the tasks of a stage that are not done yet, under a progress bar with the time left."""
    marks = _marks(stage.name, folder)
    with writing(marks):
        marks.mkdir(exist_ok=True)
    done = {int(mark.name) for mark in marks.iterdir()}
    left = [stage.task(number, folder) for number in range(stage.tasks) if number not in done]
    with bar(stage.name, total=stage.tasks) as progress:
        progress.advance(stage.tasks - len(left))
        for count, task in enumerate(executor.run(left), stage.tasks - len(left) + 1):
            progress.advance()
            progress.note(f"{count:,} of {stage.tasks:,}, {task.of}")


def is_begun(folder: Path) -> bool:
    """Whether a task of a folder, or of one in it, is done."""
    return any(True for pattern in ("*.done/*", "*/*.done/*") for _ in folder.glob(pattern))


def _marks(stage: str, folder: Path) -> Path:
    return folder / f"{stage}.done"


@contextmanager
def resumable_folder(output: Path, scratch: Path | None, job: bytes, *, needed: int) -> Iterator[Path]:
    """A folder for the stages that make `output`, which an error or a kill leaves for the same job again.

    Args:
        scratch: the folder that it stands in; None: that of the output.
        job: tells this job from every other. What another one left in the folder is removed.
        needed: bytes that the job will write there, roughly.

    Raises:
        LangueError: the disk has less room than is needed; another process does the same job.
        Interrupted: the user stopped it; the message says where what is done is kept.
    """
    parent = scratch if scratch is not None else output.parent
    where = hashlib.sha256(os.fsencode(output.absolute())).hexdigest()[:8]  # a scratch folder may be of many
    folder = parent / f".{staging.staged_name(output.name)}.{where}.work"
    with ExitStack() as stack:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                stack.callback(staging.release, staging.take_lock(folder))
            except BlockingIOError:
                raise LangueError(
                    f"another process is writing {output} (it works in {folder}); wait for it, or choose "
                    "another name"
                ) from None
        on_the_way = f"what is done is kept in {folder}: the same command goes on from there"
        try:
            _begin(folder, hashlib.sha256(langue_version().encode() + job).hexdigest())
            check_room(folder, 0 if is_begun(folder) else needed)
            yield folder
        except KeyboardInterrupt:
            if not is_begun(folder):
                staging.remove(folder)
                raise
            raise Interrupted(f"stopped; {on_the_way}") from None
        except Interrupted:
            raise
        except LangueError as error:
            if not is_begun(folder) or isinstance(error, OF_INPUT):
                staging.remove(folder)
                raise
            error.args = (f"{error.message} ({on_the_way})",)
            raise
        staging.remove(folder)


@contextmanager
def passing_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder for the stages that make `name`, which is gone afterwards."""
    with writing(parent):
        folder, lock = staging.make_folder(parent, name)
    try:
        yield folder
    finally:
        staging.remove(folder)
        staging.release(lock)


def versions_of(paths: Iterable[Path]) -> list[tuple[int, int]]:
    """What tells files, which a job reads, from others under their names: sizes and times of change."""
    return [(status.st_size, status.st_mtime_ns) for status in (path.stat() for path in paths)]


def _begin(folder: Path, digest: str) -> None:
    """Keep what is done of the same job; of another one, nothing."""
    if (folder / JOB).is_file() and read_bytes(folder / JOB) == digest.encode():
        if is_begun(folder):
            log.info("going on with what is done already, in %s", folder)
        return
    for path in list(folder.iterdir()):
        staging.remove(path)
    with atomic_file(folder / JOB) as file:
        file.write(digest.encode())


def check_room(folder: Path, needed: int) -> None:
    """Raise a `LangueError` if the disk of a folder has not so many bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise LangueError(
            f"about {_spell(needed)} are written to {folder} on the way, and its disk has {_spell(free)} "
            "free; make room, or name a folder on a larger disk: --scratch DIR"
        )


def _spell(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"
