"""What limits this process below the machine it runs on: its container, or `ulimit`.

Libraries that start a thread for each core abort, or send Ctrl-C, where they may not.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from langue.base.errors import LangueError
from langue.base.progress import log

if sys.platform != "win32":
    import resource

MESSAGE = (
    "this process may not start the threads, or map the memory, that the libraries need (see ulimit -u, "
    "ulimit -v, or the limits of the container); raise the limit, or set OMP_NUM_THREADS=1"
)
# NumPy, SciPy, torch and the tokenizers start one a core each.
THREADS = 4 * (os.cpu_count() or 1)
OF_THREAD = 72 << 20  # bytes: what glibc maps for a stack and a heap
OF_LIBRARIES = 1 << 30
OF_TORCH = 768 << 20  # bytes of addresses; with fewer its loader ends the process, and no exception tells
PLENTY = 64  # times as many: nobody needs to try
UNLIMITED = 1 << 60  # bytes: version 1 says so by the largest number of pages
MOST_WORKERS = 4096  # processes that share work: more is a slip of the finger
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",  # torch
    "OPENBLAS_NUM_THREADS": "1",  # NumPy
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def fit_threads() -> None:
    """Where fewer threads may be started than there are cores, let every library do with one.

    To be called before they are imported.
    """
    if _memory_is_limited() or (_limited() and not _can_start(THREADS)):  # a thread maps memory of its own
        os.environ.update(ONE_THREAD)
        log.warning(
            "few threads may be started here (ulimit -u or -v, a container's limit): going on with one"
        )
    if _memory_is_limited(OF_TORCH):
        sys.meta_path.insert(0, _NoTorch())


class _NoTorch:
    """Of `sys.meta_path`: what imports torch gets a message."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "torch":
            raise LangueError(MESSAGE)


def check_threads() -> None:
    """Raise a `LangueError` where a limit is what keeps a library from starting its threads."""
    if _limited() and (_memory_is_limited() or not _can_start(THREADS)):
        raise LangueError(MESSAGE)


def _limited() -> bool:
    if sys.platform == "win32":
        return False
    own = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    allowed = [
        limit for limit in (own, group_limits().processes) if limit not in (None, resource.RLIM_INFINITY)
    ]
    return _memory_is_limited() or any(limit < PLENTY * THREADS for limit in allowed)


def _memory_is_limited(needed: int = OF_LIBRARIES + THREADS * OF_THREAD) -> bool:
    """Whether the addresses do not suffice: by default for the libraries, and what each thread maps."""
    if sys.platform == "win32":
        return False
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return limit != resource.RLIM_INFINITY and limit < needed


def _can_start(count: int) -> bool:
    """Whether so many threads run at a time."""
    enough = threading.Event()
    started = []
    try:
        for _ in range(count):
            thread = threading.Thread(target=enough.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        return False
    finally:
        enough.set()
        for thread in started:
            with contextlib.suppress(RuntimeError):
                thread.join()
    return True


class GroupLimits(NamedTuple):
    """What the control groups of this process allow all that is in them; None: no less than the machine.

    The time of processors is in `base/parallel.py`.
    """

    memory: int | None  # bytes
    processes: int | None  # threads among them


def group_limits(root: Path = Path("/")) -> GroupLimits:
    """The least of each, over the groups of this process and those above, of versions 1 and 2."""
    memory = [*_values(root, "memory", "memory.max"), *_values(root, "memory", "memory.limit_in_bytes")]
    processes = _values(root, "pids", "pids.max")
    return GroupLimits(
        min((value for value in memory if value < UNLIMITED), default=None),
        min(processes, default=None),
    )


def _values(root: Path, controller: str, name: str) -> list[int]:
    return [int(line) for line in _lines(root, controller, name) if line.isdigit()]


def _lines(root: Path, controller: str, name: str) -> Iterator[str]:
    """What a file of a controller says in the group of this process, and in each above."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount = root / "sys/fs/cgroup"  # version 2
        elif controller in controllers.split(","):
            mount = root / "sys/fs/cgroup" / controller
        else:
            continue
        group = mount / path.lstrip("/")
        for folder in (group, *group.parents):
            with contextlib.suppress(OSError):
                yield (folder / name).read_text().strip()
            if folder == mount:
                break
