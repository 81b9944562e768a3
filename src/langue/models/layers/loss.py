"""Cross-entropy of a linear head without ever holding the logits of a whole batch."""

from typing import Any

import torch
import torch.nn.functional as F

CHUNK = 1024  # rows of logits at a time: 1024 x 8192 in float32 are 32 MB


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
    for rows, target in zip(torch.split(hidden, CHUNK), torch.split(targets, CHUNK), strict=True):
        total += F.cross_entropy(_logits(rows, head, bias), target, reduction="sum")
    return total


def _logits(rows: torch.Tensor, head: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    if bias is not None and rows.dtype == bias.dtype:
        return torch.addmm(bias, rows, head.T)
    logits = (rows @ head.T).float()
    return logits if bias is None else logits.add_(bias)


class ChunkedCrossEntropy(torch.autograd.Function):
    """Gradients are made on the way forward, chunk by chunk; backward only scales them."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        bias: torch.Tensor | None,
        z_loss: float,
    ) -> torch.Tensor:
        head = weight.to(hidden.dtype)
        total = hidden.new_zeros((), dtype=torch.float32)
        d_hidden = torch.empty_like(hidden)
        d_weight = torch.zeros_like(weight, dtype=torch.float32)
        d_bias = None if bias is None else torch.zeros_like(bias, dtype=torch.float32)
        for start in range(0, len(hidden), CHUNK):
            rows = hidden[start : start + CHUNK]
            target = targets[start : start + CHUNK, None]
            logits = _logits(rows, head, bias)  # (chunk, V)
            log_z = logits.logsumexp(-1, keepdim=True)
            total += (log_z - logits.gather(-1, target) + z_loss * log_z.square()).sum()
            d_logits = logits.sub_(log_z).exp_()  # softmax
            if z_loss:
                d_logits *= 1 + 2 * z_loss * log_z
            d_logits.scatter_add_(-1, target, -torch.ones_like(log_z))
            if d_bias is not None:
                d_bias += d_logits.sum(0)
            d_logits = d_logits.to(hidden.dtype)
            torch.mm(d_logits, head, out=d_hidden[start : start + CHUNK])
            if rows.dtype == d_weight.dtype:
                d_weight.addmm_(d_logits.T, rows)
            else:
                d_weight += d_logits.T @ rows
        ctx.save_for_backward(d_hidden, d_weight, d_bias)
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
