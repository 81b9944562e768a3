"""Cross-entropy of a linear head without ever holding the logits of a whole batch."""

from typing import Any

import torch
import torch.nn.functional as F

CHUNK = 1024  # rows of logits at a time: 1024 x 8192 in float32 are 32 MB


class ChunkedCrossEntropy(torch.autograd.Function):
    """Mean of -log softmax(hidden weightᵀ)[target]; gradients are made on the way, chunk by chunk."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        head = weight.to(hidden.dtype)
        loss = hidden.new_zeros((), dtype=torch.float32)
        d_hidden = torch.empty_like(hidden)
        d_weight = torch.zeros_like(weight, dtype=torch.float32)
        for start in range(0, len(hidden), CHUNK):
            rows = hidden[start : start + CHUNK]
            target = targets[start : start + CHUNK, None]
            logits = (rows @ head.T).float()  # (chunk, V)
            normaliser = logits.logsumexp(-1, keepdim=True)
            loss += (normaliser - logits.gather(-1, target)).sum()
            d_logits = (logits - normaliser).exp_()
            d_logits.scatter_add_(-1, target, -torch.ones_like(target, dtype=d_logits.dtype))
            d_logits = d_logits.to(hidden.dtype)
            d_hidden[start : start + CHUNK] = d_logits @ head
            d_weight += d_logits.T @ rows
        ctx.save_for_backward(d_hidden, d_weight)
        return loss / len(hidden)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        d_hidden, d_weight = ctx.saved_tensors
        scale = gradients[0] / len(d_hidden)
        return d_hidden * scale.to(d_hidden.dtype), d_weight * scale, None


def head_cross_entropy(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy in nats.

    Args:
        hidden: `(rows, C)`; weight of the head: `(V, C)`; targets: `(rows,)`.
    """
    if not torch.is_grad_enabled():
        sums = [
            F.cross_entropy((rows @ weight.T.to(rows.dtype)).float(), target, reduction="sum")
            for rows, target in zip(torch.split(hidden, CHUNK), torch.split(targets, CHUNK), strict=True)
        ]
        return torch.stack(sums).sum() / len(hidden)
    loss: torch.Tensor = ChunkedCrossEntropy.apply(hidden, weight, targets)  # type: ignore[no-untyped-call]
    return loss
