"""What was verified once and not touched since need not be read whole again.

A file is told by its device and number, its size, and the times of its last change, of which no program sets
the one that counts (ctime): whoever alters bytes and puts the time back is found out. What passed a check is
noted as an empty file in the user's cache folder, whose name is a digest of all this, of what was checked and
of the version of langue; never in the folder that was checked, which may come from anybody. Where nothing can
be noted, or others can write there, everything is verified anew, as are small files and those just written,
of which a second change might fall into the same moment.
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Literal

from langue.base.caches import check_own, user_cache

LEAST_BYTES = 1 << 22  # less is read in the time that noting it takes
SETTLED = 2.0  # seconds since the last change, from which on another one would have another time
NOTES = 4096  # kept at most, the youngest

Reading = Literal["whole", "unknown", "nothing"]

_reading: ContextVar[Reading] = ContextVar("what verification reads", default="unknown")


@contextmanager
def verifying(reading: Reading) -> Iterator[None]:
    """What verification reads within.

    Args:
        reading: "whole": every file, whatever is known of it; "nothing": none, for this process has just
            written them and taken their hashes.
    """
    token = _reading.set(reading)
    try:
        yield
    finally:
        _reading.reset(token)


def unless_known(files: Sequence[Path], what: Hashable, verify: Callable[[], object]) -> None:
    """Run a check of files, unless it passed before and they were not touched since.

    Args:
        what: is checked, and by what numbers: all that the outcome depends on besides the files.
        verify: raises where they are not what they must be.
    """
    reading = _reading.get()
    if reading == "nothing":
        return
    name = _name(files, what)
    if name is not None and reading == "unknown" and _is_noted(name):
        return
    verify()
    if name is not None and name == _name(files, what):  # untouched while it was read
        _note(name)


def _name(files: Sequence[Path], what: Hashable) -> str | None:
    """A digest of what tells files apart; None where they are not to be noted."""
    if os.name != "posix":  # elsewhere ctime is the time of creation
        return None
    stats = [(os.path.realpath(file), file.stat()) for file in files if file.exists()]
    newest = max((max(stat.st_mtime, stat.st_ctime) for _, stat in stats), default=0.0)
    if sum(stat.st_size for _, stat in stats) < LEAST_BYTES or time.time() - newest < SETTLED:
        return None
    told = [
        (path, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        for path, stat in stats
    ]
    return hashlib.sha256(repr((langue_version(), what, told)).encode("utf-8", "surrogateescape")).hexdigest()


def langue_version() -> str:
    """Of langue: a later one may look closer."""
    return str(getattr(sys.modules["langue"], "__version__", ""))


def _folder() -> Path:
    return user_cache("verified")


def _is_noted(name: str) -> bool:
    try:
        folder = _folder()
        check_own(folder, folder.stat())
        check_own(folder / name, (folder / name).lstat())
    except OSError:
        return False
    return True


def _note(name: str) -> None:
    """A disk that refuses costs the next opening the time, and no more."""
    with suppress(OSError):
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_own(folder, folder.stat())
        (folder / name).touch(mode=0o600)
        notes = list(folder.iterdir())
        if len(notes) > NOTES:
            for note in sorted(notes, key=lambda note: note.stat().st_mtime)[: len(notes) - NOTES]:
                note.unlink(missing_ok=True)
