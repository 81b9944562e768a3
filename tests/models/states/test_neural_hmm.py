"""The neural HMM: its gradient against autograd through a written-out forward pass, and the whole road."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.models.states.hmm.test_cluster_tables import summed

import langue
from langue.base.errors import Interrupted, LangueError
from langue.evaluation.checks import check
from langue.models.states.neural_hmm import WEIGHTS, NeuralHMM, NeuralHMMConfig, build, load
from langue.protocols import Causal, Vocabulary
from langue.tokens.batch import Batch

V = 9
CONFIG = NeuralHMMConfig(states=6, clusters=3, width=8, dropout=0.0, context=5)


def batch() -> Batch:
    """Two rows: a document and the beginning of one; the inside of one and a document."""
    targets = np.array([[3, 4, 0, 5, 6], [7, 0, 8, 2, 0]])
    inputs = np.array([[0, 3, 4, 0, 5], [1, 7, 0, 8, 2]])
    segments = np.array([[0, 0, 0, 1, 1], [4, 4, 5, 5, 5]])
    return Batch(inputs, targets, np.zeros_like(targets), segments)


def test_loss_and_gradient_are_those_of_the_written_out_sum() -> None:
    model = build(CONFIG, Vocabulary(V, 0), 0).train()
    loss = model.loss(batch())
    loss.backward()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    tables = model.tables(torch.arange(CONFIG.states).view(3, 2))
    texts = (([3, 4, 0], 0), ([5, 6], 0), ([7, 0], 1), ([8, 2, 0], 0))
    expected = -torch.stack([summed(tables, model.classes, words, kind) for words, kind in texts]).sum()
    expected.backward()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, parameter in model.named_parameters():
        assert torch.allclose(found[name], parameter.grad, atol=1e-5), name
    with torch.no_grad():
        assert float(model.eval().loss(batch())) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_state_dropout_leaves_a_proper_hmm() -> None:
    model = build(NeuralHMMConfig(states=16, clusters=2, width=4, context=5), Vocabulary(V, 0), 0)
    torch.manual_seed(0)
    losses = {round(float(model.train().loss(batch()).detach()), 4) for _ in range(4)}
    assert len(losses) > 1
    first, leave, _, _, emission = model.tables(torch.tensor([[1, 4, 6], [8, 9, 15]]))
    assert first.exp().sum((1, 2)).detach().numpy() == pytest.approx(1, abs=1e-5)
    assert leave.exp().sum(1).detach().numpy() == pytest.approx(1, abs=1e-5)
    for cluster in range(2):
        total = emission[model.classes == cluster].exp().sum(0)
        assert total.detach().numpy() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("states", "clusters"), [(6, 3), (6, 1)])
def test_it_is_a_language_model(tmp_path: Path, states: int, clusters: int) -> None:
    config = NeuralHMMConfig(states=states, clusters=clusters, width=8, dropout=0.0, context=5)
    model = build(config, Vocabulary(V, 0), 0).eval()
    assert isinstance(model, Causal)
    rng = np.random.default_rng(0)
    documents = [np.r_[rng.integers(1, V, 20), 0] for _ in range(3)]
    assert all(found.passed for found in check(model, documents))
    with torch.no_grad():
        total = -float(model.loss(batch()))
    whole = model.log_probs([np.array([3, 4, 0]), np.array([5, 6]), np.array([8, 2, 0])])
    assert sum(float(part.sum()) for part in whole) > total  # which has the piece from inside too
    model.save(tmp_path)
    loaded = load(tmp_path, config, Vocabulary(V, 0))
    for one, other in zip(model.log_probs(documents), loaded.log_probs(documents), strict=True):
        assert np.array_equal(one, other)


def test_the_trainer_teaches_it(small_store: Path, tmp_path: Path) -> None:
    settings = {
        "states": 64,
        "clusters": 16,
        "width": 16,
        "steps": 40,
        "batch_tokens": 512,
        "learning_rate": 0.02,
    }
    model = langue.train("neural-hmm", small_store, tmp_path / "m", **settings)
    curve = model.info()["measured"]["validation"]
    assert curve[-1]["loss"] < curve[0]["loss"]
    assert langue.evaluate(model, small_store, check=True).passed


def test_a_stopped_run_goes_on_to_the_same_bits(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"states": 64, "clusters": 16, "width": 8, "steps": 12, "batch_tokens": 256}
    langue.train("neural-hmm", small_store, tmp_path / "straight", **settings)
    calls = []
    original = NeuralHMM.loss

    def stopped(self: NeuralHMM, batch: Batch) -> torch.Tensor:
        calls.append(batch)
        if len(calls) == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, batch)

    monkeypatch.setattr(NeuralHMM, "loss", stopped)
    with pytest.raises(Interrupted):
        langue.train("neural-hmm", small_store, tmp_path / "stopped", **settings)
    langue.train("neural-hmm", small_store, tmp_path / "stopped", resume=True, **settings)
    one, other = (load_file(tmp_path / name / WEIGHTS) for name in ("straight", "stopped"))
    assert one.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_states_that_no_cluster_can_share_are_refused(small_store: Path, tmp_path: Path) -> None:
    with pytest.raises(LangueError, match="100 states cannot be shared out equally to 16 clusters"):
        langue.train("neural-hmm", small_store, tmp_path / "m", states=100, clusters=16, steps=1)
    with pytest.raises(LangueError, match="clusters need as many words"):
        build(NeuralHMMConfig(), Vocabulary(50, 0), 0)


def test_tables_too_large_to_draw_are_refused() -> None:
    model = build(NeuralHMMConfig(states=16_384, clusters=8, width=2), Vocabulary(V, 0), 0)
    with pytest.raises(LangueError, match="16,384 states take"):
        model.to_hmm().size()
    (path,) = model.states([np.array([3, 0])])
    assert path.posteriors[0].sum() == pytest.approx(1, abs=1e-5)
