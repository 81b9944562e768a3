"""Files that are either there whole or not at all.

Everything langue writes is written beside its place, fsynced, then renamed: a crash, a full disk
or Ctrl-C leaves what stood there before, and no half of what was coming.
"""

import contextlib
import errno
import json
import math
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from langue.base import staging
from langue.base.errors import Damaged, LangueError


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing `path` into a message for the user."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if re.fullmatch(r"\d+ requested and \d+ written", reason):  # all that numpy says
            reason = f"the disk is full, or files may not be that large ({reason} bytes)"
        output = staging.output_of(path)  # which a user knows, unlike what stands beside it for a while
        raise LangueError(f"cannot write {output}: {reason}; nothing was changed there") from error


def refuse_same(output: Path, inputs: Iterable[Path | str]) -> None:
    """Raise a `LangueError` if an output is one of the inputs, a folder that holds one, or a file of an input
    that is a folder: call it before anything is read."""
    written = Path(os.path.realpath(output))  # of a link that leads nowhere, too
    for name in inputs:
        path = Path(os.path.realpath(name))
        if _is_there(written) and _is_there(path) and written.samefile(path):
            raise LangueError(
                f"{output} is read: it cannot be written at the same time; choose another output"
            )
        if written in path.parents:
            raise LangueError(f"{output} holds {name}, which is read; choose another output")
        if path in written.parents and _is_there(written) and written.is_file():
            raise LangueError(f"{output} is a file of {name}, which is read; choose another output")


def _is_there(path: Path) -> bool:
    """Whether something has this name; nothing has one that is too long."""
    try:
        path.stat()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def atomic_file(path: Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open `path` for writing bytes; it appears, whole, only when the block ends without error.

    A link stays one, and what it leads to is written. A device or a pipe is written straight into. A file
    that is mounted, as containers have them, cannot be replaced: what was written whole is copied into it.

    Args:
        overwrite: whether a file may be replaced that another process wrote meanwhile; see `check_file_free`.

    Raises:
        LangueError: the disk is full, the folder is missing or not writable, a folder has that name; there is
            a file that may not be replaced.
    """
    with writing(path):
        mode = _mode(path)
        if mode is not None and not stat.S_ISREG(mode):
            if stat.S_ISDIR(mode):
                raise LangueError(f"{path} is a folder; give the name of a file to write")
            with path.open("wb") as device:
                yield device
            return
        path = staging.resolve(path)
        staging.sweep(path.parent, path.name)
    with _trying(path, path.parent):
        temporary, descriptor = staging.make_file(path.parent, path.name)
    try:
        with writing(path):
            with open(descriptor, "wb", closefd=False) as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            temporary.chmod(0o666 & ~_umask())
            if not overwrite:
                _refuse_file(path)
            if os.name == "nt":  # which renames no open file
                os.close(descriptor)
                descriptor = -1
            try:
                temporary.replace(path)
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                shutil.copyfile(temporary, path)  # a single file that is mounted: only its bytes can change
                _sync(path)
            _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        if descriptor >= 0:
            os.close(descriptor)


@contextlib.contextmanager
def atomic_folder(path: Path, *, marker: str, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `path` when the block ends without error.

    A link stays one, and the folder it leads to is written. What cannot be renamed, such as the volume of
    a container, is written within: it then holds what was yielded, the marker last.

    Args:
        marker: name of the file every folder of this kind holds (`model.json`, `manifest.json`);
            with `overwrite`, only a folder that has it is replaced, so that a mistyped path never
            costs a user other files.

    Raises:
        LangueError: `path` exists and may not be replaced; the disk is full or refuses.
    """
    target = _checked(path, marker=marker, overwrite=overwrite)
    with _staged(target) as (temporary, within):
        with _blaming(path, temporary):
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    file.chmod(0o666 & ~_umask())  # some libraries write for the owner's eyes only
                    _sync(file)
                else:
                    _sync_folder(file)
        _checked(path, marker=marker, overwrite=overwrite)  # another process may have been faster
        with writing(path):
            if within:
                staging.move_in(temporary, target, marker)
            else:
                temporary.chmod(_folder_mode(temporary, target))
                if target.exists():
                    staging.exchange(temporary, target)
                else:
                    temporary.rename(target)
            _sync_folder(target if within else target.parent)


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Keep other processes from beginning to write `path` while the block runs, which may take hours.

    Raises:
        LangueError: another one writes it; nothing can be written there.
    """
    with _staged(staging.resolve(path)):
        yield


def check_free(path: Path, *, marker: str, overwrite: bool) -> None:
    """Raise a `LangueError` unless `path` may be written: called early, before hours of work.

    What the end will do is tried, as far as it can be without the output: where `path` leads, whether its
    name is short enough, whether something can be made where it will be. What a process that died left of
    the same output is removed, or put back.
    """
    target = _checked(path, marker=marker, overwrite=overwrite)
    with _staged(target):
        pass


def check_file_free(path: Path, *, overwrite: bool) -> None:
    """`check_free` of a single file, which others may have made: a device or a pipe is always free."""
    with writing(path):
        mode = _mode(path)
        if mode is None:
            target = staging.resolve(path)
            trial, descriptor = staging.make_file(target.parent, target.name)
            os.close(descriptor)
            trial.unlink()
        elif stat.S_ISDIR(mode):
            raise LangueError(f"{path} is a folder; give the name of a file to write")
        elif not overwrite:
            _refuse_file(path)
    target = staging.resolve(path)
    _refuse_writers(target, target.parent, target.name)


def _refuse_file(path: Path) -> None:
    if path.is_file():
        raise LangueError(f"{path} already exists; choose another name, or pass --overwrite")


def _refuse_writers(target: Path, parent: Path, name: str) -> None:
    """Raise a `LangueError` where another process writes what will be `target`; what a dead one left goes."""
    for other in staging.sweep(parent, name):
        if other.kind == "new" and not (other.local and other.pid == os.getpid()):
            raise LangueError(
                f"{target} is being written by another process ({other.pid}); wait for it, or choose "
                "another name"
            )


@contextlib.contextmanager
def _staged(target: Path) -> Iterator[tuple[Path, bool]]:
    """An empty folder on the disk of `target`, and whether it stands within it; it is gone afterwards."""
    made: list[Path] = []
    try:
        with _trying(target, target.parent):
            within = target.is_dir() and staging.cannot_be_renamed(target)
            made = _make_parents(target.parent)
        parent, name = (target, staging.WITHIN) if within else (target.parent, target.name)
        _refuse_writers(target, parent, name)
        with _trying(target, parent):
            target.is_symlink()  # a name that is too long is refused here
            temporary, lock = staging.make_folder(parent, name)
        try:
            yield temporary, within
        finally:
            staging.remove(temporary)
            staging.release(lock)
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # it holds the output
                folder.rmdir()


@contextlib.contextmanager
def _trying(path: Path, parent: Path) -> Iterator[None]:
    """Turn a refusal to make something beside `path`, or within it, into a message that says where."""
    try:
        yield
    except OSError as error:
        raise LangueError(
            f"cannot write {path}: nothing can be made in {parent} ({error.strerror or error}); choose "
            "another place"
        ) from error


@contextlib.contextmanager
def _blaming(path: Path, temporary: Path) -> Iterator[None]:
    """`writing(path)`, but a refusal of some other file, which is read meanwhile, is told of that."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and not Path(os.fsdecode(error.filename)).is_relative_to(temporary):
            name = os.fsdecode(error.filename)
            raise LangueError(f"{name}: {error.strerror or error}; {path} was not written") from error
        with writing(path):
            raise


def _checked(path: Path, *, marker: str, overwrite: bool) -> Path:
    """Where `path` leads, if that may be written; what dead processes left there is swept."""
    with writing(path):
        target = staging.resolve(path)
        if target.is_symlink():
            raise LangueError(f"{path} is a link that leads to itself; remove it, or choose another name")
        if target != path and not target.parent.is_dir():
            raise LangueError(
                f"{path} is a link to {target}, and {target.parent} does not exist; make that, or "
                "choose another name"
            )
        if not target.name:
            raise LangueError(f"{target} is the root of a file system; give the name of a folder in it")
        staging.sweep(target.parent, target.name, marker=marker)
        if not target.exists():
            return target
        if not target.is_dir():
            raise LangueError(f"{path} is a file; give the name of a folder to write")
        staging.sweep(target, staging.WITHIN, marker=marker)
        if not staging.contents(target):
            return target
        if not (target / marker).is_file():
            raise LangueError(f"{path} holds other files (no {marker} among them); choose another folder")
    if not overwrite:
        raise LangueError(f"{path} already exists; choose another name, or pass --overwrite")
    return target


def _mode(path: Path) -> int | None:
    """What kind of file is there, links followed; None where there is none."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _make_parents(folder: Path) -> list[Path]:
    """Make a folder and those above it; returned are those that were not there, the lowest first."""
    made: list[Path] = []
    while not folder.exists():
        made.append(folder)
        folder = folder.parent
    for one in reversed(made):
        one.mkdir(exist_ok=True)
    return made


def copy_folder(source: Path, to: Path) -> None:
    """Copy what a folder holds, for this user as he makes files: not the rights that its owner gave them."""
    to.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        copy = copy_folder if path.is_dir() else shutil.copyfile
        copy(path, to / path.name)


def _folder_mode(temporary: Path, path: Path) -> int:
    """As the folder that is replaced, or as the system makes folders there, setgid bit included."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    return 0o777 & ~_umask() | temporary.stat().st_mode & stat.S_ISGID


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON, atomically. NaN and infinity are refused: not JSON."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    with atomic_file(path) as file:
        file.write(text.encode())


def read_json(path: Path) -> Any:
    """The value in a JSON file; a `LangueError` names the file, and the line of a syntax error."""
    text = read_bytes(path)
    value = parse_json(text, path, constants=False)
    if b"\\ud" in text.lower():  # halves of characters, perhaps, which no text has and nothing can write
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise Damaged(f"{path} is not JSON: it has half of a character") from None
    return value


def parse_json(text: str | bytes, where: Path | str, *, constants: bool = True) -> Any:
    """The value that a JSON text stands for.

    Args:
        constants: whether NaN and infinity are read, which JSON does not know and others write, and a number
            that is too large for a float as one.

    Raises:
        Damaged: it is not JSON, or is made to break its reader: brackets too deep, a number too long.
            `where` and the line of the text are named.
    """
    try:
        if constants:
            return json.loads(text)
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise Damaged(f"{where} is not UTF-8: byte {error.start}") from error
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}: " if "\n" in error.doc.rstrip() else ""
        raise Damaged(f"{where} is not JSON: {line}{error.msg}") from error
    except RecursionError:
        raise Damaged(f"{where} is not JSON: its brackets are too many, one in another") from None
    except ValueError as error:  # a number of thousands of digits, NaN, infinity
        said = "it has a number of too many digits" if "digits" in str(error) else error
        raise Damaged(f"{where} is not JSON: {said}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"JSON knows no {name}")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number[:40]} is too large a number")
    return value


def read_bytes(path: Path) -> bytes:
    """A file whole; a `LangueError` names one that is not there."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise LangueError(f"cannot read {path}: {error.strerror or error}") from error


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
