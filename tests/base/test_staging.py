"""Outputs that are links, mount points or in the way, and what a process that died left beside them."""

import contextlib
import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from langue.base import files, staging
from langue.base.errors import LangueError


def write(path: Path, content: str = "new", *, overwrite: bool = False) -> None:
    with files.atomic_folder(path, marker="m", overwrite=overwrite) as folder:
        (folder / "a").write_text(content)
        (folder / "below").mkdir()
        (folder / "below" / "b").write_text(content)
        (folder / "m").write_text(content)


def is_whole(path: Path, content: str = "new") -> bool:
    texts = [(path / name).read_text() for name in ("a", "below/b", "m")]
    return texts == [content] * 3 and len(list(path.iterdir())) == 3


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """An empty mount point, as a container has its volume."""
    path = tmp_path / "volume"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "none", path], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("needs the right to mount")
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_mount_point_is_written_within(mounted: Path) -> None:
    files.check_free(mounted, marker="m", overwrite=False)
    write(mounted)
    assert is_whole(mounted)
    with pytest.raises(LangueError, match="already exists"):
        write(mounted)
    write(mounted, "other", overwrite=True)
    assert is_whole(mounted, "other")
    assert names(mounted.parent) == ["volume"]


def test_a_folder_mounted_from_its_own_file_system_is_one_too(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "a b").mkdir()
    command = ["mount", "--bind", tmp_path / "from", tmp_path / "a b"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        write(tmp_path / "a b")
        assert is_whole(tmp_path / "from")
    finally:
        subprocess.run(["umount", tmp_path / "a b"], check=True)


@pytest.mark.parametrize("stop", range(12))
def test_a_move_within_a_mount_point_is_ended_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Killed before any of its steps: the old folder or the new one, never a mixture with a marker."""
    monkeypatch.setattr(staging, "cannot_be_renamed", lambda path: True)
    path = tmp_path / "volume"
    path.mkdir()
    write(path, "old")
    child = os.fork()
    if not child:
        steps = iter(range(100))

        def kill(event: str, arguments: object) -> None:
            watched = event in ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree")
            if watched and next(steps) == stop:
                os.kill(os.getpid(), signal.SIGKILL)

        with files.atomic_folder(path, marker="m", overwrite=True) as folder:
            (folder / "below").mkdir()
            for name in ("a", "below/b", "m"):
                (folder / name).write_text("new")
            sys.addaudithook(kill)
        os._exit(0)
    os.waitpid(child, 0)
    if (path / "m").exists():
        kept = path / "m"
        assert (path / "a").read_text() == (path / "below" / "b").read_text() == kept.read_text()
    with contextlib.suppress(LangueError):
        files.check_free(path, marker="m", overwrite=False)
    assert is_whole(path, "new") or is_whole(path, "old")


def test_the_current_folder_may_be_the_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    number = tmp_path.stat().st_ino
    write(Path())
    assert is_whole(tmp_path) and tmp_path.stat().st_ino == number


def test_the_root_is_no_output() -> None:
    with pytest.raises(LangueError, match="root of a file system"):
        files.check_free(Path("/"), marker="m", overwrite=True)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "big").mkdir()
    target, link = tmp_path / "big" / "model", tmp_path / "link"
    target.mkdir()
    if overwrite:
        write(target, "old", overwrite=True)
    link.symlink_to("big/model")
    write(link, overwrite=overwrite)
    assert link.is_symlink() and is_whole(target)
    (tmp_path / "file").symlink_to("big/file")
    with files.atomic_file(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").is_symlink() and (tmp_path / "big" / "file").read_text() == "new"


def test_a_link_to_nothing_makes_what_it_names_or_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("there")
    files.check_free(tmp_path / "one", marker="m", overwrite=False)
    write(tmp_path / "one")
    assert is_whole(tmp_path / "there") and (tmp_path / "one").is_symlink()
    (tmp_path / "two").symlink_to("nowhere/deeper")
    with pytest.raises(LangueError, match=r"two is a link to .* does not exist"):
        files.check_free(tmp_path / "two", marker="m", overwrite=False)
    (tmp_path / "three").symlink_to("three")
    with pytest.raises(LangueError, match="leads to itself"):
        files.check_free(tmp_path / "three", marker="m", overwrite=True)


def test_a_long_name_is_written_or_refused_at_once(tmp_path: Path) -> None:
    write(tmp_path / ("西" * 85))  # 255 bytes
    assert is_whole(tmp_path / ("西" * 85))
    for name in ("m" * 256, "西" * 86, f"{'m' * 256}/below"):
        with pytest.raises(LangueError, match="too long"):
            files.check_free(tmp_path / name, marker="m", overwrite=False)
    assert len(names(tmp_path)) == 1


def test_a_parent_that_refuses_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder in it that may be written is written within."""

    def refused(parent: Path, name: str, plain: object = staging.make_folder) -> object:
        if parent == tmp_path:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return plain(parent, name)  # type: ignore[operator]

    monkeypatch.setattr(staging, "make_folder", refused)
    with pytest.raises(LangueError, match=f"nothing can be made in {tmp_path} .Permission denied"):
        files.check_free(tmp_path / "new", marker="m", overwrite=False)
    (tmp_path / "mine").mkdir()
    write(tmp_path / "mine")
    assert is_whole(tmp_path / "mine")


def test_a_single_file_that_is_mounted_is_written_into(tmp_path: Path) -> None:
    for name in ("from", "output"):
        (tmp_path / name).write_text("old, and longer")
    mount = ["mount", "--bind", tmp_path / "from", tmp_path / "output"]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        with files.atomic_file(tmp_path / "output") as file:
            file.write(b"new")
        assert (tmp_path / "from").read_text() == "new"
        assert names(tmp_path) == ["from", "output"]
    finally:
        subprocess.run(["umount", tmp_path / "output"], check=True)


def test_a_device_is_written_into(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        with files.atomic_file(tmp_path / "pipe") as file:
            file.write(b"through")
        assert reader.communicate()[0] == b"through"
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    with pytest.raises(LangueError, match="is a folder"), files.atomic_file(tmp_path):
        pass


def test_the_group_of_a_shared_folder_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o2775)
    write(tmp_path / "shared" / "model")
    assert (tmp_path / "shared" / "model").stat().st_mode & stat.S_ISGID
    (tmp_path / "private").mkdir(mode=0o700)
    write(tmp_path / "private")
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700


def test_a_read_that_fails_is_not_told_as_a_write(tmp_path: Path) -> None:
    with (
        pytest.raises(LangueError, match=r"gone.txt: No such file or directory; .*model was not written"),
        files.atomic_folder(tmp_path / "model", marker="m"),
    ):
        (tmp_path / "gone.txt").read_text()


def killed(code: str, folder: Path) -> None:
    """Run code that kills itself."""
    script = f"import os, signal\nfrom pathlib import Path\nfrom langue.base import files, staging\n{code}"
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, check=False)
    assert done.returncode == -signal.SIGKILL


DIE = "os.kill(os.getpid(), signal.SIGKILL)"


def test_what_a_dead_process_left_is_swept_by_the_next_call_for_the_same_output(tmp_path: Path) -> None:
    killed(f"with files.atomic_folder(Path('model'), marker='m') as f:\n (f / 'a').touch()\n {DIE}", tmp_path)
    killed(f"with files.atomic_file(Path('out')) as f:\n f.write(b'x')\n {DIE}", tmp_path)
    assert len(names(tmp_path)) == 2
    (tmp_path / ".model.mine.new").touch()
    (tmp_path / ".model.old").mkdir()
    write(tmp_path / "model.b")
    write(tmp_path / "model")
    with files.atomic_file(tmp_path / "out"):
        pass
    assert names(tmp_path) == [".model.mine.new", ".model.old", "model", "model.b", "out"]


def test_what_a_living_process_has_is_left_and_its_output_refused(tmp_path: Path) -> None:
    code = "from pathlib import Path\nfrom langue.base import files\n" + (
        "with files.claimed(Path('model')):\n print(flush=True)\n input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline()
        for path in (tmp_path / "model", tmp_path / "link"):
            (tmp_path / "link").unlink(missing_ok=True)
            (tmp_path / "link").symlink_to("model")
            with pytest.raises(LangueError, match=rf"written by another process \({other.pid}\)"):
                files.check_free(path, marker="m", overwrite=True)
        other.communicate(b"\n")
    write(tmp_path / "model")
    assert names(tmp_path) == ["link", "model"]


def test_two_that_began_together_end_as_one_output_and_a_refusal(tmp_path: Path) -> None:
    with (
        pytest.raises(LangueError, match="already exists"),
        files.atomic_folder(tmp_path / "model", marker="m") as slower,
    ):
        (slower / "m").write_text("slower")
        write(tmp_path / "model", "faster")
    assert is_whole(tmp_path / "model", "faster")
    assert names(tmp_path) == ["model"]


def test_replacing_has_no_instant_without_an_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux lets two names change places")
    monkeypatch.setattr(Path, "rename", lambda self, to: pytest.fail("a plain rename"))
    (tmp_path / "new").mkdir()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "m").touch()
    staging.exchange(tmp_path / "new", tmp_path / "old")
    assert names(tmp_path / "new") == ["m"] and not names(tmp_path / "old")


def test_elsewhere_the_next_call_puts_back_what_was_on_its_way_out(tmp_path: Path) -> None:
    write(tmp_path / "model", "old")
    killed(
        "staging._exchange = lambda new, old: False\n"
        "plain = Path.rename\n"
        "def rename(self, to):\n"
        f" if str(to) == 'model': {DIE}\n"
        " return plain(self, to)\n"
        "Path.rename = rename\n"
        "with files.atomic_folder(Path('model'), marker='m', overwrite=True) as f: (f / 'm').touch()",
        tmp_path,
    )
    assert not (tmp_path / "model").exists()
    with pytest.raises(LangueError, match="already exists"):
        files.check_free(tmp_path / "model", marker="m", overwrite=False)
    assert is_whole(tmp_path / "model", "old") and names(tmp_path) == ["model"]


def test_without_exchange_the_folders_change_places_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "_exchange", lambda new, old: False)
    write(tmp_path / "model", "old")
    write(tmp_path / "model", "new", overwrite=True)
    assert is_whole(tmp_path / "model") and names(tmp_path) == ["model"]


def test_without_locks_the_process_number_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on some network file systems; what another machine made is left alone there."""
    monkeypatch.setattr(staging, "_lock", lambda descriptor: False)
    ours, lock = staging.make_folder(tmp_path, "model")
    assert lock is None
    dead = tmp_path / f".model.{staging.HOST}-99999999.abcdef.new"
    foreign = tmp_path / ".model.000000-99999999.abcdef.new"
    dead.mkdir()
    foreign.mkdir()
    staging.sweep(tmp_path, "model")
    assert sorted([ours.name, foreign.name]) == names(tmp_path)


def test_a_full_disk_is_told_of_the_output_not_of_what_stands_beside_it(tmp_path: Path) -> None:
    """As a stage has it that writes within the folder that is to be the output, and as numpy tells it."""
    with (
        pytest.raises(
            LangueError, match=f"cannot write {tmp_path / 'out'}: the disk is full, or .*9 request"
        ),
        files.atomic_folder(tmp_path / "out", marker="m") as folder,
        files.writing(folder / "raw" / "0"),
    ):
        raise OSError("9 requested and 1 written")
    assert staging.output_of(tmp_path / "out" / "x") == tmp_path / "out" / "x"


def test_a_copy_is_this_users_whatever_the_rights_of_the_folder_were(tmp_path: Path) -> None:
    (tmp_path / "old" / "0").mkdir(parents=True)
    (tmp_path / "old" / "0" / "weights").write_text("x")
    for path in (tmp_path / "old" / "0" / "weights", tmp_path / "old" / "0", tmp_path / "old"):
        path.chmod(0o444 if path.is_file() else 0o555)
    files.copy_folder(tmp_path / "old", tmp_path / "new")
    assert (tmp_path / "new" / "0" / "weights").read_text() == "x"
    usual = tmp_path / "usual"
    usual.mkdir()
    for path in (tmp_path / "new", tmp_path / "new" / "0"):
        assert path.stat().st_mode == usual.stat().st_mode


def test_parents_made_for_an_output_that_fails_are_removed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), files.atomic_folder(tmp_path / "a" / "b" / "model", marker="m"):
        raise RuntimeError
    assert names(tmp_path) == []
    files.check_free(tmp_path / "a" / "b" / "model", marker="m", overwrite=False)
    assert names(tmp_path) == []


def test_a_file_that_others_made_is_replaced_only_on_request(tmp_path: Path) -> None:
    files.check_file_free(tmp_path / "a", overwrite=False)
    (tmp_path / "a").touch()
    with pytest.raises(LangueError, match="overwrite=True"):
        files.check_file_free(tmp_path / "a", overwrite=False)
    files.check_file_free(tmp_path / "a", overwrite=True)
    files.check_file_free(Path(os.devnull), overwrite=False)
    with pytest.raises(LangueError, match="is a folder"):
        files.check_file_free(tmp_path, overwrite=True)
    with pytest.raises(LangueError, match=r"cannot write"):
        files.check_file_free(tmp_path / "no" / "a", overwrite=False)
