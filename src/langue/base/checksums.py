"""What a folder's description records of its files and of itself, by which damage is told."""

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec

from langue.base.bounds import NonNegativeInt
from langue.base.errors import Damaged
from langue.base.verified import unless_known

CHUNK_BYTES = 1 << 20  # bytes read at a time when hashing: large enough to hide the call, small in cache
DIGEST = "digest"  # the entry of a description that holds one of all others


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()


class FileRecord(msgspec.Struct):
    """What a folder's description tells of one of its files."""

    bytes: NonNegativeInt
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


# Names below the folder, and none above it or beside it.
FileName = Annotated[str, msgspec.Meta(pattern=r"^(?!.*\.\.(/|$))[^/\0][^\0]*$")]
FileRecords = dict[FileName, FileRecord]


def describe_files(folder: Path, *, below: bool = False) -> FileRecords:
    """Size and SHA-256 of every file of a folder, by name: what a manifest records.

    Args:
        below: those of its folders too.
    """
    files = sorted(file for file in (folder.rglob("*") if below else folder.iterdir()) if file.is_file())
    return {
        file.relative_to(folder).as_posix(): FileRecord(file.stat().st_size, sha256(file)) for file in files
    }


def verify_files(folder: Path, files: FileRecords, *, hashes: bool | None = True) -> None:
    """Compare a folder with what its manifest recorded by `describe_files`.

    Args:
        hashes: also read every file whole; None: those that were touched since they last were. Without it
            only presence and size are compared.

    Raises:
        Damaged: a file is missing, has another size, or other contents.
    """
    for name, expected in files.items():
        file = folder / name
        if not file.is_file():
            raise Damaged(f"{folder} is damaged: {name} is missing; make it again")
        size = file.stat().st_size
        if size != expected.bytes:
            raise Damaged(
                f"{folder} is damaged: {name} has {size} bytes, not {expected.bytes}; make it again"
            )
        if hashes is None:
            unless_known([file], ("sha256", expected.sha256), partial(_compare, folder, name, expected))
        elif hashes:
            _compare(folder, name, expected)


def _compare(folder: Path, name: str, expected: FileRecord) -> None:
    if sha256(folder / name) != expected.sha256:
        raise Damaged(f"{folder} is damaged: the contents of {name} were altered; make it again")


def sealed(description: dict[str, Any]) -> dict[str, Any]:
    """What describes a folder, with a digest of itself; the layout of its file does not count."""
    return {**description, DIGEST: _digest(description)}


def check_seal(description: dict[str, Any], path: Path) -> None:
    """Compare what describes a folder with the digest in it; what earlier versions wrote has none.

    Call this after all other checks: what is wrong is better named by itself.

    Raises:
        Damaged: it was altered.
    """
    if DIGEST in description and description[DIGEST] != _digest(description):
        raise Damaged(f"{path} is damaged: what stands in it was altered; make it again")


def _digest(description: dict[str, Any]) -> str:
    rest = json.loads(json.dumps({key: value for key, value in description.items() if key != DIGEST}))
    text = json.dumps(rest, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
