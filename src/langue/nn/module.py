"""A `torch.nn.Module` whose forward pass the trainer may run in another way."""

from collections.abc import Callable
from typing import Any

from torch import nn

Forward = Callable[..., Any]


class Module(nn.Module):
    """Calls `run_by`, where that is set, with what would be called and its inputs."""

    run_by: Forward | None = None

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        forward: Forward = super().__call__
        return forward(*inputs, **named) if self.run_by is None else self.run_by(forward, *inputs, **named)
