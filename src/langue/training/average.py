"""The moving average of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from langue.training.tensors import copy, weights


class Average:
    """Exponential moving average of the weights: less noise than the last ones (Polyak 1992).

    Args:
        decay: between 0 and 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.live = weights(model)
        self.tensors = {name: tensor.clone() for name, tensor in self.live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))  # early on the first weights weigh too much
        for name, tensor in self.tensors.items():
            if tensor.is_floating_point():
                tensor.lerp_(self.live[name], 1 - decay)
            else:
                tensor.copy_(self.live[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The averaged weights stand in the model while the block runs."""
        kept = {name: tensor.clone() for name, tensor in self.live.items()}
        copy(self.tensors, self.live)
        try:
            yield
        finally:
            copy(kept, self.live)
