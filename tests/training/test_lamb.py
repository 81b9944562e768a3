"""LAMB against the lines of its algorithm, a number at a time."""

import math

import pytest
import torch
from torch import nn

from langue.training.config import TrainingConfig
from langue.training.lamb import LAMB
from langue.training.optimizer import Optimizer


def by_hand(weights: list[float], gradients: list[list[float]], rate: float, decay: float) -> list[float]:
    """Algorithm 2 of the paper, with its scaling function the identity."""
    m, v = [0.0] * len(weights), [0.0] * len(weights)
    for t, gradient in enumerate(gradients, 1):
        m = [0.9 * a + 0.1 * g for a, g in zip(m, gradient, strict=True)]
        v = [0.95 * a + 0.05 * g * g for a, g in zip(v, gradient, strict=True)]
        r = [a / (1 - 0.9**t) / (math.sqrt(b / (1 - 0.95**t)) + 1e-6) for a, b in zip(m, v, strict=True)]
        u = [a + decay * w for a, w in zip(r, weights, strict=True)]
        ratio = 1.0
        if decay:
            ratio = math.dist(weights, [0] * len(weights)) / math.dist(u, [0] * len(u))
        weights = [w - rate * ratio * a for w, a in zip(weights, u, strict=True)]
    return weights


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_steps_are_those_of_the_algorithm(decay: float) -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(3, 2))
    start, gradients = weight.flatten().tolist(), torch.randn(5, 3, 2)
    optimizer = LAMB([{"params": [weight], "weight_decay": decay}], betas=(0.9, 0.95))
    optimizer.state[weight] = {
        "exp_avg": torch.zeros(3, 2), "exp_avg_sq": torch.zeros(3, 2), "step": torch.zeros(())
    }  # fmt: skip
    optimizer.param_groups[0]["lr"] = 0.05
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
    expected = by_hand(start, [row.flatten().tolist() for row in gradients], 0.05, decay)
    torch.testing.assert_close(weight.detach().flatten(), torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_a_step_is_as_long_as_the_weights_are_large() -> None:
    """Whatever the size of the gradient; a bias takes Adam's step."""
    torch.manual_seed(0)
    network = nn.Linear(4, 4)
    before = {name: part.detach().clone() for name, part in network.named_parameters()}
    optimizer = Optimizer(network, TrainingConfig(optimizer="lamb", weight_decay=1e-9))
    (1e4 * network(torch.randn(3, 4)).square().sum()).backward()
    optimizer.step(0.1)
    moved = (network.weight.detach() - before["weight"]).norm()
    assert float(moved) == pytest.approx(0.1 * float(before["weight"].norm()), rel=1e-4)
    bias = (network.bias.detach() - before["bias"]).abs()
    torch.testing.assert_close(bias, torch.full_like(bias, 0.1), rtol=1e-4, atol=0)
    assert {key.split(".")[-1] for key in optimizer.tensors()} == {"exp_avg", "exp_avg_sq", "step"}


def test_weights_of_nothing_still_learn() -> None:
    weight = nn.Parameter(torch.zeros(2, 2))
    optimizer = Optimizer(nn.ParameterDict({"w": weight}), TrainingConfig(optimizer="lamb"))
    weight.grad = torch.ones(2, 2)
    optimizer.step(0.1)
    torch.testing.assert_close(weight.detach(), torch.full((2, 2), -0.1), rtol=1e-4, atol=0)
