"""The gradient by distance: against finite differences, against powers of a matrix, and at the edges."""

import numpy as np
import pytest
import torch

from langue.base.errors import LangueError
from langue.evaluation.gradients import Gradients, _runs
from langue.models.networks.rnn import RNN, RNNConfig, build
from langue.protocols import Vocabulary
from langue.tokens.store import Split

V = 13


def model_of(cell: str, **settings: object) -> RNN:
    return build(RNNConfig(cell=cell, width=6, **settings), Vocabulary(V, 0), 2).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_equals_finite_differences(cell: str) -> None:
    model = model_of(cell).double()
    runs = np.array([[3, 1, 4, 1, 5]])
    found = model.gradient_by_distance(runs)
    x = model.embedding(torch.from_numpy(runs[:, :-1])).detach()

    def nats(moved: torch.Tensor) -> float:
        y, _ = model.recurrent(moved, model.recurrent.start(1))
        return -float(torch.log_softmax(model.head(y[0, -1]), -1)[5].detach())

    step = 1e-5
    for distance in range(4):
        slopes = []
        for channel in range(6):
            up, down = x.clone(), x.clone()
            up[0, 3 - distance, channel] += step
            down[0, 3 - distance, channel] -= step
            slopes.append((nats(up) - nats(down)) / (2 * step))
        assert found[distance] == pytest.approx(np.linalg.norm(slopes), rel=1e-4)


@pytest.mark.parametrize("gain", [0.5, 0.9])
def test_vanishes_as_the_recurrent_matrix_says(gain: float) -> None:
    """With W_hh = gain · 1 and a tanh at its linear middle, each step back costs a factor of gain."""
    model = model_of("elman", layers=1)
    layer = model.recurrent.layers[0]
    with torch.no_grad():
        for parameter in (model.embedding.weight, layer.bias_ih, layer.bias_hh):
            parameter.zero_()
        layer.weight_hh.copy_(gain * torch.eye(6))
    found = model.gradient_by_distance(np.ones((2, 20), np.int64))
    assert found[1:] / found[:-1] == pytest.approx(np.full(18, gain), rel=1e-4)


def test_reach_and_table() -> None:
    found = Gradients("m", 3, np.array([1.0, 0.5, 0.02, 0.001]))
    assert found.reach == 2
    assert "a hundredth is left 2 tokens back" in str(found)
    assert "try a longer --distance" in str(Gradients("m", 3, np.array([1.0, 0.5])))


def test_runs_stay_within_documents() -> None:
    documents = [[*range(1, 5), 0], [10, 11, 12, 0], [7, 0], [*range(20, 30), 0]]
    offsets = np.cumsum([0, *map(len, documents)]).astype(np.uint64)
    sizes = np.diff(offsets)
    split = Split("test", np.concatenate(documents).astype(np.uint16), offsets, sizes, sizes)
    expected = [ids[at : at + 4] for ids in documents for at in range(len(ids) - 3)]
    assert _runs(split, 4).tolist() == expected
    with pytest.raises(LangueError, match=r"no document .* has 12 tokens \(the longest has 11\).*distance=9"):
        _runs(split, 12)
