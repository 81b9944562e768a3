"""What a container and `ulimit` allow, read from made-up trees of both versions."""

import sys
import threading
from pathlib import Path

import pytest

from langue.base import limits
from langue.base.errors import LangueError
from langue.base.limits import GroupLimits, group_limits


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content + "\n")
    return root


def test_version_1(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "9:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n3:pids:/docker/1\n1:name=init:/x",
        "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "314572800",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        "sys/fs/cgroup/pids/docker/1/pids.max": "100",
    }
    assert group_limits(tree(tmp_path, files)) == GroupLimits(314572800, 100)


def test_version_2_and_a_limit_further_up(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/jobs/17",
        "sys/fs/cgroup/jobs/17/memory.max": "max",
        "sys/fs/cgroup/jobs/memory.max": "1000000000",
        "sys/fs/cgroup/jobs/17/pids.max": "max",
    }
    assert group_limits(tree(tmp_path, files)) == GroupLimits(1000000000, None)


def test_a_container_sees_its_group_as_the_root(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/../../outside", "sys/fs/cgroup/memory.max": "5000000"}
    assert group_limits(tree(tmp_path, files)).memory == 5000000


def test_no_groups_at_all(tmp_path: Path) -> None:
    assert group_limits(tmp_path) == GroupLimits(None, None)


def test_where_threads_cannot_be_started_every_library_does_with_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(limits, "_limited", lambda: True)
    for name in limits.ONE_THREAD:
        monkeypatch.setenv(name, "8")
    limits.fit_threads()
    assert limits.os.environ["RAYON_NUM_THREADS"] == "8"
    monkeypatch.setattr(threading.Thread, "start", refused)
    limits.fit_threads()
    assert limits.os.environ["RAYON_NUM_THREADS"] == "1"
    assert "going on with one" in caplog.text
    with pytest.raises(LangueError, match="ulimit -u"):
        limits.check_threads()
    monkeypatch.setattr(limits, "_limited", lambda: False)
    limits.check_threads()


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
def test_limits_are_read() -> None:
    assert isinstance(limits._limited(), bool)
