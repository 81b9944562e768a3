"""Muon: a momentum whose matrices are made orthogonal before each step (Jordan et al. 2024).

The steps are those of `torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"` (Liu et al. 2025), which are
as long as AdamW's: one learning rate serves both. torch's multiplies in bfloat16 whatever the machine, a
hundred times as slow as float32 where that is emulated, and a matrix at a time.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan's: the steepest slope at 0 for which five iterations suffice
ITERATIONS = 5
STACKED = 1 << 22  # numbers orthogonalized at a time, 16 MB: beyond, matrices are large enough one by one


class Muon(torch.optim.Optimizer):
    """State of each parameter: `momentum_buffer`, as torch's Muon names it.

    Args:
        parameters: matrices.
        dtype: the type in which they are orthogonalized: the machine's fast one.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        defaults = {"lr": 1e-3, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov}
        super().__init__(parameters, defaults)
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            gradients = {parameter: parameter.grad for parameter in group["params"]}
            learning = [parameter for parameter, gradient in gradients.items() if gradient is not None]
            for alike in _of_one_shape(learning):
                updates = []
                for parameter in alike:
                    gradient = gradients[parameter]
                    mean = self.state[parameter]["momentum_buffer"].lerp_(gradient, 1 - momentum)
                    updates.append(gradient.lerp(mean, momentum) if group["nesterov"] else mean)
                stacked = torch.stack([_wide(update) for update in updates])
                steps = orthogonalize(stacked, self.dtype).to(stacked.dtype)
                for parameter, step in zip(alike, steps, strict=True):
                    parameter.mul_(1 - rate * group["weight_decay"])
                    step = step if parameter.shape == step.shape else step.mT
                    parameter.add_(step, alpha=-0.2 * max(parameter.shape) ** 0.5 * rate)


def orthogonalize(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """Matrices `(N, R, C)`, R ≤ C, with their singular values brought near 1 (0.7 to 1.2), in `dtype`.

    Five iterations X ← (a + b XXᵀ + c (XXᵀ)²) X. In float32, where C is at least twice R, the factors
    are multiplied among themselves, from XXᵀ alone, and X is multiplied once, by their product: the same
    polynomial, in 0.55 of the products for a C of 4 R. bfloat16 is too short for that.
    """
    a, b, c = QUINTIC
    # Of the Frobenius norm, so that no singular value is above 1.
    x = (matrices / matrices.norm(dim=(-2, -1), keepdim=True).clamp_(min=1e-7)).to(dtype)
    R, C = x.shape[-2:]
    if dtype == torch.float32 and C >= 2 * R:
        return _factor(x @ x.mT) @ x
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _factor(gram: Tensor) -> Tensor:
    """What the iterations multiply X by, from the XXᵀ `(N, R, R)` that they begin with."""
    factor = product = _polynomial(gram)
    for _ in range(ITERATIONS - 1):
        gram = factor @ (gram @ factor)  # XXᵀ of the X that the last iteration made
        factor = _polynomial(gram)
        product = factor @ product
    return product


def _polynomial(gram: Tensor) -> Tensor:
    a, b, c = QUINTIC
    factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    factor.diagonal(dim1=-2, dim2=-1).add_(a)
    return factor


def _wide(matrix: Tensor) -> Tensor:
    """The matrix, or its transpose if that has fewer rows."""
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix


def _of_one_shape(parameters: list[Tensor]) -> Iterator[list[Tensor]]:
    """Parameters that are one shape, or its transpose, as many as are orthogonalized at a time."""
    shapes = defaultdict(list)
    for parameter in parameters:
        shapes[_wide(parameter).shape].append(parameter)
    for shape, alike in shapes.items():
        count = max(STACKED // shape.numel(), 1)
        yield from (alike[begin : begin + count] for begin in range(0, len(alike), count))
