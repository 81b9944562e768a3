"""Where langue keeps what can be made again for this user, and who else may have written there."""

import os
import stat
import sys
import tempfile
from pathlib import Path


class Foreign(OSError):
    """A folder or file that another user made, or may write: what it holds may be anything."""


def user_cache(name: str) -> Path:
    """A folder below NUMBA_CACHE_DIR, or else below the cache of this user; where it is not there, and cannot
    be made (no home, or one that is read only), below a folder of this user among temporary files.

    Raises:
        Foreign: another user made the last of these, or may write there.
        OSError: there is no folder for temporary files.
    """
    if os.environ.get("NUMBA_CACHE_DIR"):
        return Path(os.environ["NUMBA_CACHE_DIR"]) / name
    try:
        above = _usual()
    except RuntimeError:  # no home
        return _among_temporary() / name
    kept = (above / name).is_dir() or _can_be_written(above)
    return (above if kept else _among_temporary()) / name


def _usual() -> Path:
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "langue"
    if sys.platform == "darwin":
        return Path("~/Library/Caches/langue").expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser() / "langue" / "Cache"
    return Path("~/.cache/langue").expanduser()


def _can_be_written(path: Path) -> bool:
    """Whether this user can make a folder, or files in one that is there."""
    try:
        there = next(folder for folder in (path, *path.parents) if folder.exists())
    except PermissionError:
        return False
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _among_temporary() -> Path:
    user = f"-{os.geteuid()}" if os.name == "posix" else ""  # elsewhere each has such a folder of his own
    folder = Path(tempfile.gettempdir()) / f"langue{user}"
    folder.mkdir(exist_ok=True, mode=0o700)
    check_own(folder, folder.lstat())
    return folder


def check_own(path: Path, status: os.stat_result) -> None:
    """Raise `Foreign` unless only this user (and root) can have written what has this status."""
    if os.name != "posix":  # the rights of Windows are no bits, and the user's folders are his there
        return
    if status.st_uid not in (os.geteuid(), 0):
        raise Foreign(f"{path} belongs to another user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Foreign(f"{path} may be written by others; chmod go-w helps")
