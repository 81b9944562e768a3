"""The machine: its best device, how fast that is, and what its memory is told."""

import contextlib
import ctypes
import math
import sys
import time
from functools import cache

import torch

from langue.nn.fast.products import product
from langue.nn.precision import matmul_dtype


def best_device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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
    """FLOP/s of the best of a few square matrix products, as layers make them: about 50 ms on two cores."""
    one = torch.ones(size, size, device=device, dtype=dtype)
    best = math.inf
    for _ in range(repeats):
        started = time.perf_counter()
        product(one, one)
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


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
