"""Every choice that depends on the machine, in one place."""

import contextlib
import ctypes
import platform
import sys
from functools import cache
from pathlib import Path

import torch

EXPLICIT_UP_TO = 512  # context on a CPU: beyond, the (T, T) matrices cost more than they save


def best_device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fast_dtype(device: torch.device) -> torch.dtype | None:
    """bfloat16 where matrix products are faster in it (2 to 5 times), else None.

    By what the processor is, not by a measurement: a run and its resumption must choose alike.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    return torch.bfloat16 if _cpu_gains_by_bfloat16() else None


@cache
def _cpu_gains_by_bfloat16() -> bool:
    """AMX, or the AVX-512 bfloat16 of AMD. An Intel processor whose AMX is hidden by a hypervisor has
    the instruction too, and is half as fast in it as in float32 (181 against 343 GFLOP/s)."""
    if torch.cpu._is_amx_tile_supported():
        return True
    described = Path("/proc/cpuinfo")
    maker = described.read_text(encoding="utf-8") if described.exists() else platform.processor()
    return bool(torch.cpu._is_avx512_bf16_supported()) and "GenuineIntel" not in maker


def autocast(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Matrix products in the fast type of the machine, everything else in float32."""
    dtype = fast_dtype(device)
    return torch.autocast(device.type, dtype) if dtype else contextlib.nullcontext()


def explicit_attention(query: torch.Tensor) -> bool:
    """Whether matmul-softmax-matmul beats the fused kernel: 2.7 times on a CPU in bfloat16."""
    return query.device.type == "cpu" and query.dtype == torch.bfloat16 and query.shape[-2] <= EXPLICIT_UP_TO


def keep_freed_memory() -> None:
    """Tell glibc to keep large freed blocks mapped: saves a storm of page faults in each step (1.2×)."""
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4
        libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_trim_threshold, 2**31 - 1)
        libc.mallopt(m_top_pad, 256 << 20)
