"""The character CNN against plain loops over windows of bytes, and its LSTM against torch.nn's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from langue.base.errors import LangueError
from langue.models.networks.charcnn import LONGEST, CharCNNConfig, Spelling, build, load, spell
from langue.models.networks.rnn import RNN
from langue.protocols import Vocabulary

SPELLINGS = [b"", b" the", " 春".encode(), b"a", b"extraordinarily", bytes([255])]
VOCABULARY = Vocabulary(len(SPELLINGS), 0, SPELLINGS)


def model_of(size: str = "small") -> tuple[RNN, Spelling]:
    model = build(CharCNNConfig(size=size, width=8), VOCABULARY, 3).eval()  # type: ignore[arg-type]
    assert isinstance(model.embedding, Spelling)
    return model, model.embedding


def by_hand(spelling: Spelling, id: int) -> np.ndarray:
    """A token's vector by the formulas of the paper: every window of every filter, one by one."""
    weights = {name: weight.double().numpy() for name, weight in spelling.state_dict().items()}
    symbols = [1, *(3 + byte for byte in SPELLINGS[id]), 2]
    symbols += [0] * (spelling.symbols.shape[1] - len(symbols))
    characters = [weights["characters.weight"][symbol] for symbol in symbols]
    y = []
    for index in range(len(spelling.filters)):
        for kernel, bias in zip(
            weights[f"filters.{index}.weight"], weights[f"filters.{index}.bias"], strict=True
        ):
            windows = [np.array(characters[at : at + index + 1]).T for at in range(len(characters) - index)]
            y.append(max(np.tanh((window * kernel).sum() + bias) for window in windows))
    z = np.array(y)
    for index in range(len(spelling.highways)):
        part = {
            kind: weights[f"highways.{index}.{kind}"]
            for kind in ("gate.weight", "gate.bias", "transform.weight", "transform.bias")
        }
        t = 1 / (1 + np.exp(-(part["gate.weight"] @ z + part["gate.bias"])))
        z = t * np.maximum(part["transform.weight"] @ z + part["transform.bias"], 0) + (1 - t) * z
    return z


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_token_is_read_as_the_paper_says(size: str) -> None:
    _, spelling = model_of(size)
    ids = torch.tensor([[1, 2, 1], [4, 0, 5]])
    found = spelling(ids).detach().numpy()
    for place, id in np.ndenumerate(ids.numpy()):
        assert found[place] == pytest.approx(by_hand(spelling, int(id)), abs=1e-5)


def test_scores_are_those_of_torchs_lstm_over_these_vectors() -> None:
    model, spelling = model_of()
    peer = nn.LSTM(525, 8, 2, batch_first=True)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    layers = model.recurrent.layers
    peer.load_state_dict({f"{name}_l{k}": getattr(layers[k], name) for k in range(2) for name in names})
    ids = [3, 1, 2, 4, 0]
    x = torch.from_numpy(np.stack([by_hand(spelling, id) for id in [0, *ids[:-1]]])).float()
    expected = torch.log_softmax(model.head(peer(x[None])[0][0]), -1)[range(5), ids].detach().numpy()
    assert model.log_probs([np.array(ids)])[0] == pytest.approx(expected, abs=1e-5)


def test_the_sizes_are_those_of_the_paper() -> None:
    """Table 2: 25 w filters of width w to 6 and min(200, 50 w) to 7; 15 per character; 300 and 650 units."""
    for size, filters, width in (("small", 525, 300), ("large", 1100, 650)):
        model = build(CharCNNConfig(size=size), VOCABULARY, 0)  # type: ignore[arg-type]
        layer = model.recurrent.layers[0]
        assert (layer.weight_ih.shape[1], model.recurrent.width) == (filters, width)


def test_where_it_begins() -> None:
    """Uniform in ± 0.05, gates that carry, padding that is nothing; and padding stays nothing."""
    model, spelling = model_of()
    assert all(torch.all(highway.gate.bias == -2) for highway in spelling.highways)
    assert 0.045 < float(model.head.weight.abs().max().detach()) <= 0.05
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    y, _ = model(torch.tensor([[1, 2, 3]]), model.recurrent.start(1))
    y.square().sum().backward()
    optimizer.step()
    assert torch.all(spelling.characters.weight[0] == 0)


def test_spellings_of_any_length_are_told_apart_up_to_the_longest() -> None:
    long = [b"", b"x" * LONGEST + b"a", b"x" * LONGEST + b"b", b"x" * (LONGEST - 1) + b"y"]
    symbols = spell(Vocabulary(4, 0, long), least=6)
    assert symbols.shape == (4, LONGEST + 2)
    assert torch.equal(symbols[1], symbols[2]) and not torch.equal(symbols[1], symbols[3])
    assert spell(Vocabulary(1, 0, [b""]), least=6).tolist() == [[1, 2, 0, 0, 0, 0]]


def test_the_spellings_travel_with_the_weights(tmp_path: Path) -> None:
    model, _ = model_of()
    model.save(tmp_path)
    loaded = load(tmp_path, CharCNNConfig(width=8), Vocabulary(len(SPELLINGS), 0))
    ids = [np.array([1, 2, 5, 0])]
    assert np.array_equal(model.log_probs(ids)[0], loaded.log_probs(ids)[0])
    (tmp_path / "weights.safetensors").write_bytes(b"cut short")
    with pytest.raises(LangueError, match="does not fit"):
        load(tmp_path, CharCNNConfig(width=8), Vocabulary(len(SPELLINGS), 0))
