"""Products of float32 matrices by oneDNN where torch makes them by MKL, which on AMD's processors goes no
further than AVX2: with the AVX-512 of Zen 5 twice the speed and more (`benchmarks/products.py`).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from langue.nn.fast.choices import use_onednn_products


def times(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a bᵀ + bias, `(…, K)` by `(N, K)`: both are read as they lie, transposed or not."""
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
    """aᵀ b. Of two that are transposed oneDNN copies the first: the narrower one, for logits are large."""
    if a.shape[1] <= b.shape[1]:
        return times(a.T, b.T)
    return times(b.T, a.T).T.contiguous()


class OneDNNLinear(torch.autograd.Function):
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
