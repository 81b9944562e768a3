"""Dropout (Srivastava et al. 2014): a share of what passes is set to zero while training.

PyTorch draws a number of a Bernoulli distribution for each place, one after the other: on a processor
that took a tenth of a step. Here four places share a random integer of 64 bits, a fifth of the time.
"""

import torch
import torch.nn.functional as F
from torch import nn

STEPS = 1 << 16  # a share is rounded to one of so many


def drop(x: torch.Tensor, p: float, training: bool = True) -> torch.Tensor:
    """x with that share of it set to zero at random, and the rest made larger, so that its mean stays."""
    if not training or p == 0:
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, p)
    dropped = min(round(p * STEPS), STEPS - 1)
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    # Compared into the type of x: Booleans take four times as long to become one.
    kept = torch.empty(x.shape, dtype=x.dtype)
    torch.ge(bits.view(torch.int16)[: x.numel()].view(x.shape), dropped - STEPS // 2, out=kept)
    return x * kept.mul_(STEPS / (STEPS - dropped))


class Dropout(nn.Module):
    """`drop` as a part of a network."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return drop(x, self.p, self.training)
