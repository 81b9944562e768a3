"""What a prediction hangs on: the gradient with respect to what was read, times what was read."""

import torch

from langue.base.arrays import Floats


def saliency(x: torch.Tensor, log_prob: torch.Tensor) -> Floats:
    """x · ∂ log p / ∂x of each vector read (Li et al. 2016; Shrikumar et al. 2017): `(T, C)` to `(T,)`."""
    (gradient,) = torch.autograd.grad(log_prob, x)
    salient: Floats = (x * gradient).sum(-1).detach().float().cpu().numpy()
    return salient
