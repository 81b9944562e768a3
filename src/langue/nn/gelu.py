"""GELU (Hendrycks and Gimpel 2016): x Φ(x), Φ the normal distribution, or its approximation by tanh."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from langue.nn.fast.choices import use_sigmoid_gelu
from langue.nn.fast.gelu import SigmoidGELU

Approximate = Literal["none", "tanh"]


def gelu(x: Tensor, approximate: Approximate = "none") -> Tensor:
    """What `F.gelu` is, of any shape."""
    if approximate == "tanh" and use_sigmoid_gelu(x):
        return SigmoidGELU.of(x)
    return F.gelu(x, approximate=approximate)
