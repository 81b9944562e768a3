"""The type of matrix products: bfloat16 where a machine is faster in it, else float32."""

import contextlib
import platform
from functools import cache
from pathlib import Path

import torch


def autocast(device: torch.device, precision: str = "auto") -> contextlib.AbstractContextManager[object]:
    """Matrix products in a type, everything else in float32.

    Args:
        precision: "float32", "bfloat16", or "auto": the fast type of the machine.
    """
    dtype = matmul_dtype(device, precision)
    return torch.autocast(device.type, dtype) if dtype != torch.float32 else contextlib.nullcontext()


def matmul_dtype(device: torch.device, precision: str) -> torch.dtype:
    """The type of matrix products."""
    if precision == "auto":
        return fast_dtype(device) or torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


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
