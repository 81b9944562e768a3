"""Attention on a processor by compiled code in float32 (`nn/compiled/attention.py`), with its gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from langue.base.arrays import Floats
from langue.base.parallel import default_workers, parallel_map
from langue.nn.compiled.attention import attend, attend_back
from langue.nn.fast.function import Function


class CompiledAttention(Function):
    """softmax(q kᵀ / √D) v of queries `(B, H, T, D)`, keys and values `(B, G, S, D)`; a query sees the keys
    from `begins` to before `ends`, `(B, T)` int32."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, begins: Tensor, ends: Tensor) -> Tensor:
        y, logs = _like(q), q.new_empty(q.shape[:3], dtype=torch.float32)
        _share(attend, begins, ends, _float(q), _float(k), _float(v), y, logs)
        y = y.to(q.dtype)
        ctx.save_for_backward(q, k, v, begins, ends, y, logs)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, begins, ends, y, logs = ctx.saved_tensors
        gradients = _like(q), _like(k), _like(v)
        read = _float(q), _float(k), _float(v), _float(y)
        _share(attend_back, begins, ends, *read, logs, _float(dy), *gradients)
        return *(part.to(q.dtype) for part in gradients), None, None


def _like(x: Tensor) -> Tensor:
    """`(B, H, T, D)` float32, the heads of a position side by side, as the layers beside take them."""
    B, H, T, D = x.shape
    return x.new_empty(B, T, H, D, dtype=torch.float32).transpose(1, 2)


def _float(x: Tensor) -> Tensor:
    """In float32, the numbers of a position side by side."""
    return x.float() if x.stride(-1) == 1 else x.float().contiguous()


def _share(function: Callable[..., None], begins: Tensor, ends: Tensor, *tensors: Tensor) -> None:
    """Call a function of units, some of them in each thread; tensors are q, k, v, y, logs and gradients."""
    q, k, v, y, logs, *gradients = tensors
    (B, H, T, D), (G, S) = q.shape, k.shape[1:3]
    strides = np.array([part.stride()[:3] for part in (q, k, v, y, *gradients)])
    seen = [part.contiguous().view(-1).numpy() for part in (begins, ends)]
    flat = [_flat(part) for part in (q, k, v, y, logs, *gradients)]
    workers = min(torch.get_num_threads(), default_workers(), B * G)
    shape, scale = np.array([B, H, G, T, S, D]), np.float32(D**-0.5)
    cuts = np.linspace(0, B * G, workers + 1).astype(np.int64)

    def work(part: int) -> None:
        function(cuts[part : part + 2], shape, strides, scale, *seen, *flat)

    parallel_map(work, range(workers), workers=workers)


def _flat(x: Tensor) -> Floats:
    """The numbers from the first to the last of a tensor, as they lie."""
    count = 1 + sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return x.detach().as_strided((count,), (1,), x.storage_offset()).numpy()
