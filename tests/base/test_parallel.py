"""The parallel map: order, failures, Ctrl-C, nesting, and how many workers there are."""

import _thread
import math
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from langue.base.errors import LangueError
from langue.base.parallel import cgroup_quota, default_workers, parallel_imap, parallel_map, processors

COUNTS = [1, 2, 5]


@pytest.mark.parametrize("workers", COUNTS)
def test_results_are_in_the_order_of_the_items(workers: int) -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0.0)
        return item * item

    expected = [item * item for item in range(20)]
    assert parallel_map(slow_first, range(20), workers=workers) == expected
    assert list(parallel_imap(slow_first, range(20), workers=workers)) == expected
    assert parallel_map(slow_first, [], workers=workers) == []


@pytest.mark.parametrize("workers", COUNTS)
def test_what_is_to_be_flushed_is_handed_out_before_the_next_item_is_asked_for(workers: int) -> None:
    asked = []

    def items() -> Iterator[int]:
        for item in range(6):
            asked.append(item)
            yield item

    results = parallel_imap(lambda item: item, items(), workers=workers, flush=lambda item: item == 1)
    assert [next(results), next(results)] == [0, 1]
    assert asked == [0, 1]
    assert list(results) == [2, 3, 4, 5]


def test_as_many_items_run_at_once_as_there_are_workers() -> None:
    together = threading.Barrier(5)  # broken unless five wait for each other
    assert parallel_map(lambda item: together.wait(timeout=30) >= 0, range(5), workers=5) == [True] * 5


@pytest.mark.parametrize("workers", COUNTS)
def test_the_failure_raised_is_that_of_the_first_item_that_fails(workers: int) -> None:
    done = []

    def fail(item: int) -> None:
        done.append(item)
        if item == 3:
            time.sleep(0.05)
        if item in (3, 4):
            raise ValueError(item)

    with pytest.raises(ValueError, match="3"):
        parallel_map(fail, range(1000), workers=workers)
    with pytest.raises(ValueError, match="3"):
        list(parallel_imap(fail, range(1000), workers=workers))
    assert len(done) < 200  # the rest was not begun


def test_a_map_within_a_map_is_serial() -> None:
    def threads(_: int) -> set[int]:
        return set(parallel_map(lambda _: threading.get_ident(), range(8), workers=4))

    inner = parallel_map(threads, range(4), workers=2)
    assert all(len(idents) == 1 for idents in inner)
    assert threading.get_ident() not in set.union(*inner)


def test_one_worker_is_the_caller_unless_it_has_to_be_initialized() -> None:
    assert parallel_map(lambda _: threading.get_ident(), range(3), workers=1) == [threading.get_ident()] * 3
    local = threading.local()

    def set_up() -> None:
        local.ready = True

    assert parallel_map(lambda _: local.ready, range(3), workers=1, initializer=set_up) == [True] * 3
    assert parallel_map(lambda _: local.ready, [], workers=1, initializer=set_up) == []
    assert not hasattr(local, "ready")


@pytest.mark.parametrize("seconds", [0.0, 0.0005, 0.02])
def test_ctrl_c_ends_a_map_and_leaves_no_worker_behind(seconds: float) -> None:
    running, done = [], []

    def work(item: int) -> None:
        running.append(item)
        if item == 0:
            time.sleep(seconds)
            _thread.interrupt_main()
        time.sleep(0.001)
        done.append(item)
        running.remove(item)

    for _ in range(20):  # the main thread may be anywhere
        done.clear()
        with pytest.raises(KeyboardInterrupt):
            parallel_map(work, range(2000), workers=2)
        assert not running
        assert len(done) < 1000
        assert parallel_map(abs, range(3), workers=2) == [0, 1, 2]


def test_a_failure_of_the_initializer_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        parallel_map(abs, range(5), workers=2, initializer=lambda: 1 / 0)


def test_a_system_without_another_thread_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def start(*arguments: Any) -> int:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(_thread.start_new_thread(*arguments))
        return started[-1]

    monkeypatch.setattr("langue.base.parallel.start_new_thread", start)
    with pytest.raises(LangueError, match="LANGUE_THREADS"):
        parallel_map(abs, range(5), workers=3)


def test_a_stream_is_read_no_further_than_needed() -> None:
    read = []

    def items() -> Iterator[int]:
        for item in range(100):
            read.append(item)
            yield item

    stream = parallel_imap(lambda item: item, items(), workers=2)
    assert next(stream) == 0
    assert len(read) <= 3
    stream.close()  # type: ignore[attr-defined]
    assert len(read) <= 3


def test_a_variable_sets_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUE_THREADS", "5")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert default_workers() == 5
    monkeypatch.setenv("LANGUE_THREADS", "many")
    with pytest.raises(LangueError, match="LANGUE_THREADS=many"):
        default_workers()
    monkeypatch.setenv("LANGUE_THREADS", "0")
    with pytest.raises(LangueError, match="1 or more"):
        default_workers()


def test_openmp_may_lower_the_number_but_not_raise_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LANGUE_THREADS", raising=False)
    monkeypatch.setattr("langue.base.parallel.processors", lambda: 8)
    for value, expected in {"3": 3, "4,2": 4, "64": 8, "": 8, "0": 8, "all": 8}.items():
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert default_workers() == expected, value


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no affinity")
def test_processors_are_those_of_the_affinity_and_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)))
    monkeypatch.setattr("langue.base.parallel.cgroup_quota", lambda: math.inf)
    assert processors() == 6
    monkeypatch.setattr("langue.base.parallel.cgroup_quota", lambda: 2.5)
    assert processors() == 3
    monkeypatch.setattr("langue.base.parallel.cgroup_quota", lambda: 0.1)
    assert processors() == 1


@pytest.mark.parametrize(
    ("line", "files", "expected"),
    [
        ("0::/", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b", {"a/cpu.max": "200000 100000\n", "a/b/cpu.max": "400000 100000\n"}, 2.0),
        ("4:cpu,io:/a", {"cpu/a/cpu.cfs_quota_us": "50000", "cpu/a/cpu.cfs_period_us": "100000"}, 0.5),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
        ("5:memory:/", {"cpu.max": "100000 100000\n"}, math.inf),
    ],
)
def test_the_quota_of_a_cgroup_is_read(
    tmp_path: Path, line: str, files: dict[str, str], expected: float
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"{line}\n")
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cgroup_quota(tmp_path) == expected


def test_without_cgroups_there_is_no_quota(tmp_path: Path) -> None:
    assert cgroup_quota(tmp_path) == math.inf
