"""What class a machine is of, by what torch and the system say of it, and by the libraries' switches."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from langue.nn import machine_class
from langue.nn.machine_class import MachineClass, onednn_is_faster, processor_class

CPU = torch.device("cpu")


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Plays a processor: what torch says that it has, its kernels, its maker, its architecture."""

    def play(
        *features: str, kernels: str = "AVX512", maker: str = "AuthenticAMD", of: str = "x86_64"
    ) -> None:
        described = tmp_path / "cpuinfo"
        described.write_text(f"vendor_id : {maker}\n", encoding="utf-8")
        monkeypatch.setattr(machine_class, "Path", lambda path: described)
        monkeypatch.setattr(machine_class.platform, "machine", lambda: of)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: "amx" in features)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: "bf16" in features)
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: kernels)
        ops = SimpleNamespace(
            _is_mkldnn_acl_supported=lambda: "acl" in features,
            _is_mkldnn_bf16_supported=lambda: "bf16" in features,
            _linear_pointwise=None,
        )
        monkeypatch.setattr(machine_class.torch, "ops", SimpleNamespace(mkldnn=ops))

    for switch in machine_class.SWITCHES:
        monkeypatch.delenv(switch, raising=False)
    for asked in (processor_class, onednn_is_faster):
        asked.cache_clear()
    yield play
    for asked in (processor_class, onednn_is_faster):
        asked.cache_clear()


@pytest.mark.parametrize(
    ("features", "played", "expected"),
    [
        (("amx", "bf16"), {"maker": "GenuineIntel"}, MachineClass.AMX),
        (("bf16",), {"maker": "GenuineIntel"}, MachineClass.AVX512),  # half as fast as float32
        (("bf16",), {}, MachineClass.AVX512_BF16),
        ((), {}, MachineClass.AVX512),
        ((), {"kernels": "AVX2"}, MachineClass.AVX2),
        (("amx", "bf16"), {"kernels": "AVX2"}, MachineClass.AVX2),  # by ATEN_CPU_CAPABILITY
        ((), {"kernels": "DEFAULT"}, MachineClass.X86),
        (("acl", "bf16"), {"of": "aarch64", "kernels": "SVE256"}, MachineClass.ARM_BF16),
        (("bf16",), {"of": "arm64", "kernels": "DEFAULT"}, MachineClass.ARM),
        ((), {"of": "riscv64", "kernels": "DEFAULT"}, MachineClass.OTHER),
    ],
)
def test_the_class_of_a_processor(
    features: tuple[str, ...], played: dict[str, str], expected: MachineClass, processor: Any
) -> None:
    processor(*features, **played)
    assert machine_class.machine_class(CPU) is expected
    assert (expected.fast_dtype == torch.bfloat16) == (
        expected.value in ("AMX", "AVX-512 with bfloat16", "Arm with bfloat16")
    )


@pytest.mark.parametrize(
    ("switch", "value", "expected"),
    [
        ("ONEDNN_MAX_CPU_ISA", "avx512_core_bf16", MachineClass.AVX512_BF16),
        ("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_VNNI", MachineClass.AVX512),
        ("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_AMX_FP16", MachineClass.AMX),
        ("ONEDNN_MAX_CPU_ISA", "AVX10_1_512", MachineClass.AVX512_BF16),
        ("ONEDNN_MAX_CPU_ISA", "AVX2_VNNI_2", MachineClass.AVX2),
        ("ONEDNN_MAX_CPU_ISA", "SSE41", MachineClass.X86),
        ("ONEDNN_MAX_CPU_ISA", "ALL", MachineClass.AMX),
        ("DNNL_MAX_CPU_ISA", "AVX2", MachineClass.AVX2),
        ("MKL_ENABLE_INSTRUCTIONS", "AVX2", MachineClass.AVX2),
        ("MKL_ENABLE_INSTRUCTIONS", "AVX512_E4", MachineClass.AMX),
    ],
)
def test_the_switches_of_the_libraries_are_honored(
    switch: str, value: str, expected: MachineClass, processor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor("amx", "bf16")
    monkeypatch.setenv(switch, value)
    assert processor_class() is expected


@pytest.mark.parametrize(("major", "expected"), [(7, MachineClass.CUDA), (8, MachineClass.CUDA_BF16)])
def test_a_card_that_emulates_bfloat16_is_not_fast_in_it(
    major: int, expected: MachineClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    properties = SimpleNamespace(major=major)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    machine_class._cuda.cache_clear()
    assert machine_class.machine_class(torch.device("cuda")) is expected
    machine_class._cuda.cache_clear()


@pytest.mark.parametrize(
    ("features", "played", "expected"),
    [
        (("bf16",), {}, True),
        ((), {"kernels": "AVX2"}, True),
        ((), {"kernels": "DEFAULT"}, False),
        (("bf16",), {"maker": "GenuineIntel"}, False),  # whose own library makes them
        ((), {"of": "aarch64", "kernels": "DEFAULT"}, False),
    ],
)
def test_whose_float32_products_are_faster(
    features: tuple[str, ...],
    played: dict[str, str],
    expected: bool,
    processor: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    processor(*features, **played)
    assert onednn_is_faster() is expected
    monkeypatch.setattr(machine_class.torch.ops, "mkldnn", SimpleNamespace())  # another version of torch
    onednn_is_faster.cache_clear()
    assert not onednn_is_faster()
