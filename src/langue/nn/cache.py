"""Keys and values that attention has read, kept so that a text that grows is not read anew each time."""

import torch
from torch import Tensor, nn

Past = dict[nn.Module, tuple[Tensor, Tensor]]  # keys and values `(B, G, S, D)`, by layer


def extend(past: Past, layer: nn.Module, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values of a layer, those that it read before in front; they are kept for the next time."""
    if layer in past:
        k, v = (torch.cat(both, 2) for both in zip(past[layer], (k, v), strict=True))
    past[layer] = k, v
    return k, v
