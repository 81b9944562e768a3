"""The class of a machine: what its matrix products are fast in, by what torch offers, never by a measurement.

A run and its resumption must choose alike, and the same seed give the same bits. The switches by which
torch's libraries pretend to be on a lesser processor are honored, so that each class can be tried anywhere:
`ATEN_CPU_CAPABILITY` (torch's own kernels), `ONEDNN_MAX_CPU_ISA` (products in bfloat16) and
`MKL_ENABLE_INSTRUCTIONS` (products in float32). They are read when a process first asks, as the libraries do.
"""

import enum
import os
import platform
from functools import cache
from pathlib import Path

import torch


class MachineClass(enum.Enum):
    """What `langue doctor` names; the classes of x86-64 processors from the least up."""

    X86 = "x86-64 without AVX2"
    AVX2 = "AVX2"
    AVX512 = "AVX-512"
    AVX512_BF16 = "AVX-512 with bfloat16"
    AMX = "AMX"
    ARM = "Arm"
    ARM_BF16 = "Arm with bfloat16"
    CUDA = "CUDA before Ampere"
    CUDA_BF16 = "CUDA"
    OTHER = "another processor"

    @property
    def fast_dtype(self) -> torch.dtype:
        """The type that large matrix products are fastest in: 2 to 5 times as fast where it is bfloat16."""
        return torch.bfloat16 if self in FAST_IN_BFLOAT16 else torch.float32


FAST_IN_BFLOAT16 = {
    MachineClass.AVX512_BF16, MachineClass.AMX, MachineClass.ARM_BF16, MachineClass.CUDA_BF16
}  # fmt: skip
LADDER = [
    MachineClass.X86, MachineClass.AVX2, MachineClass.AVX512, MachineClass.AVX512_BF16, MachineClass.AMX
]  # fmt: skip
# A switch's value begins with one of these, the longest that fits → the best class that it leaves.
ONEDNN = {
    "SSE41": MachineClass.X86, "AVX": MachineClass.X86, "AVX2": MachineClass.AVX2,
    "AVX512_CORE": MachineClass.AVX512, "AVX512_CORE_BF16": MachineClass.AVX512_BF16,
    "AVX512_CORE_FP16": MachineClass.AVX512_BF16, "AVX512_CORE_AMX": MachineClass.AMX,
    "AVX10_1_512": MachineClass.AVX512_BF16, "AVX10_1_512_AMX": MachineClass.AMX,
    "AVX10_2_512": MachineClass.AVX512_BF16, "AVX10_2_512_AMX": MachineClass.AMX,
}  # fmt: skip
MKL = {"SSE4_2": MachineClass.X86, "AVX": MachineClass.X86, "AVX2": MachineClass.AVX2}
SWITCHES = {"ONEDNN_MAX_CPU_ISA": ONEDNN, "DNNL_MAX_CPU_ISA": ONEDNN, "MKL_ENABLE_INSTRUCTIONS": MKL}


def machine_class(device: torch.device) -> MachineClass:
    """The class of the machine that a device belongs to."""
    if device.type == "cuda":
        return _cuda(device.index)
    return processor_class()


@cache
def processor_class() -> MachineClass:
    """The class of this processor, or of the lesser one that the libraries' switches ask for."""
    architecture = platform.machine().lower()
    if architecture in ("arm64", "aarch64"):
        return MachineClass.ARM_BF16 if _arm_gains_by_bfloat16() else MachineClass.ARM
    if architecture not in ("x86_64", "amd64"):
        return MachineClass.OTHER
    offered, *bounds = _offered(), _kernels(), *map(_bound, SWITCHES)
    return LADDER[min(LADDER.index(one) for one in (offered, *bounds))]


@cache
def onednn_is_faster() -> bool:
    """Whether products of float32 are oneDNN's. torch makes them by MKL, which on an AMD processor stops at
    AVX2, at 0.8 of its peak; oneDNN reaches 0.9 of it, and of that of AVX-512."""
    if processor_class() not in (MachineClass.AVX2, MachineClass.AVX512, MachineClass.AVX512_BF16):
        return False
    libraries = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    return libraries and "AuthenticAMD" in _maker() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _maker() -> str:
    """What the system says of the processor."""
    described = Path("/proc/cpuinfo")
    return described.read_text(encoding="utf-8") if described.exists() else platform.processor()


def _offered() -> MachineClass:
    """AMX, or the AVX-512 bfloat16 of AMD. An Intel processor whose AMX is hidden by a hypervisor has
    the instruction too, and is half as fast in it as in float32 (181 against 343 GFLOP/s)."""
    if torch.cpu._is_amx_tile_supported():
        return MachineClass.AMX
    if torch.cpu._is_avx512_bf16_supported() and "GenuineIntel" not in _maker():
        return MachineClass.AVX512_BF16
    return MachineClass.AVX512  # or less: torch's kernels say


def _kernels() -> MachineClass:
    """The best class whose kernels torch has taken, `ATEN_CPU_CAPABILITY` considered."""
    taken = torch.backends.cpu.get_cpu_capability()
    if taken.startswith("AVX512"):
        return MachineClass.AMX
    return MachineClass.AVX2 if taken == "AVX2" else MachineClass.X86


def _bound(switch: str) -> MachineClass:
    """The best class that a library's switch leaves."""
    value, known = os.environ.get(switch, "").strip().upper(), SWITCHES[switch]
    fitting = [prefix for prefix in known if value == prefix or value.startswith(prefix + "_")]
    return known[max(fitting, key=len)] if fitting else MachineClass.AMX


def _arm_gains_by_bfloat16() -> bool:
    """Where torch is built with Arm's own library: Linux on Neoverse V1 and later. Apple's processors are
    faster in float32, which their library multiplies in the matrix unit."""
    acl, bfloat16 = torch.ops.mkldnn._is_mkldnn_acl_supported, torch.ops.mkldnn._is_mkldnn_bf16_supported
    return bool(acl()) and bool(bfloat16())


@cache
def _cuda(index: int | None) -> MachineClass:
    """Before compute capability 8 torch says that it knows bfloat16, and emulates it."""
    major = torch.cuda.get_device_properties(index or 0).major
    return MachineClass.CUDA_BF16 if major >= 8 or torch.version.hip else MachineClass.CUDA
