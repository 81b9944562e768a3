"""Where outputs are written before they appear, and what a process that died left there.

Beside the output NAME, or within it where it cannot be renamed (a mount point), stand for a while

    .NAME.HOST-PID.RANDOM.new     what will take its place
    .NAME.HOST-PID.RANDOM.gone    what is being removed
    .NAME.HOST-PID.RANDOM.old     what stood there, where the two cannot change places in one step
    .NAME.HOST-PID.RANDOM.done    within a mount point: whole, the old one is being removed
    .NAME.HOST-PID.RANDOM.moving  within a mount point: whole, its files are being moved out

Each is locked by the process that made it, and the system frees the lock however that process ends.
So the next one that writes the same output sees what is left of a dead one, and removes it or ends it.
"""

import ctypes
import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from langue.base.errors import LangueError
from langue.base.urls import url_of

if sys.platform != "win32":
    import fcntl

HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
LONGEST = 100  # bytes of a name that stand in what is beside it: there is a limit to the length of names
WITHIN = "langue"  # what stands for the name within a mount point
RUN_WITHIN = "langue.run"  # the folder of a run whose output is a mount point
_KEPT_BY_SYSTEM = "lost+found"  # in the root of every ext file system
_OWN = re.compile(r"\.(?P<name>.+)\.(?P<host>[0-9a-f]{6})-(?P<pid>\d+)\.[a-z0-9_]+\."
                  r"(?P<kind>new|gone|old|done|moving)", re.DOTALL)  # fmt: skip
_EXCHANGE = 2  # RENAME_EXCHANGE of linux/fs.h
_HERE = -100  # AT_FDCWD of linux/fcntl.h


class Leftover(NamedTuple):
    """A file or folder of ours beside an output."""

    path: Path
    kind: str
    pid: int
    local: bool  # made on this machine


def resolve(path: Path) -> Path:
    """Where a link leads: what is written stands there, and the link stays. Other paths as they are.

    Raises:
        LangueError: it is of an object store.
    """
    if (url := url_of(path)) is not None:
        raise LangueError(
            f"{url} is of an object store, where langue writes what prepare and train make; write to this "
            "machine, and copy it"
        )
    if path.is_symlink() or path.name in ("", ".."):
        return Path(os.path.realpath(path))
    return path


def staged_name(name: str) -> str:
    """`name` as it stands in the names beside it: shortened where it is long, and still its own."""
    encoded = os.fsencode(name)
    if len(encoded) <= LONGEST:
        return name
    return f"{encoded[:LONGEST].decode(errors='ignore')}~{hashlib.sha256(encoded).hexdigest()[:8]}"


def new_name(name: str, kind: str) -> str:
    """A name for something of this process that no other takes."""
    return f".{staged_name(name)}.{HOST}-{os.getpid()}.{secrets.token_hex(4)}.{kind}"


def output_of(path: Path) -> Path:
    """The output that a path within something of `new_name` is for; another path as it is."""
    for above in reversed((path, *path.parents)):
        if match := _OWN.fullmatch(above.name):
            return above.parent if match["name"] == WITHIN else above.with_name(match["name"])
    return path


def make_folder(parent: Path, name: str) -> tuple[Path, int | None]:
    """An empty folder for what will be `name`, and its lock (None where the file system has none)."""
    while True:
        folder = parent / new_name(name, "new")
        folder.mkdir(mode=0o700)
        with suppress(BlockingIOError, FileNotFoundError):  # another process sweeps here: once more
            lock = take_lock(folder)
            folder.stat()
            return folder, lock


def make_file(parent: Path, name: str) -> tuple[Path, int]:
    """An empty file for what will be `name`, and its descriptor, which is its lock too."""
    while True:
        path = parent / new_name(name, "new")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
        with suppress(BlockingIOError, FileNotFoundError):
            _lock(descriptor)
            path.stat()
            return path, descriptor
        os.close(descriptor)


def take_lock(path: Path) -> int | None:
    """Hold a file or folder until the descriptor is closed; None where there are no locks.

    Raises:
        BlockingIOError: another process holds it.
    """
    if sys.platform == "win32":
        return None
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        held = _lock(descriptor)
    except BlockingIOError:
        os.close(descriptor)
        raise
    if not held:
        os.close(descriptor)
        return None
    return descriptor


def _lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # some network file systems have no locks
        return False
    return True


def release(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def leftovers(folder: Path, name: str | None = None) -> Iterator[Leftover]:
    """What stands in a folder for the output `name`, or for any, of living processes and dead ones."""
    wanted = None if name is None else staged_name(name)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _OWN.fullmatch(entry.name)
            if match and wanted in (None, match["name"]):
                yield Leftover(folder / entry.name, match["kind"], int(match["pid"]), match["host"] == HOST)


def lock_dead(leftover: Leftover) -> tuple[bool, int | None]:
    """Whether the process that made it is no more; if so, with a lock on what it left."""
    try:
        lock = take_lock(leftover.path)
    except OSError:  # it lives, or is another user's, or is already gone
        return False, None
    if lock is None and (not leftover.local or _runs(leftover.pid)):
        return False, None
    return True, lock


def _runs(pid: int) -> bool:
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def sweep(folder: Path, name: str | None = None, *, marker: str | None = None) -> list[Leftover]:
    """Remove what dead processes left in a folder; put an old output back that was on its way out.

    Args:
        name: of the output; None: of any.
        marker: the file of the output that is written last; with it, a move within a mount point is ended.

    Returns:
        What is of living processes, this one among them.
    """
    living = []
    for leftover in list(leftovers(folder, name)):
        dead, lock = lock_dead(leftover)
        if not dead:
            living.append(leftover)
            continue
        try:
            if leftover.kind == "old" and name is not None and not os.path.lexists(folder / name):
                leftover.path.rename(folder / name)
            elif leftover.kind in ("done", "moving"):
                if marker is not None:
                    finish_move(leftover.path, folder, marker)
            else:
                remove(leftover.path)
        except OSError:  # the next one that may will do it
            continue
        finally:
            release(lock)
    return living


def remove(path: Path) -> None:
    """Remove a file or a folder with all that it holds, as far as the system lets us; Ctrl-C waits."""
    try:
        _remove(path)
    except KeyboardInterrupt:
        _remove(path)
        raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def discard(path: Path) -> None:
    """Remove a folder in one step, as others see it: a kill in the middle leaves no half of it."""
    aside = path.with_name(new_name(path.name, "gone"))
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    except OSError:  # a mount point
        aside = path
    remove(aside)


def exchange(new: Path, old: Path) -> None:
    """Put the folder `new` in the place of `old`, which then stands where `new` was.

    On Linux in one step. Elsewhere there is an instant with neither; what stood there is put back on
    failure, and by the next call after a kill.
    """
    if _exchange(new, old):
        return
    aside = old.with_name(new_name(old.name, "old"))
    lock = take_lock(old)
    try:
        old.rename(aside)
        try:
            new.rename(old)
        except OSError:
            aside.rename(old)
            raise
        aside.rename(new)
    finally:
        release(lock)


def _exchange(new: Path, old: Path) -> bool:
    """Whether the system let both change places at once."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # an old libc
        return False
    return bool(call(_HERE, os.fsencode(new), _HERE, os.fsencode(old), _EXCHANGE) == 0)


def contents(path: Path) -> list[str]:
    """Names in a folder, without what the system and unfinished outputs have there."""
    mounted = os.path.ismount(path)
    return [
        name
        for name in os.listdir(path)  # noqa: PTH208  # names are wanted, not paths
        if not _OWN.fullmatch(name) and name != RUN_WITHIN and not (mounted and name == _KEPT_BY_SYSTEM)
    ]


def cannot_be_renamed(path: Path) -> bool:
    """Whether an existing folder has to be written within: a mount point, the folder we stand in, one whose
    parent we may not write in."""
    if is_mount_point(path) or path.resolve() == Path.cwd():
        return True
    try:
        trial, lock = make_folder(path.parent, path.name)
        remove(trial)
        release(lock)
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    if not hasattr(os, "geteuid"):
        return False
    parent = path.parent.stat()
    sticky = bool(parent.st_mode & stat.S_ISVTX)
    return sticky and os.geteuid() not in (0, parent.st_uid, path.stat().st_uid)


def is_mount_point(path: Path) -> bool:
    """Also of the same file system mounted twice, which `os.path.ismount` takes for a plain folder."""
    if os.path.ismount(path):
        return True
    try:
        table = Path("/proc/self/mountinfo").read_bytes()
    except OSError:
        return False
    real = os.fsencode(os.path.realpath(path))
    return any(_unescaped(line.split()[4]) == real for line in table.splitlines() if line)


def _unescaped(field: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), field)


def move_in(folder: Path, path: Path, marker: str) -> None:
    """Make what stands in `folder`, within `path`, all that `path` holds: `marker` goes first and comes last.

    A kill in the middle leaves `path` without its marker, and `sweep` ends the move.
    """
    done = path / new_name(WITHIN, "done")
    folder.rename(done)
    finish_move(done, path, marker)


def finish_move(done: Path, path: Path, marker: str) -> None:
    """From wherever a move within a mount point was."""
    if done.suffix == ".done":
        held = contents(path)
        if marker in held:
            (path / marker).unlink()
        for name in held:
            remove(path / name)
        moving = done.with_suffix(".moving")
        done.rename(moving)
        done = moving
    for name in sorted(os.listdir(done), key=lambda name: (name == marker, name)):  # noqa: PTH208
        (done / name).replace(path / name)
    done.rmdir()
