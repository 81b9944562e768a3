"""Every choice that depends on the machine, in one place."""

import contextlib
import ctypes
import math
import platform
import sys
import time
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


# Dense bfloat16 FLOP/s by their makers' data sheets; of another device it is measured.
DATA_SHEET = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12}


@cache
def peak_flops(device: torch.device, precision: str = "auto") -> float:
    """FLOP/s of a device at its best: its data sheet's, else a large matrix product's."""
    dtype = matmul_dtype(device, precision)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        listed = [peak for part, peak in DATA_SHEET.items() if part in name]
        if listed and dtype == torch.bfloat16:
            return listed[0]
    return measured_flops(device, dtype)


def measured_flops(device: torch.device, dtype: torch.dtype, size: int = 1024, repeats: int = 5) -> float:
    """FLOP/s of the best of a few square matrix products: about 50 ms on two cores."""
    one = torch.ones(size, size, device=device, dtype=dtype)
    best = math.inf
    for _ in range(repeats):
        started = time.perf_counter()
        one @ one
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def explicit_attention(query: torch.Tensor) -> bool:
    """Whether matmul-softmax-matmul beats the fused kernel: 2.7 times on a CPU in bfloat16."""
    short = 1 < query.shape[-2] <= EXPLICIT_UP_TO
    return query.device.type == "cpu" and query.dtype == torch.bfloat16 and short


TILE = 32  # bfloat16 numbers that the matrix unit of a processor takes at a time
CACHED = 1 << 18  # float32 numbers, 1 MB, that stay in a core's cache from one pass over them to the next


def padded_width(width: int, like: torch.Tensor) -> int:
    """The width, or the next one fast in products: in bfloat16 on a CPU, 650 takes twice as long as 672."""
    return -(-width // TILE) * TILE if like.device.type == "cpu" and like.dtype == torch.bfloat16 else width


def pad_to(x: torch.Tensor, *shape: int, dtype: torch.dtype) -> torch.Tensor:
    """A tensor in a shape at least as large, filled up with zeros, and in another type."""
    if x.shape == shape:
        return x.to(dtype)
    filled = torch.zeros(shape, dtype=dtype, device=x.device)
    filled[tuple(map(slice, x.shape))] = x
    return filled


def chunk_size(x: torch.Tensor) -> int:
    """How many numbers several passes in a row are best made over at a time."""
    return CACHED if x.device.type == "cpu" else max(x.numel(), 1)


def use_stepwise_lstm(x: torch.Tensor) -> bool:
    """Whether our loop beats torch's kernel for an LSTM: on a CPU in bfloat16, where gradients are wanted."""
    return x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and torch.is_grad_enabled()


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
