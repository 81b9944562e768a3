"""Muon against torch's in float32, and what it orthogonalizes against the iteration in float64."""

from typing import Any

import pytest
import torch
from torch import nn

from langue.nn.machine_class import MachineClass
from langue.training import muon
from langue.training.config import TrainingConfig
from langue.training.muon import Muon, orthogonalize
from langue.training.optimizer import Optimizer

SHAPES = [(6, 6), (6, 6), (18, 6), (6, 24), (24, 6), (5, 1), (1, 1), (7, 11)]


@pytest.fixture
def in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's Muon, but for the type it asks gradients to take."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda tensor: tensor.clone())


def matrices() -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape)) for shape in SHAPES]


def run(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], begin: int, end: int) -> None:
    for step in range(begin, end):
        torch.manual_seed(1000 + step)
        for index, parameter in enumerate(parameters):
            parameter.grad = torch.randn_like(parameter) if (step, index) != (2, 3) else None
        optimizer.param_groups[0]["lr"] = 0.02 * (step + 1)
        optimizer.step()


def primed(optimizer: Muon) -> Muon:
    for parameter in optimizer.param_groups[0]["params"]:
        optimizer.state[parameter] = {"momentum_buffer": torch.zeros_like(parameter)}
    return optimizer


@pytest.mark.parametrize("stacked", [1, 300, muon.STACKED])
@pytest.mark.parametrize("nesterov", [True, False])
def test_steps_are_those_of_torch(
    nesterov: bool, stacked: int, in_float32: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Momentum, decay and length of a step, whatever the shape and however many go at a time."""
    monkeypatch.setattr(muon, "STACKED", stacked)
    ours, torchs = matrices(), matrices()
    settings = {"weight_decay": 0.3, "momentum": 0.9, "nesterov": nesterov}
    run(primed(Muon(ours, **settings)), ours, 0, 5)
    run(torch.optim.Muon(torchs, adjust_lr_fn="match_rms_adamw", **settings), torchs, 0, 5)
    for mine, other in zip(ours, torchs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_in_bfloat16_steps_are_near_those_of_torch() -> None:
    ours, torchs = matrices(), matrices()
    run(primed(Muon(ours, dtype=torch.bfloat16)), ours, 0, 1)
    run(torch.optim.Muon(torchs, adjust_lr_fn="match_rms_adamw"), torchs, 0, 1)
    for mine, other in zip(ours, torchs, strict=True):
        torch.testing.assert_close(mine, other, rtol=0.0, atol=0.02 * 0.2 * 24**0.5 * 0.05)


def test_state_goes_on_to_the_same_bits() -> None:
    straight, first = matrices(), matrices()
    run(primed(Muon(straight)), straight, 0, 6)
    optimizer = primed(Muon(first))
    run(optimizer, first, 0, 3)
    again = [nn.Parameter(parameter.detach().clone()) for parameter in first]
    resumed = Muon(again)
    resumed.load_state_dict(optimizer.state_dict())
    run(resumed, again, 3, 6)
    assert all(torch.equal(mine, other) for mine, other in zip(again, straight, strict=True))
    torchs = torch.optim.Muon(again)
    torchs.load_state_dict(resumed.state_dict())  # its names are torch's


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 16, 31), (2, 16, 32), (2, 16, 64), (1, 1, 40)])
@pytest.mark.parametrize("rank", [1, 4, 16])
@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e12])
def test_both_forms_are_the_iteration(shape: tuple[int, int, int], rank: int, scale: float) -> None:
    """The polynomial of Jordan's five iterations, applied to the singular values in float64."""
    N, R, C = shape
    torch.manual_seed(0)
    random = torch.randn(N, R, rank) @ torch.randn(N, rank, C)
    u, s, v = torch.linalg.svd(random.double(), full_matrices=False)
    s = s / s.norm(dim=-1, keepdim=True)
    a, b, c = muon.QUINTIC
    for _ in range(muon.ITERATIONS):
        s = a * s + b * s**3 + c * s**5
    steps = orthogonalize(scale * random, torch.float32)
    torch.testing.assert_close(steps.double(), (u * s.unsqueeze(-2)) @ v, rtol=0.0, atol=2e-3)
    assert not orthogonalize(0 * random, torch.float32).any()


@pytest.mark.parametrize("precision", ["auto", "bfloat16", "float32"])
@pytest.mark.parametrize("kind", [MachineClass.AVX2, MachineClass.AMX])
def test_it_multiplies_in_the_fast_type(
    kind: MachineClass, precision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langue.nn.precision.machine_class", lambda device: kind)
    network = nn.Sequential(nn.Linear(4, 4))
    config = TrainingConfig(optimizer="muon", precision=precision)
    (part,) = (part for part in Optimizer(network, config).parts if isinstance(part, Muon))
    fast = kind is MachineClass.AMX and precision != "float32"
    assert part.dtype == (torch.bfloat16 if fast else torch.float32)
