"""Optimizers against their formulas: who decays, what Muon makes orthogonal, what is averaged."""

from typing import Any

import pytest
import torch
from torch import nn

from langue.base.errors import LangueError
from langue.protocols import Vocabulary
from langue.training.average import Average
from langue.training.config import TrainingConfig
from langue.training.metrics import norms_by_layer
from langue.training.optimizer import Optimizer
from langue.training.tensors import weights
from langue.training.world import World


class Network(nn.Module):
    """An embedding that is the head too, a matrix inside, a gain, a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.vocabulary = Vocabulary(12, 0)
        self.embedding = nn.Embedding(12, 6)
        self.inner = nn.Linear(6, 6)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 12, bias=False)
        self.head.weight = self.embedding.weight
        self.separate = nn.Linear(6, 12)  # as wide as the vocabulary: a head


def with_gradients(value: float = 1.0) -> Network:
    torch.manual_seed(0)
    network = Network()
    for parameter in network.parameters():
        parameter.grad = value * torch.randn_like(parameter)
    return network


@pytest.mark.parametrize("kind", ["adamw", "muon", "sgd"])
def test_only_matrices_decay(kind: Any) -> None:
    network = with_gradients(0.0)
    before = {name: tensor.clone() for name, tensor in weights(network).items()}
    Optimizer(network, TrainingConfig(optimizer=kind, weight_decay=0.5)).step(0.1)
    for name, tensor in weights(network).items():
        matrix = name in ("embedding.weight", "inner.weight", "separate.weight")
        torch.testing.assert_close(tensor, before[name] * (1 - 0.1 * 0.5 if matrix else 1.0))


def test_adamw_is_its_formula() -> None:
    network = with_gradients()
    weight = network.inner.weight.detach().clone()
    optimizer = Optimizer(network, TrainingConfig(weight_decay=0.1))
    m, v = torch.zeros(6, 6), torch.zeros(6, 6)
    for t in range(1, 4):
        gradient = torch.randn(6, 6)
        network.inner.weight.grad = gradient.clone()
        optimizer.step(0.01)
        m, v = 0.9 * m + 0.1 * gradient, 0.95 * v + 0.05 * gradient**2
        update = (m / (1 - 0.9**t)) / ((v / (1 - 0.95**t)).sqrt() + 1e-8)
        weight = weight * (1 - 0.01 * 0.1) - 0.01 * update
        torch.testing.assert_close(network.inner.weight.detach(), weight)


def test_muon_moves_inner_matrices_and_only_them_along_orthogonal_steps() -> None:
    network = with_gradients()
    before = {name: tensor.clone() for name, tensor in weights(network).items()}
    optimizer = Optimizer(
        network,
        TrainingConfig(optimizer="muon", weight_decay=0.0, muon_lr_multiplier=2.0),
        network.vocabulary,
    )
    assert {key for key in optimizer.tensors() if "momentum" in key} == {"inner.weight.momentum_buffer"}
    optimizer.step(0.1)
    moved = (before["inner.weight"] - network.inner.weight.detach()) / (2.0 * 0.1 * 0.2 * 6**0.5)
    values = torch.linalg.svdvals(moved)  # near 1, by five steps of Newton and Schulz
    assert values.min() > 0.3 and values.max() < 1.4
    moved = (before["embedding.weight"] - network.embedding.weight.detach()) / 0.1
    torch.testing.assert_close(moved.abs(), torch.ones(12, 6), rtol=1e-3, atol=1e-3)  # Adam's first step


def test_muon_without_a_matrix_to_take_is_refused() -> None:
    network = nn.ParameterDict({"weight": torch.ones(3, 3)})
    with pytest.raises(LangueError, match="this network has none inside"):
        Optimizer(network, TrainingConfig(optimizer="muon"))


def test_clipping_and_norms() -> None:
    network = with_gradients()
    flat = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
    norms = norms_by_layer(network)
    assert sum(norm**2 for norm in norms.values()) ** 0.5 == pytest.approx(float(flat.norm()), rel=1e-5)
    assert set(norms) == {"embedding", "inner", "norm", "separate"}
    assert World().clip(network, 0.5) == pytest.approx(float(flat.norm()), rel=1e-5)
    assert sum(norm**2 for norm in norms_by_layer(network).values()) ** 0.5 == pytest.approx(0.5, rel=1e-4)


def test_averages_follow_the_weights() -> None:
    network = with_gradients()
    average = Average(network, 0.75)
    expected = network.inner.weight.detach().clone()
    for step in range(40):
        with torch.no_grad():
            network.inner.weight.add_(1.0)
        average.update(step)
        decay = min(0.75, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * network.inner.weight.detach()
    torch.testing.assert_close(average.tensors["inner.weight"], expected)
    live = network.inner.weight.detach().clone()
    with average.applied():
        torch.testing.assert_close(network.inner.weight.detach(), expected)
    assert torch.equal(network.inner.weight.detach(), live)
