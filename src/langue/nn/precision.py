"""The type of matrix products: bfloat16 where a machine is faster in it, else float32."""

import contextlib

import torch

from langue.base.progress import log
from langue.nn.machine_class import machine_class


def autocast(device: torch.device, precision: str = "auto") -> contextlib.AbstractContextManager[object]:
    """Matrix products in a type, everything else in float32.

    Args:
        precision: "float32", or "auto" and "bfloat16": the fast type of the machine.
    """
    dtype = matmul_dtype(device, precision)
    return torch.autocast(device.type, dtype) if dtype != torch.float32 else contextlib.nullcontext()


def matmul_dtype(device: torch.device, precision: str) -> torch.dtype:
    """The type of matrix products; bfloat16 where it is fast alone, and float32 where it is emulated."""
    return torch.float32 if precision == "float32" else fast_dtype(device)


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where matrix products are faster in it, else float32."""
    return machine_class(device).fast_dtype


def warn_if_slow(device: torch.device, precision: str) -> None:
    """Say that a type was asked for in which this machine only emulates products."""
    kind = machine_class(device)
    if precision == "bfloat16" and kind.fast_dtype != torch.bfloat16:
        log.warning(f"bfloat16 is not fast on this machine ({kind.value}): products are made in float32")
