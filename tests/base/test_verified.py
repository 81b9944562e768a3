"""What was verified is not read again, until anything of it was touched."""

import os
import shutil
import time
from pathlib import Path

import pytest

from langue.base import checksums, verified
from langue.base.checksums import describe_files, verify_files
from langue.base.errors import Damaged
from langue.base.verified import unless_known, verifying

pytestmark = pytest.mark.skipif(os.name != "posix", reason="ctime is the time of creation elsewhere")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(verified, "LEAST_BYTES", 1)
    monkeypatch.setattr(verified, "SETTLED", 0.0)
    return tmp_path / "cache" / "verified"


def runs(path: Path, what: object = "it") -> bool:
    """Whether a check is made once more."""
    asked: list[bool] = []
    unless_known([path], what, lambda: asked.append(True))  # type: ignore[arg-type]
    return bool(asked)


def test_a_check_is_made_once_and_again_after_any_touch(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    assert runs(file)
    assert not runs(file)
    assert runs(file, "something else")
    file.write_bytes(b"12346")
    assert runs(file)
    stat = file.stat()
    time.sleep(0.02)
    with file.open("r+b") as opened:  # the same file, size and time of its last change: ctime tells
        opened.write(b"9")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file.stat().st_mtime_ns == stat.st_mtime_ns
    assert runs(file)
    assert not runs(file)
    with verifying("whole"):
        assert runs(file)
    with verifying("nothing"):
        assert not runs(file, "never seen")
    assert runs(file, "never seen")
    copy = tmp_path / "b"
    shutil.copy2(file, copy)
    assert runs(copy)
    assert len(list(cache.iterdir())) == 6
    assert all(note.stat().st_size == 0 for note in cache.iterdir())


def test_what_failed_is_not_noted_nor_what_was_touched_meanwhile(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"12345")

    def refuse() -> None:
        raise Damaged("no")

    for _ in range(2):
        with pytest.raises(Damaged):
            unless_known([file], "it", refuse)
    unless_known([file], "it", lambda: file.write_bytes(b"123456"))
    assert runs(file)


def test_small_files_and_those_just_written_are_verified_every_time(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    monkeypatch.setattr(verified, "SETTLED", 60.0)
    assert runs(file) and runs(file)
    monkeypatch.setattr(verified, "SETTLED", 0.0)
    monkeypatch.setattr(verified, "LEAST_BYTES", 6)
    assert runs(file) and runs(file)


def test_a_cache_that_cannot_be_written_or_that_others_write_is_none(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    assert runs(file) and not runs(file)
    cache.chmod(0o777)
    assert runs(file)
    cache.chmod(0o700)
    assert not runs(file)
    shutil.rmtree(cache)
    cache.write_bytes(b"a file in its place")
    assert runs(file) and runs(file)


def test_old_notes_make_room(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified, "NOTES", 3)
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    for number in range(5):
        assert runs(file, number)
    assert len(list(cache.iterdir())) == 3


def test_hashes_are_compared_once_and_when_asked(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"12345")
    recorded = describe_files(folder)
    read: list[Path] = []
    real = checksums.sha256
    monkeypatch.setattr(checksums, "sha256", lambda path: (read.append(path), real(path))[1])
    for _ in range(3):
        verify_files(folder, recorded, hashes=None)
    assert len(read) == 1
    verify_files(folder, recorded)
    assert len(read) == 2
    (folder / "a").write_bytes(b"12346")
    for _ in range(2):
        with pytest.raises(Damaged, match="altered"):
            verify_files(folder, recorded, hashes=None)
