import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from langue.base import files
from langue.base.errors import LangueError
from langue.base.files import atomic_file, check_file_free


def test_a_file_that_another_process_writes_is_refused(tmp_path: Path) -> None:
    """At the start where it is being written, at the end where it was written meanwhile."""
    path = tmp_path / "kept.txt"
    script = (
        "import sys; from pathlib import Path; from langue.base.files import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as file: print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin is not None and other.stdout is not None
        other.stdout.readline()
        for overwrite in (False, True):
            with pytest.raises(LangueError, match="being written by another process"):
                check_file_free(path, overwrite=overwrite)
        other.stdin.close()
    assert other.returncode
    check_file_free(path, overwrite=False)
    with pytest.raises(LangueError, match="already exists"), atomic_file(path, overwrite=False) as file:
        file.write(b"second")
        path.write_bytes(b"first")
    assert path.read_bytes() == b"first"
    assert [one.name for one in tmp_path.iterdir()] == ["kept.txt"]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.atomic_file(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    with files.atomic_file(path) as file:
        file.write(b"new")
    assert path.read_text() == "new"


def test_a_full_disk_keeps_the_old_file_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(LangueError, match="No space left"), files.atomic_file(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_output_that_is_an_input_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    text = tmp_path / "in" / "a.txt"
    text.write_text("a")
    os.link(text, tmp_path / "hard.txt")
    for output in (text, tmp_path / "hard.txt", tmp_path / "in"):
        with pytest.raises(LangueError, match=r"is read.*choose another output"):
            files.refuse_same(output, ["none.txt", text])
    with pytest.raises(LangueError, match=r"a\.txt is a file of .*in, which is read"):
        files.refuse_same(text, [tmp_path / "in"])
    files.refuse_same(tmp_path / "new.txt", [text, tmp_path / "in"])
    files.refuse_same(tmp_path / "in" / "new.txt", [tmp_path / "in"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_really_full_device(tmp_path: Path) -> None:
    with (
        pytest.raises(LangueError, match="No space left"),
        files.writing(tmp_path),
        Path("/dev/full").open("wb") as full,
    ):
        full.write(b"x" * 100_000)


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt), files.atomic_folder(path, marker="model.json") as folder:
        (folder / "half").write_text("x")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
    with files.atomic_folder(path, marker="model.json") as folder:
        (folder / "model.json").write_text("{}")
    assert (path / "model.json").read_text() == "{}"


def test_only_a_folder_of_the_same_kind_is_replaced_and_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "thesis"
    path.mkdir()
    (path / "chapter.txt").write_text("years of work")
    with (
        pytest.raises(LangueError, match="other files"),
        files.atomic_folder(path, marker="m", overwrite=True),
    ):
        pass
    assert (path / "chapter.txt").read_text() == "years of work"
    (path / "m").write_text("")
    with pytest.raises(LangueError, match="overwrite=True"), files.atomic_folder(path, marker="m"):
        pass
    with files.atomic_folder(path, marker="m", overwrite=True) as folder:
        (folder / "m").write_text("new")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis"]
    assert [p.name for p in path.iterdir()] == ["m"]


def test_an_empty_folder_may_be_taken(tmp_path: Path) -> None:
    with files.atomic_folder(tmp_path, marker="m") as folder:
        (folder / "m").write_text("new")
    assert (tmp_path / "m").read_text() == "new"


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    with pytest.raises(LangueError, match="is a file"), files.atomic_folder(path, marker="m", overwrite=True):
        pass


def test_json_is_strict_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"名": [1, None]})
    assert files.read_json(path) == {"名": [1, None]}
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(path, float("nan"))
    path.write_text("{\n  oops\n}")
    with pytest.raises(LangueError, match="line 2"):
        files.read_json(path)
    path.write_bytes(b'"\xff"')
    with pytest.raises(LangueError, match="not UTF-8"):
        files.read_json(path)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("[" * 100_000, "is not JSON: its brackets are too many"),
        ('{"a": ' * 50_000, "is not JSON: its brackets are too many"),
        ("1" * 5000, "is not JSON: .*digits"),
        ('{"a":\n NaN}', "is not JSON: JSON knows no NaN"),
        ('{"a":\n 1,\n}', "is not JSON: line 3: "),
        ("\udc80", "is not UTF-8: byte 0"),
        ('{"a": "\\ud83d"}', "is not JSON: it has half of a character"),
    ],
)
def test_json_that_breaks_readers_is_a_message(tmp_path: Path, contents: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(contents.encode("utf-8", "surrogateescape"))
    with pytest.raises(LangueError, match=message):
        files.read_json(path)
