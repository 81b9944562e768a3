"""Cross-entropy of a linear head without ever holding the logits of a whole batch."""

from typing import Any

import torch
import torch.nn.functional as F

from langue.nn.fast.choices import chunk_size, pad_to, padded_width

CHUNK = 1 << 25  # logits held at once: 64 MB in bfloat16


def head_cross_entropy(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    bias: torch.Tensor | None = None,
    z_loss: float = 0.0,
) -> torch.Tensor:
    """Sum over the rows of -log softmax(hidden weightᵀ + bias)[target], in nats.

    Under autocast the products are made in its type, all else in float32.

    Args:
        hidden: `(rows, C)`; weight of the head: `(V, C)`; targets: `(rows,)`; bias: `(V,)`.
        z_loss: adds this times (log Z)² while training, which keeps log Z near 0 (Chowdhery et al.
            2022, section 5). It is no part of what is measured without gradients.
    """
    if torch.is_autocast_enabled(hidden.device.type):
        hidden = hidden.to(torch.get_autocast_dtype(hidden.device.type))
    if torch.is_grad_enabled():
        return ChunkedCrossEntropy.apply(hidden, weight, targets, bias, z_loss)  # type: ignore
    head = weight.to(hidden.dtype)
    total = hidden.new_zeros((), dtype=torch.float32)
    rows = rows_at_once(len(weight))
    for part, target in zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True):
        logits = (part @ head.T).float()
        total += F.cross_entropy(logits if bias is None else logits.add_(bias), target, reduction="sum")
    return total


def rows_at_once(V: int) -> int:
    """Rows of logits over V tokens that are held at once."""
    return max(CHUNK // V, 1)


class ChunkedCrossEntropy(torch.autograd.Function):
    """Gradients are made on the way forward, chunk by chunk, where the logits stood; backward scales them."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        bias: torch.Tensor | None,
        z_loss: float,
    ) -> torch.Tensor:
        (V, C), E = weight.shape, padded_width(weight.shape[1], hidden)
        head, x = (pad_to(part, len(part), E, dtype=hidden.dtype) for part in (weight, hidden))
        total = hidden.new_zeros((), dtype=torch.float32)
        d_x = torch.empty_like(x)
        d_head = None
        d_bias = None if bias is None else torch.zeros_like(bias, dtype=torch.float32)
        rows = rows_at_once(V)
        parts = zip(*(torch.split(whole, rows) for whole in (x, targets, d_x)), strict=True)
        for part, target, d_part in parts:
            logits = part @ head.T
            total += _into_gradient(logits, target, bias, z_loss, d_bias)
            torch.mm(logits, head, out=d_part)
            of_part = logits.T @ part
            d_head = of_part.float() if d_head is None else d_head.add_(of_part)
        assert d_head is not None  # of no rows there is one part, which is empty
        ctx.save_for_backward(d_x[:, :C], d_head[:, :C], d_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        d_hidden, d_weight, d_bias = ctx.saved_tensors
        scale = gradients[0]
        return (
            d_hidden * scale.to(d_hidden.dtype),
            d_weight * scale,
            None,
            None if d_bias is None else d_bias * scale,
            None,
        )


def _into_gradient(
    logits: torch.Tensor,
    targets: torch.Tensor,
    bias: torch.Tensor | None,
    z_loss: float,
    d_bias: torch.Tensor | None,
) -> torch.Tensor:
    """Put the gradient of the loss where the logits `(rows, V)` stand, and add it to the bias's; the loss.

    A few rows at a time, so that what passes over them in float32 stays in the cache: on a processor the
    passes took longer than the products.
    """
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
