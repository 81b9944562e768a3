"""`map` on threads, for work that lets go of the interpreter: compiled code, and that of libraries.

Results come in the order of the items, and so does the failure that is raised, whatever the number of
workers. It is for the caller to cut the work by the data alone and to add results up in order: then they are
the same bits on any machine. Work for other processes and machines is tasks over files: `base/stages.py`.
"""

import math
import os
import threading
from _thread import start_new_thread
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar, cast

from langue.base.errors import LangueError

T = TypeVar("T")
R = TypeVar("R")

VARIABLE = "LANGUE_THREADS"
OPENMP = "OMP_NUM_THREADS"  # what torch, BLAS and batch systems go by
_local = threading.local()  # `is_worker` in those of a map; `is_alone` in those that stay so


def default_workers() -> int:
    """How many workers a map has: LANGUE_THREADS, if set; else one for each processor this process may use,
    but no more than OMP_NUM_THREADS, which is how users and batch systems tell programs what they may take.

    Raises:
        LangueError: LANGUE_THREADS is no positive number.
    """
    value = os.environ.get(VARIABLE, "").strip()
    if value:
        if not value.isdecimal() or int(value) < 1:
            raise LangueError(f"{VARIABLE}={value}: give the number of threads, 1 or more")
        return int(value)
    openmp = os.environ.get(OPENMP, "").split(",")[0].strip()  # a list has one number for each nesting level
    return min(processors(), int(openmp)) if openmp.isdecimal() and int(openmp) else processors()


def in_worker() -> bool:
    """Whether this is a thread of a map, which fills the machine: it is best to start no others."""
    return getattr(_local, "is_worker", False)


def stay_alone() -> None:
    """Say that others need the processors while this thread works: what it computes gets no helpers."""
    _local.is_alone = True


def is_alone() -> bool:
    """Whether what this thread computes is best not shared."""
    return in_worker() or getattr(_local, "is_alone", False)


def processors() -> int:
    """Processors this process may use: those of its affinity, as far as the quota of its cgroup goes."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return math.ceil(min(affinity, max(1.0, cgroup_quota())))


@cache
def cgroup_quota(root: Path = Path("/")) -> float:
    """Processors that the cgroup of this process, and those above it, may use; inf where there is no limit.

    Args:
        root: of the file system.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):  # not Linux
        return math.inf
    quota = math.inf
    for line in lines:  # hierarchy:controllers:path
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        group = PurePosixPath(path.lstrip("/"))
        for folder in (group, *group.parents):
            quota = min(quota, _quota(mount / folder))
    return quota


def _quota(folder: Path) -> float:
    """The quota of one cgroup, of version 2 or 1: microseconds that it may run, of so many."""
    for files in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            words = " ".join((folder / name).read_text(encoding="ascii") for name in files).split()
            runs, period = float(words[0]), float(words[1])
        except (OSError, ValueError, IndexError):  # another version, or "max"
            continue
        if runs > 0 and period > 0:
            return runs / period
    return math.inf


def parallel_map(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    workers: int | None = None,
    initializer: Callable[[], object] | None = None,
) -> list[R]:
    """`function` of every item, in order.

    A map within a worker of another runs serially: one level of workers fills the machine. After a failure,
    or Ctrl-C, no further item is begun, and those that run are waited for: nothing goes on behind the back
    of the caller. So a long work is best cut into many items.

    Args:
        workers: threads; `default_workers()` unless given. One is no thread, but the caller itself.
        initializer: called first in every worker. With one, even a single worker is a thread.

    Raises:
        LangueError: a thread cannot be started.
        Whatever `function` raises, for the first of the items that fail.
    """
    listed = list(items)
    if not listed:
        return []
    count = min(workers or default_workers(), len(listed))
    return list(_run(function, listed, count, initializer, window=len(listed)))


def parallel_imap(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    workers: int | None = None,
    initializer: Callable[[], object] | None = None,
    flush: Callable[[T], bool] | None = None,
) -> Iterator[R]:
    """`parallel_map` of items that come one by one, in the thread of the caller, who gets results as they
    are ready: while it makes an item or uses a result, workers go on. There are never more than one item
    for each worker, and one more, between coming in and going out.

    Args:
        flush: whether an item is one after which no other may come for long: its result, and those before
            it, are handed out before another is asked for.
    """
    count = workers or default_workers()
    return _run(function, items, count, initializer, window=count + 1, flush=flush)


def count_parts(size: int, least: int, most: int = 16) -> int:
    """In how many parts to cut a sum, each with arrays of its own: from the data alone, so that it is the
    same bits on any machine, and a power of two, which as many processors share evenly.

    Args:
        size: of the work; `least`: of a part, unless there are only two.
        most: parts there may be.
    """
    parts = 2
    while 2 * parts <= most and 2 * parts * least <= size:
        parts *= 2
    return parts


def _run(
    function: Callable[[T], R],
    items: Iterable[T],
    count: int,
    initializer: Callable[[], object] | None,
    window: int,
    flush: Callable[[T], bool] | None = None,
) -> Iterator[R]:
    if in_worker() or (count < 2 and initializer is None):
        if initializer is not None:
            initializer()
        yield from map(function, items)
        return
    workers = _Workers(function, initializer)
    submitted = yielded = 0
    try:
        workers.start(count)
        for item in items:
            workers.tasks.put((submitted, item))
            submitted += 1
            least = submitted if flush is not None and flush(item) else submitted - window + 1
            while yielded < least:
                yield workers.take(yielded)
                yielded += 1
        while yielded < submitted:
            yield workers.take(yielded)
            yielded += 1
    finally:
        workers.stop()


class _Outcome(NamedTuple, Generic[R]):
    """What became of an item."""

    number: int
    result: R | None
    error: BaseException | None


class _Workers(Generic[T, R]):
    """Threads that take items from one queue and put outcomes into another.

    Queues in C, and bare threads: Ctrl-C in the middle of a Condition, of which Thread, Future and Executor
    are made, may leave it locked, and whoever waits for the threads then would wait for ever.
    """

    def __init__(self, function: Callable[[T], R], initializer: Callable[[], object] | None) -> None:
        self.function = function
        self.initializer = initializer
        self.tasks: SimpleQueue[tuple[int, T] | None] = SimpleQueue()  # None: there are no more
        self.done: SimpleQueue[_Outcome[R] | None] = SimpleQueue()  # None: a thread has ended
        self.early: dict[int, _Outcome[R]] = {}  # outcomes before their turn
        self.last = math.inf  # the last item that is still to be begun
        self.alive = 0

    def start(self, count: int) -> None:
        for _ in range(count):
            self.alive += 1  # no call between this and the next, so no Ctrl-C either
            try:
                start_new_thread(self._work, ())
            except RuntimeError as error:
                self.alive -= 1
                raise LangueError(f"the system starts no more threads; set {VARIABLE} to fewer") from error

    def _work(self) -> None:
        _local.is_worker = True
        initializer = self.initializer
        while (task := self.tasks.get()) is not None:
            number, item = task
            if number > self.last:
                continue
            try:
                if initializer is not None:
                    initializer()
                    initializer = None
                self.done.put(_Outcome(number, self.function(item), None))
            except BaseException as error:
                self.last = min(self.last, number)
                self.done.put(_Outcome(number, None, error))
        self.done.put(None)

    def take(self, number: int) -> R:
        """The result of an item, as soon as it is there."""
        while number not in self.early:
            outcome = self.done.get()
            if outcome is not None:
                self.early[outcome.number] = outcome
        _, result, error = self.early.pop(number)
        if error is not None:
            raise error
        return cast(R, result)

    def stop(self) -> None:
        """Begin no further item, and wait for those that run."""
        self.last = -1
        for _ in range(self.alive):
            self.tasks.put(None)
        while self.alive:
            self.alive -= self.done.get() is None
