"""Files that are either there whole or not at all.

Everything langue writes is written beside its place, fsynced, then renamed: a crash, a full disk
or Ctrl-C leaves what stood there before, and no half of what was coming.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from langue.base.errors import LangueError

CHUNK_BYTES = 1 << 20  # bytes read at a time when hashing: large enough to hide the call, small in cache


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing `path` into a message for the user.

    What it refuses of another file, which is read meanwhile, passes as it is.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None and not _belongs(Path(os.fsdecode(error.filename)), path):
            raise
        reason = error.strerror or str(error)
        raise LangueError(f"cannot write {path}: {reason}; nothing was changed there") from error


def _belongs(file: Path, path: Path) -> bool:
    """Whether a file is `path`, its folder, or lies in what is to take its place."""
    within = Path(os.path.relpath(file, path.parent)).parts[:1]  # () of the folder itself
    return not within or within[0] == path.name or within[0].startswith(f".{path.name}.")


def refuse_same(output: Path, inputs: Iterable[Path | str]) -> None:
    """Raise a `LangueError` if an output is one of the inputs, or a folder that holds one: call it before
    anything is read."""
    for name in inputs:
        path = Path(name)
        if output.exists() and path.exists() and output.samefile(path):
            raise LangueError(
                f"{output} is read: it cannot be written at the same time; choose another output"
            )
        if output.resolve() in path.resolve().parents:
            raise LangueError(f"{output} holds {path}, which is read; choose another output")


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open `path` for writing bytes; it appears, whole, only when the block ends without error.

    Raises:
        LangueError: the disk is full, the folder is missing or not writable.
    """
    with writing(path):
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with writing(path):
            with open(descriptor, "wb") as handle:  # noqa: PTH123  # a descriptor has no Path
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
            _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path, *, marker: str, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside `path` that takes its place when the block ends without error.

    Args:
        marker: name of the file every folder of this kind holds (`model.json`, `manifest.json`);
            with `overwrite`, only a folder that has it is replaced, so that a mistyped path never
            costs a user other files.

    Raises:
        LangueError: `path` exists and may not be replaced; the disk is full or refuses.
    """
    check_free(path, marker=marker, overwrite=overwrite)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        with writing(path):
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    file.chmod(0o666 & ~_umask())  # some libraries write for the owner's eyes only
                    _sync(file)
                else:
                    _sync_folder(file)
            temporary.chmod(0o777 & ~_umask())
            if path.exists():
                _exchange(temporary, path)
            else:
                temporary.rename(path)
            _sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_free(path: Path, *, marker: str, overwrite: bool) -> None:
    """Raise a `LangueError` unless `path` may be written: called early, before hours of work."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not path.is_dir():
        raise LangueError(f"{path} is a file; give the name of a folder to write")
    if not (path / marker).is_file():
        raise LangueError(f"{path} holds other files (no {marker} among them); choose another folder")
    if not overwrite:
        raise LangueError(f"{path} already exists; choose another name, or pass --overwrite")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON, atomically. NaN and infinity are refused: not JSON."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    with atomic_file(path) as file:
        file.write(text.encode())


def read_json(path: Path) -> Any:
    """The value in a JSON file; a `LangueError` names the file, and the line of a syntax error."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise LangueError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise LangueError(f"{path} is not UTF-8: byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise LangueError(f"{path} is not valid JSON: line {error.lineno}: {error.msg}") from error


def read_bytes(path: Path) -> bytes:
    """A file whole; a `LangueError` names one that is not there."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise LangueError(f"cannot read {path}: {error.strerror or error}") from error


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def describe_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file of a folder, by name: what a manifest records."""
    files = sorted(file for file in folder.iterdir() if file.is_file())
    return {file.name: {"bytes": file.stat().st_size, "sha256": sha256(file)} for file in files}


def verify_files(folder: Path, files: dict[str, dict[str, Any]], *, hashes: bool = True) -> None:
    """Compare a folder with what its manifest recorded by `describe_files`.

    Args:
        hashes: also read every file whole; without it only presence and size are compared.

    Raises:
        LangueError: a file is missing, has another size, or other contents.
    """
    for name, expected in files.items():
        file = folder / name
        if not file.is_file():
            raise LangueError(f"{folder} is damaged: {name} is missing; make it again")
        size = file.stat().st_size
        if size != expected["bytes"]:
            raise LangueError(
                f"{folder} is damaged: {name} has {size} bytes, not {expected['bytes']}; make it again"
            )
        if hashes and sha256(file) != expected["sha256"]:
            raise LangueError(f"{folder} is damaged: the contents of {name} were altered; make it again")


def _exchange(new: Path, old: Path) -> None:
    """Put the folder `new` in the place of `old`; on failure `old` is back where it was."""
    aside = Path(tempfile.mkdtemp(dir=old.parent, prefix=f".{old.name}.old."))
    old.rename(aside / "folder")
    try:
        new.rename(old)
    except OSError:
        (aside / "folder").rename(old)
        raise
    finally:
        if old.exists():
            shutil.rmtree(aside, ignore_errors=True)


def _sync(file: Path) -> None:
    # Windows syncs only what it may write.
    descriptor = os.open(file, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened, and the rename is durable enough
        _sync(folder)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
