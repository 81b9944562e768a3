"""LAMB: Adam whose steps are as long as the weights are large, layer by layer (You et al. 2020, algorithm 2).

It lets batches grow to tens of thousands of rows. Biases and gains of norms, which do not decay, take
steps of plain Adam, as in the released code.
"""

from collections.abc import Callable
from typing import Any

import torch


class LAMB(torch.optim.Optimizer):
    """State of each parameter: `exp_avg`, `exp_avg_sq` and `step`, as AdamW names them.

    Args:
        groups: as PyTorch's optimizers take them; a group with `weight_decay` 0 is not scaled.
    """

    def __init__(
        self, groups: list[dict[str, Any]], *, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-6
    ) -> None:
        super().__init__(groups, {"lr": 1e-3, "betas": betas, "eps": eps, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                state["step"] += 1
                mean = state["exp_avg"].lerp_(parameter.grad, 1 - beta1)
                square = state["exp_avg_sq"].mul_(beta2)
                square.addcmul_(parameter.grad, parameter.grad, value=1 - beta2)
                # Both are means of what was seen so far, once corrected for their start at 0.
                wide = (square / (1 - beta2 ** state["step"])).sqrt_().add_(group["eps"])
                update = mean / (1 - beta1 ** state["step"]) / wide
                if group["weight_decay"]:
                    update.add_(parameter, alpha=group["weight_decay"])
                    size, length = parameter.norm(), update.norm()
                    update *= torch.where((size > 0) & (length > 0), size / length, torch.ones_like(size))
                parameter.sub_(update * group["lr"])
