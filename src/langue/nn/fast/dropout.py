"""Dropout by shared random bits: four numbers take one random integer of 64 bits, where PyTorch draws one of
a Bernoulli distribution for each: on a processor that took a tenth of a step. This takes a fifth of that."""

import torch
from torch import Tensor

STEPS = 1 << 16  # p is rounded to one of so many


def bit_dropout(x: Tensor, p: float) -> Tensor:
    """What `F.dropout(x, p)` is, of other random numbers; x is on a CPU."""
    dropped = min(round(p * STEPS), STEPS - 1)
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    # Compared into the type of x: Booleans take four times as long to become one.
    kept = torch.empty(x.shape, dtype=x.dtype)
    torch.ge(bits.view(torch.int16)[: x.numel()].view(x.shape), dropped - STEPS // 2, out=kept)
    return x * kept.mul_(STEPS / (STEPS - dropped))
