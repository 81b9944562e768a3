"""Object stores, by fsspec: what lies at `s3://bucket/name` is copied here to be read, and there when it is
whole.

A folder there is what is below a name. It is written file by file, its marker last, and it is nothing to a
reader before that has come; one that is replaced loses its marker first.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from langue.base.caches import user_cache
from langue.base.errors import LangueError, MissingExtra, NotFound
from langue.base.files import writing
from langue.base.progress import bar
from langue.base.urls import url_of

UNFINISHED = ".unfinished"  # an object beside those that are copied, until the last of them is there
_here: dict[str, Path] = {}  # folders that were copied here, or made here, by this process


class Copied(NamedTuple):
    """What was copied from an object store."""

    url: str
    path: Path


@contextmanager
def copied_here(url: str, parent: Path | None = None) -> Iterator[Copied]:
    """A file, or all that is below a name, as a temporary file or folder.

    Args:
        parent: the folder to copy it to; None: that of temporary files.

    Raises:
        NotFound: there is nothing of that name.
        LangueError: the object store does not answer, or refuses.
        MissingExtra: a package that reads such an object store is not installed.
    """
    if parent is not None:
        with writing(parent):
            parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="langue-", dir=parent) as folder:
        yield Copied(url, _copy_here(url, Path(folder)))


def local(path: Path | str) -> Path:
    """A path that can be opened: of what lies in an object store that of a copy, which this process keeps
    until it ends.

    Raises:
        LangueError: as `copied_here`.
    """
    url = url_of(path)
    if url is None:
        return Path(path)
    if url not in _here:
        _here[url] = _copy_here(url, _kept_until_the_end(Path(tempfile.mkdtemp(prefix="langue-"))))
    return _here[url]


@contextmanager
def made_there(path: Path | str, *, marker: str, overwrite: bool, scratch: Path | None) -> Iterator[Path]:
    """A folder to make here, which is copied to the object store that its path names once it is whole; for a
    path of this machine, that path.

    It has the same name in every call, so that a run that was stopped is gone on with.

    Args:
        marker: the file without which the folder is nothing.
        scratch: where to make it; None: in the user's cache.

    Raises:
        LangueError: there is one already, and it is not to be replaced; the object store does not answer.
    """
    url = url_of(path)
    if url is None:
        yield Path(path)
        return
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise LangueError(
            f"{url} is of an object store, and the processes of torchrun meet in a folder; name one that all "
            "machines have, and copy it"
        )
    with _asking(url):
        there = _store_of(url)
        if there.files.isfile(there.name):
            raise LangueError(f"{url} is a file; give the name of a folder to write")
        if names := there.files.find(there.name):
            if {f"{there.name}/{name}" for name in (marker, UNFINISHED)}.isdisjoint(names):
                raise LangueError(f"{url} holds other files (no {marker} among them); choose another folder")
            if f"{there.name}/{marker}" in names and not overwrite:
                raise LangueError(f"{url} already exists; choose another name, or pass --overwrite")
    parent = scratch if scratch is not None else user_cache("remote")
    folder = parent / f"langue-{sha256(url.encode()).hexdigest()[:16]}"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = folder / Path(there.name).name
    try:
        yield made
    finally:
        with suppress(OSError):  # unless something is kept there
            folder.rmdir()
    try:
        _copy_there(made, url, marker)
    except LangueError as error:
        error.args = (f"{error.message} (what was made is whole in {made})",)
        raise
    _here[url] = made
    _kept_until_the_end(folder)


class _Store(NamedTuple):
    files: Any  # fsspec's file system
    name: str  # in it


def _store_of(url: str) -> _Store:
    scheme = url.partition(":")[0]
    try:
        import fsspec

        files, name = fsspec.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        if error.name == "fsspec" or scheme in ("s3", "s3a"):
            raise MissingExtra("s3fs", "remote", f"opening {url}") from None
        raise LangueError(f"{url}: {error}") from None  # which says what to install
    except ValueError as error:
        raise LangueError(f"{url} is of no object store that fsspec knows ({error})") from None
    return _Store(files, name.rstrip("/"))


@contextmanager
def _asking(url: str) -> Iterator[None]:
    """Turn what an object store answers into sentences: its libraries have errors of their own."""
    try:
        yield
    except LangueError:
        raise
    except FileNotFoundError:
        raise NotFound(f"there is nothing at {url}") from None
    except PermissionError as error:
        raise LangueError(f"{url}: the object store refuses ({error}); look at the credentials") from error
    except Exception as error:
        raise LangueError(
            f"{url}: the object store does not answer as it should ({error}); look at its address and the "
            "credentials, and try again"
        ) from error


def _copy_here(url: str, folder: Path) -> Path:
    with _asking(url):
        there = _store_of(url)
        path = folder / Path(there.name).name
        if there.files.isfile(there.name):
            names = [there.name]
        else:
            names = sorted(there.files.find(there.name))
            if not names:
                raise FileNotFoundError(url)
        with bar(f"copying {url}", total=len(names)) as progress:
            for name in names:
                target = path / name.removeprefix(there.name).lstrip("/") if name != there.name else path
                _check_below(target, folder, url)
                with writing(target):
                    target.parent.mkdir(parents=True, exist_ok=True)
                there.files.get_file(name, str(target))
                progress.advance()
    return path


def _check_below(target: Path, folder: Path, url: str) -> None:
    """A name may hold `..`, which is a folder here and nothing there."""
    if not target.resolve().is_relative_to(folder.resolve()):
        raise LangueError(f"{url} holds a name that leads out of its folder; rename it there")


def _copy_there(folder: Path, url: str, marker: str) -> None:
    """Copy all files of a folder, the marker last; what was there before and is not now is removed."""
    with _asking(url):
        there = _store_of(url)
        before = {name.removeprefix(f"{there.name}/") for name in there.files.find(there.name)}
        there.files.pipe_file(f"{there.name}/{UNFINISHED}", b"")
        if marker in before:
            there.files.rm_file(f"{there.name}/{marker}")
        files = {
            path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
        }
        for name in sorted(before - set(files) - {marker, UNFINISHED}):
            there.files.rm_file(f"{there.name}/{name}")
        with bar(f"copying to {url}", total=len(files)) as progress:
            for name in sorted(files, key=lambda name: name == marker):
                there.files.put_file(str(files[name]), f"{there.name}/{name}")
                progress.advance()
        there.files.rm_file(f"{there.name}/{UNFINISHED}")


def _kept_until_the_end(folder: Path) -> Path:
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
