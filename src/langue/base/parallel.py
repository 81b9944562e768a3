"""`map` on threads, for work that lets go of the interpreter: compiled code, and that of libraries.

Results come in the order of the items, and so does the failure that is raised, whatever the number of
workers. It is for the caller to cut the work by the data alone and to add results up in order: then they are
the same bits on any machine. Another engine (processes, other machines) would take the place of the threads
here, and nowhere else.
"""

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TypeVar

from langue.base.errors import LangueError

T = TypeVar("T")
R = TypeVar("R")

VARIABLE = "LANGUE_THREADS"
OPENMP = "OMP_NUM_THREADS"  # what torch, BLAS and batch systems go by
_thread = threading.local()  # `is_worker` in those of a map


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
        What `function` raises for the first of the items that fail.
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
) -> Iterator[R]:
    """`parallel_map` of items that come one by one, in the thread of the caller, who gets results as they
    are ready: while it makes an item or uses a result, workers go on. There are never more than one item
    for each worker, and one more, between coming in and going out."""
    count = workers or default_workers()
    return _run(function, items, count, initializer, window=count + 1)


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
) -> Iterator[R]:
    if getattr(_thread, "is_worker", False) or (count < 2 and initializer is None):
        if initializer is not None:
            initializer()
        yield from map(function, items)
        return
    last = math.inf  # the last item that is still to be begun

    def work(index: int, item: T) -> R:
        nonlocal last
        if index > last:
            raise CancelledError  # nobody sees it: an earlier one is raised
        try:
            return function(item)
        except BaseException:
            last = min(last, index)
            raise

    pool = ThreadPoolExecutor(count, "langue", _enter, (initializer,))
    pending: deque[Future[R]] = deque()
    gate = threading.Event()
    try:
        # All threads are there before any works: Ctrl-C while one starts would leave it to go on alone.
        for _ in range(count):
            pool.submit(gate.wait)
        gate.set()
        for index, item in enumerate(items):
            pending.append(pool.submit(work, index, item))
            if len(pending) >= window:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        last = -1
        gate.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _enter(initializer: Callable[[], object] | None) -> None:
    _thread.is_worker = True
    if initializer is not None:
        initializer()
