"""The neural HMM: its gradient against autograd through a written-out forward pass, and the whole road."""

from pathlib import Path

import numpy as np
import pytest
import torch

import langue
from langue.evaluation.checks import check
from langue.models.hmm.neural import NeuralHMMConfig, create, load
from langue.models.protocol import Causal, Vocabulary
from langue.tokens.batches import Batch

V = 9
CONFIG = NeuralHMMConfig(states=6, width=8, dropout=0.0, context=5)


def batch() -> Batch:
    """Two rows: a document and the beginning of one; the inside of one and a document."""
    targets = np.array([[3, 4, 0, 5, 6], [7, 0, 8, 2, 0]])
    inputs = np.array([[0, 3, 4, 0, 5], [1, 7, 0, 8, 2]])
    segments = np.array([[0, 0, 0, 1, 1], [4, 4, 5, 5, 5]])
    return Batch(inputs, targets, np.zeros_like(targets), segments)


def test_loss_and_gradient_are_those_of_the_written_out_sum() -> None:
    model = create(CONFIG, Vocabulary(V, 0), 0).train()
    loss = model.loss(batch())
    loss.backward()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    start, middle, transition, emission = model.logs(torch.arange(CONFIG.states))
    expected = torch.zeros(())
    for ids, first in (([3, 4, 0], start), ([5, 6], start), ([7, 0], middle), ([8, 2, 0], start)):
        message = first + emission[ids[0]]
        for id in ids[1:]:
            message = (message[:, None] + transition).logsumexp(0) + emission[id]
        expected = expected - message.logsumexp(0)
    expected.backward()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, parameter in model.named_parameters():
        assert torch.allclose(found[name], parameter.grad, atol=1e-5), name


def test_state_dropout_leaves_a_proper_hmm() -> None:
    model = create(NeuralHMMConfig(states=8, width=4, dropout=0.5, context=5), Vocabulary(V, 0), 0)
    torch.manual_seed(0)
    losses = {round(float(model.train().loss(batch()).detach()), 4) for _ in range(4)}
    assert len(losses) > 1
    logs = model.logs(torch.tensor([1, 4, 6]))
    assert logs.transition.exp().sum(1).detach().numpy() == pytest.approx(1, abs=1e-5)
    assert logs.emission.exp().sum(0).detach().numpy() == pytest.approx(1, abs=1e-5)


def test_it_is_a_language_model(tmp_path: Path) -> None:
    model = create(CONFIG, Vocabulary(V, 0), 0).eval()
    assert isinstance(model, Causal)
    rng = np.random.default_rng(0)
    documents = [np.r_[rng.integers(1, V, 20), 0] for _ in range(3)]
    assert all(found.passed for found in check(model, documents))
    with torch.no_grad():
        total = -float(model.loss(batch()))
    whole = model.log_probs([np.array([3, 4, 0]), np.array([5, 6]), np.array([8, 2, 0])])
    assert sum(float(part.sum()) for part in whole) > total  # which has the piece from inside too
    model.save(tmp_path)
    loaded = load(tmp_path, CONFIG, Vocabulary(V, 0))
    for one, other in zip(model.log_probs(documents), loaded.log_probs(documents), strict=True):
        assert np.array_equal(one, other)


def test_the_trainer_teaches_it(small_store: Path, tmp_path: Path) -> None:
    settings = {"states": 16, "width": 16, "steps": 40, "batch_tokens": 512, "learning_rate": 0.02}
    model = langue.train("neural-hmm", small_store, tmp_path / "m", **settings)
    curve = model.info()["measured"]["validation"]
    assert curve[-1]["loss"] < curve[0]["loss"]
    assert langue.evaluate(model, small_store, check=True).passed
