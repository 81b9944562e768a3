"""Cross-entropy of a linear head without ever holding the logits of a whole batch.

Gradients are made on the way forward, chunk by chunk, where the logits stood; backward scales them.
"""

from typing import Any

import torch
from torch import Tensor

from langue.nn.fast.choices import chunk_size, pad_to, padded_width, rows_per_chunk
from langue.nn.fast.products import outer, product


class ChunkedCrossEntropy(torch.autograd.Function):
    """`cross_entropy` of `nn/cross_entropy.py`, of the same arguments."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, bias: Tensor | None, z_loss: float
    ) -> Tensor:
        (V, C), E = weight.shape, padded_width(weight.shape[1], hidden)
        head, x = (pad_to(part, len(part), E, dtype=hidden.dtype) for part in (weight, hidden))
        total = hidden.new_zeros((), dtype=torch.float32)
        d_x, d_head = torch.empty_like(x), None
        d_bias = None if bias is None else torch.zeros_like(bias, dtype=torch.float32)
        chunks = (torch.split(whole, rows_per_chunk(V)) for whole in (x, targets, d_x))
        for part, target, d_part in zip(*chunks, strict=True):
            logits = product(part, head)
            total += _into_gradient(logits, target, bias, z_loss, d_bias)
            d_part.copy_(product(logits, head.T))
            of_part = outer(logits, part)
            d_head = of_part.float() if d_head is None else d_head.add_(of_part)
        assert d_head is not None  # of no rows there is one chunk, which is empty
        ctx.save_for_backward(d_x[:, :C], d_head[:, :C], d_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_weight, d_bias = (
            None if part is None else part * gradients[0].to(part.dtype) for part in ctx.saved_tensors
        )
        return d_hidden, d_weight, None, d_bias, None


def _into_gradient(
    logits: Tensor, targets: Tensor, bias: Tensor | None, z_loss: float, d_bias: Tensor | None
) -> Tensor:
    """The loss; its gradient is put where the logits `(rows, V)` stand, and added to the bias's. A few rows
    at a time, which stay in the cache from pass to pass: passes took longer than products on a CPU."""
    total = logits.new_zeros((), dtype=torch.float32)
    rows = max(chunk_size(logits) // logits.shape[1], 1)
    for part, target in zip(torch.split(logits, rows), torch.split(targets[:, None], rows), strict=True):
        p = part.float()
        if bias is not None:
            p += bias
        total -= p.gather(-1, target).sum()
        largest = p.amax(-1, keepdim=True)
        z = p.sub_(largest).exp_().sum(-1, keepdim=True)
        log_z = largest + z.log()
        total += (log_z + z_loss * log_z.square()).sum()
        p *= (1 + 2 * z_loss * log_z) / z
        p.scatter_add_(-1, target, -torch.ones_like(z))
        if d_bias is not None:
            d_bias += p.sum(0)
        part.copy_(p)  # in float32 it is there already
    return total
