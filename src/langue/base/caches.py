"""The folder of this user where langue keeps what can be made again, and who else may have written there."""

import os
import stat
import sys
from pathlib import Path


class Foreign(OSError):
    """A folder or file that another user made, or may write: what it holds may be anything."""


def user_cache() -> Path:
    """The cache folder of this user, or NUMBA_CACHE_DIR.

    Raises:
        RuntimeError: this user has no home folder.
    """
    if os.environ.get("NUMBA_CACHE_DIR"):
        return Path(os.environ["NUMBA_CACHE_DIR"])
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "langue"
    if sys.platform == "darwin":
        return Path("~/Library/Caches/langue").expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser() / "langue" / "Cache"
    return Path("~/.cache/langue").expanduser()


def check_own(path: Path, status: os.stat_result) -> None:
    """Raise `Foreign` unless only this user (and root) can have written what has this status."""
    if os.name != "posix":  # the rights of Windows are no bits, and the user's folders are his there
        return
    if status.st_uid not in (os.geteuid(), 0):
        raise Foreign(f"{path} belongs to another user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Foreign(f"{path} may be written by others; chmod go-w helps")
