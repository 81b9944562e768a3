"""The weights that learning begins with, from a random stream of their own: same seed, same bits."""

from collections.abc import Callable

import torch
from torch import nn

from langue.base.seeds import derive


@torch.no_grad()
def normal_weights(model: nn.Module, seed: int, std: Callable[[str], float] = lambda _: 0.02) -> None:
    """Matrices ~ N(0, std(name)²), gains of norms 1, biases 0."""
    draw = torch.Generator().manual_seed(derive(seed, "weights") % 2**63)
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            parameter.fill_(1.0 if name.endswith("weight") else 0.0)
        else:
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * std(name))


@torch.no_grad()
def uniform_weights(model: nn.Module, seed: int, spread: float) -> None:
    """All weights, biases too, uniform in ± spread."""
    draw = torch.Generator().manual_seed(derive(seed, "weights") % 2**63)
    for parameter in model.parameters():
        parameter.copy_((torch.rand(parameter.shape, generator=draw) * 2 - 1) * spread)
