"""Cross-entropy of a linear head, in nats, summed over rows.

loss = Σ  log Z - logits[target] + z_loss (log Z)²      logits = h Wᵀ + b      Z = Σ exp(logits)
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from langue.nn.fast.choices import rows_per_chunk, use_chunked_cross_entropy
from langue.nn.fast.cross_entropy import ChunkedCrossEntropy
from langue.nn.linear import linear


def cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, bias: Tensor | None = None, z_loss: float = 0.0
) -> Tensor:
    """The formula, which holds all logits `(rows, V)` at once."""
    logits = linear(hidden, weight).float()
    if bias is not None:
        logits += bias
    loss = F.cross_entropy(logits, targets, reduction="sum")
    return loss + z_loss * logits.logsumexp(-1).square().sum() if z_loss else loss


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, bias: Tensor | None = None, z_loss: float = 0.0
) -> Tensor:
    """The same, chunk by chunk; under autocast the products are made in its type, all else in float32.

    Args:
        hidden: `(rows, C)`; weight of the head: `(V, C)`; targets: `(rows,)`; bias: `(V,)`.
        z_loss: keeps log Z near 0 (Chowdhery et al. 2022, section 5); no part of it without gradients.
    """
    if torch.is_autocast_enabled(hidden.device.type):
        hidden = hidden.to(torch.get_autocast_dtype(hidden.device.type))
    if use_chunked_cross_entropy():
        return ChunkedCrossEntropy.apply(hidden, weight, targets, bias, z_loss)  # type: ignore
    weight, rows = weight.to(hidden.dtype), rows_per_chunk(len(weight))
    total = hidden.new_zeros((), dtype=torch.float32)
    for part, target in zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True):
        total += cross_entropy(part, weight, target, bias)
    return total
