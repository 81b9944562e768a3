"""Products of float32 matrices by oneDNN where torch makes them by MKL, which on AMD's processors goes no
further than AVX2: with the AVX-512 of Zen 5 twice the speed and more (`benchmarks/products.py`).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from langue.nn.fast.choices import use_onednn_products
from langue.nn.fast.function import Function

# In the gradient of a weight (`benchmarks/products.py`):
ROWS = 512  # at a time, up to 1.3 times as fast as all
SUMMED = 1 << 23  # numbers at most: to sum larger gradients costs more


def times(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a bᵀ + bias, `(…, K)` by `(N, K)`: both are read as they lie, transposed or not."""
    if not (b.is_contiguous() or b.T.is_contiguous()):
        b = b.contiguous()  # of a slice oneDNN's product takes a thousand times as long
    return torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], "")


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a bᵀ + bias, of matrices `(M, K)` and `(N, K)`, where no gradient is wanted."""
    if use_onednn_products(a, b):
        return times(a, b, bias)
    return a @ b.T if bias is None else torch.addmm(bias, a, b.T)


def outer(a: Tensor, b: Tensor) -> Tensor:
    """aᵀ b, of matrices `(M, N)` and `(M, K)`, where no gradient is wanted: the gradient of a weight."""
    return outer_times(a, b) if use_onednn_products(a.T, b.T) else a.T @ b


def outer_times(a: Tensor, b: Tensor) -> Tensor:
    """aᵀ b. Of two that are transposed oneDNN copies the first: the narrower one, for logits are large, or
    the one whose columns are slow to read as they lie. Some rows at a time stay in the cache."""
    narrow = a.shape[1] <= b.shape[1]
    copied, kept = (a, b) if _collides(a) or (narrow and not _collides(b)) else (b, a)
    pieces = 1 if a.shape[1] * b.shape[1] > SUMMED else max(len(a) // ROWS, 1)
    first, *others = zip(copied.tensor_split(pieces), kept.tensor_split(pieces), strict=True)
    total = times(first[0].T, first[1].T)
    for some, same in others:
        total += times(some.T, same.T)
    return total if copied is a else total.T.contiguous()


def _collides(matrix: Tensor) -> bool:
    """Whether a column's numbers share few sets of a cache. Widths of powers of two oneDNN copies itself."""
    width = matrix.shape[1]
    return width % 1024 == 0 and width & (width - 1) != 0


class OneDNNLinear(Function):
    """`linear` of `nn/linear.py`, of the same arguments."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return times(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), (of_x, of_weight, of_bias) = ctx.saved_tensors, ctx.needs_input_grad
        rows = dy.flatten(0, -2)
        return (
            times(dy, weight.T) if of_x else None,
            outer_times(rows, x.flatten(0, -2)) if of_weight else None,
            rows.sum(0) if of_bias else None,
        )
