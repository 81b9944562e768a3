"""The norm of a Transformer's vectors."""

from typing import Literal

from torch import nn


def norm(kind: Literal["layer", "rms"], C: int, eps: float, bias: bool) -> nn.Module:
    """Layer norm (Ba et al. 2016), or RMSNorm (Zhang and Sennrich 2019), which has a gain and no bias."""
    return nn.LayerNorm(C, eps, bias=bias) if kind == "layer" else nn.RMSNorm(C, eps)
