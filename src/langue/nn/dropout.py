"""Dropout (Srivastava et al. 2014): while training, x is 0 with probability p, and x / (1 - p) else."""

import torch.nn.functional as F
from torch import Tensor, nn

from langue.nn.fast.choices import use_bit_dropout
from langue.nn.fast.dropout import bit_dropout


def drop(x: Tensor, p: float, training: bool = True) -> Tensor:
    """x with each of its numbers dropped with probability p, by itself."""
    if not training or p == 0:
        return x
    return bit_dropout(x, p) if use_bit_dropout(x) else F.dropout(x, p)


class Dropout(nn.Module):
    """`drop` as a part of a network."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return drop(x, self.p, self.training)
