"""What `langue doctor` finds in a container, and of the cache of compiled code."""

import os
from pathlib import Path

import pytest
import torch

from langue.base.limits import GroupLimits
from langue.nn import precision
from langue.nn.machine_class import MachineClass
from langue.training import doctor, doctor_torch


@pytest.fixture
def small_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "group_limits", lambda: GroupLimits(300 << 20, None))
    monkeypatch.setattr(doctor_torch, "cgroup_quota", lambda: 0.5)
    monkeypatch.setattr(doctor_torch, "processors", lambda: 1)


def test_the_limits_of_a_container_are_seen(small_container: None, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = doctor._memory()
    assert memory.verdict == "note" and memory.value == "0.3 GB, all this container may use"
    monkeypatch.setattr(doctor_torch.torch, "get_num_threads", lambda: 2)
    processor = doctor_torch._processor()
    assert "the time of 0.5 in" in processor.value and "OMP_NUM_THREADS=1" in processor.advice


def test_the_cache_of_compiled_code_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from langue.base.compiled import numba
    from langue.nn.compiled import isa

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    assert str(tmp_path / "cache") in doctor._kept_code().value
    assert doctor._kept_code().value.endswith(isa.told())
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "none"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert f"kept in {tmp_path}/langue" in doctor._kept_code().value
    (tmp_path / "file").touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file"))
    finding = doctor._kept_code()
    assert finding.verdict == "note" and "NUMBA_CACHE_DIR" in finding.advice


@pytest.mark.skipif(os.name != "posix", reason="rights are no bits there")
@pytest.mark.parametrize("what", ["folder", "file"])
def test_kept_code_that_others_may_write_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    from langue.base.compiled import cache_folder, numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    assert doctor._kept_code().verdict == "ok"
    kept = cache_folder() / "f.code"
    kept.touch(mode=0o600)
    target = cache_folder() if what == "folder" else kept
    target.chmod(0o777)
    finding = doctor._kept_code()
    assert finding.verdict == "note" and f"{target} may be written by others" in finding.value


@pytest.mark.parametrize("kind", [MachineClass.AVX2, MachineClass.AMX])
def test_the_class_its_paths_and_its_peak_are_named(
    kind: MachineClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_torch, "machine_class", lambda device: kind)
    monkeypatch.setattr(precision, "machine_class", lambda device: kind)
    monkeypatch.setattr(doctor_torch, "measured_flops", lambda device, dtype: 131e9)
    findings = list(doctor_torch._class(torch.device("cpu")))
    values = {finding.name: finding.value for finding in findings if finding.verdict == "ok"}
    (missing,) = (finding.value for finding in findings if finding.verdict == "note")
    if kind is MachineClass.AVX2:
        assert values["class"] == "AVX2; products are made in float32"
        assert values["products"].startswith("float32 131 GFLOP/s")  # no word of what is emulated
        assert "LSTM by columns (needs bfloat16 on a processor)" in missing
    else:
        assert values["class"] == "AMX; products are made in bfloat16"
        assert values["products"].startswith("float32 131, bfloat16 131 GFLOP/s")
        assert "LSTM by columns" in values["paths"]
        assert "Muon by Gram matrices (needs float32)" in missing
