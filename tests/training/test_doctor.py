"""What `langue doctor` finds in a container, and of the cache of compiled code."""

from pathlib import Path

import pytest

from langue.base.limits import GroupLimits
from langue.training import doctor


@pytest.fixture
def small_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "group_limits", lambda: GroupLimits(300 << 20, None))
    monkeypatch.setattr(doctor, "cgroup_quota", lambda: 0.5)
    monkeypatch.setattr(doctor, "processors", lambda: 1)


def test_the_limits_of_a_container_are_seen(small_container: None, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = doctor._memory()
    assert memory.verdict == "note" and memory.value == "0.3 GB, all this container may use"
    monkeypatch.setattr(doctor.torch, "get_num_threads", lambda: 2)
    processor = doctor._processor()
    assert "the time of 0.5 in" in processor.value and "OMP_NUM_THREADS=1" in processor.advice


def test_the_cache_of_compiled_code_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from langue.base.compiled import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    assert str(tmp_path / "cache") in doctor._kept_code().value
    (tmp_path / "file").touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file"))
    finding = doctor._kept_code()
    assert finding.verdict == "note" and "NUMBA_CACHE_DIR" in finding.advice
