"""Who runs the tasks of a stage: this process, some processes, or a cluster by Ray.

All run the same functions over the same files. Ray is given the names of tasks and gives back what became of
them: no data goes through its store, and nothing lives in an actor.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from platform import node
from queue import SimpleQueue
from typing import Any, NamedTuple

from langue.base.arguments import check_count, check_path_or_none, check_text
from langue.base.errors import InvalidSetting, LangueError, MissingExtra
from langue.base.limits import MOST_WORKERS, ONE_THREAD
from langue.base.parallel import default_workers
from langue.base.progress import log
from langue.base.stages import Executor, Task, passing_folder, resumable_folder, run_task
from langue.base.worker import Outcome, work

RETRIES = 2  # times that a task is done again whose process was killed: by then it is the task that kills


def make_executor(on: str | None, workers: int) -> Executor:
    """The executor of a name.

    Args:
        on: `processes`, `ray` or `ray://HOST:PORT`; None: processes, or this one if there is one worker.

    Raises:
        InvalidSetting: there is no such executor.
        MissingExtra: Ray is not installed.
    """
    if on is None:
        return Processes(workers) if workers > 1 else InProcess()
    check_text("on", on)
    if on == "processes":
        return Processes(workers)
    if on == "ray" or on.startswith("ray://"):
        return Ray(None if on == "ray" else on, workers)
    raise InvalidSetting(f"tasks run on processes, ray or ray://HOST:PORT, not on {on!r}; name one (--on)")


class Distribution(NamedTuple):
    """How tasks are shared out, as a user says.

    workers: how many at a time; None: one for each processor
    on: who does them: see `make_executor`
    scratch: the folder, of all machines, for what is written on the way; None: that of the output
    """

    workers: int | None = None
    on: str | None = None
    scratch: Path | None = None

    @contextmanager
    def begin(self, output: Path, job: bytes | None, needed: int) -> Iterator[tuple[Path, Executor]]:
        """A folder for the stages that make `output`, and who does their tasks.

        Args:
            job: what tells this job from every other; None: another call could not go on with it.
            needed: bytes that are written there, roughly.
        """
        with ExitStack() as stack:
            if job is None:
                folder = stack.enter_context(passing_folder(self.scratch or output.parent, output.name))
            else:
                folder = stack.enter_context(resumable_folder(output, self.scratch, job, needed=needed))
            workers = self.workers or default_workers()
            yield folder, stack.enter_context(closing(make_executor(self.on, workers)))


def distribution_of(workers: int | None, on: str | None, scratch: str | Path | None) -> Distribution | None:
    """What a user says of it; None: nothing.

    Raises:
        InvalidSetting: a number of workers that is none.
    """
    if workers is None and on is None and scratch is None:
        return None
    return Distribution(
        None if workers is None else check_count("workers", workers, least=1, most=MOST_WORKERS),
        on,
        check_path_or_none("scratch", scratch),
    )


class InProcess:
    """One task after another, here."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Task]:
        for task in tasks:
            run_task(task)
            yield task

    def close(self) -> None: ...


class Processes:
    """Processes of one thread each, which live from stage to stage.

    They are started as a module of langue, not forked and not by `multiprocessing`: threads of this process
    are no matter, and a script needs no `if __name__ == "__main__"`.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._all: list[_Process] = []
        self._idle: list[_Process] = []
        self._outcomes: SimpleQueue[tuple[_Process, Outcome | None]] = SimpleQueue()

    def run(self, tasks: Sequence[Task]) -> Iterator[Task]:
        waiting, killed = deque(tasks), Counter[Task]()
        busy: dict[_Process, Task] = {}
        while waiting or busy:
            while waiting and len(busy) < self.workers:
                process = self._idle.pop() if self._idle else self._start()
                busy[process] = waiting.popleft()
                process.send(busy[process])
            process, outcome = self._outcomes.get()
            if process not in busy:  # it was killed while it had nothing to do
                if process in self._idle:
                    self._idle.remove(process)
                continue
            task = busy.pop(process)
            if outcome is None:
                killed[task] += 1
                _tell_killed(task, process.signal(), killed[task])
                waiting.appendleft(task)
                continue
            self._idle.append(process)
            check_outcome(task, outcome)
            yield task

    def _start(self) -> "_Process":
        process = _Process(self._outcomes)
        self._all.append(process)
        return process

    def close(self) -> None:
        for process in self._all:
            process.kill()


class _Process:
    """A process that does tasks, and a thread that reads what became of them."""

    def __init__(self, outcomes: "SimpleQueue[tuple[_Process, Outcome | None]]") -> None:
        package = str(Path(sys.modules["langue"].__file__ or "").parents[1])
        path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "langue.base.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | ONE_THREAD | {"PYTHONPATH": path},
        )
        self._outcomes = outcomes
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, task: Task) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it was killed: its reader tells
            self._process.stdin.write(json.dumps(task).encode() + b"\n")
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with suppress(ValueError):  # cut short, as of one that was killed
                    self._outcomes.put((self, Outcome(*json.loads(line))))
        self._outcomes.put((self, None))

    def signal(self) -> int:
        """The signal that ended it; 0: it ended by itself."""
        return max(-self._process.wait(), 0)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdin is not None
        with suppress(OSError):  # of a task that it did not take
            self._process.stdin.close()


class Ray:
    """Tasks of one processor each on a cluster, or on this machine where no cluster is named.

    Args:
        address: `ray://HOST:PORT`; None: the cluster that this machine is of (`RAY_ADDRESS`), else a new one
            of so many `workers`. The folders of the tasks must be there on all machines: a shared file
            system.
    """

    def __init__(self, address: str | None, workers: int) -> None:
        try:
            import ray
        except ImportError:
            raise MissingExtra("ray", "ray", "running on a cluster") from None
        self._ray: Any = ray
        self.workers = workers
        known = address or os.environ.get("RAY_ADDRESS")
        more = {} if known else {"num_cpus": workers, "include_dashboard": False}
        try:
            ray.init(known, log_to_driver=False, logging_level=logging.ERROR, **more)
        except (Exception, SystemExit) as error:  # of its own kinds, by what was wrong; some exit
            raise LangueError(f"Ray did not start{f' at {known}' if known else ''}: {error}") from error
        self._work = ray.remote(num_cpus=1, max_retries=RETRIES)(work)

    def run(self, tasks: Sequence[Task]) -> Iterator[Task]:
        waiting = deque(tasks)
        running: dict[Any, Task] = {}
        while waiting or running:
            # Twice as many as run at a time: the next one is there when a processor is free.
            while waiting and len(running) < 2 * self._processors():
                task = waiting.popleft()
                running[self._work.options(name=f"{task.stage} {task.number}").remote(task)] = task
            (ready,), _ = self._ray.wait(list(running), num_returns=1)
            task = running.pop(ready)
            try:
                outcome = self._ray.get(ready)
            except self._ray.exceptions.RayError as error:
                raise LangueError(
                    f"{task.stage}, {task.of}: Ray gave it up ({str(error).splitlines()[0]})"
                ) from error
            check_outcome(task, Outcome(*outcome))
            yield task

    def _processors(self) -> int:
        return max(int(self._ray.cluster_resources().get("CPU", 1)), 1)

    def close(self) -> None:
        self._ray.shutdown()


def check_outcome(task: Task, outcome: Outcome) -> None:
    """Repeat what a task said, here; raise what it raised."""
    for level, text in outcome.notes:
        log.log(level, "%s", text)
    where = "" if outcome.host == node() else f" (on {outcome.host})"
    if outcome.error:
        raise LangueError(outcome.error + where)
    if outcome.bug:
        raise RuntimeError(f"{task.stage}, {task.of}{where}:\n{outcome.bug}")


def _tell_killed(task: Task, number: int, times: int) -> None:
    """Say that a process was killed; raise where one task has cost too many."""
    how = f"was killed ({signal.Signals(number).name})" if number else "ended"
    if times > RETRIES:
        raise LangueError(
            f"{task.stage}, {task.of}: the process that worked on it {how} {times} times, as those do whose "
            "machine has too little memory; take fewer workers (--workers)"
        )
    log.warning("%s, %s: the process that worked on it %s; it is done again", task.stage, task.of, how)
