"""The recurrent model against torch.nn, and its training on streams against one long pass."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from langue.models.networks.rnn import RNN, RNNConfig, build, streams
from langue.protocols import Vocabulary
from langue.tokens.batches import StreamBatches
from langue.tokens.store import TokenStore

V = 17
PEERS = {"elman": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def model_of(**settings: object) -> RNN:
    return build(RNNConfig(width=9, context=4, **settings), Vocabulary(V, 0), 5).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", PEERS)
def test_scores_are_those_of_torch_nn(cell: str) -> None:
    model = model_of(cell=cell)
    peer = PEERS[cell](9, 9, 2, batch_first=True)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    layers = model.recurrent.layers
    peer.load_state_dict({f"{name}_l{k}": getattr(layers[k], name) for k in range(2) for name in names})
    ids = [3, 1, 16, 4, 4, 0]
    y, _ = peer(model.embedding(torch.tensor([[0, *ids[:-1]]])))
    expected = torch.log_softmax(model.head(y[0]), -1)[range(6), ids].detach().numpy()
    assert model.log_probs([np.array(ids)])[0] == pytest.approx(expected, abs=1e-5)


def test_tied_embeddings_are_one_and_stay_one() -> None:
    tied, untied = model_of(tied=True), model_of()
    assert untied.size()["parameters"] - tied.size()["parameters"] == V * 9
    optimizer = torch.optim.SGD(tied.parameters(), lr=0.1)
    y, _ = tied(torch.tensor([[1, 2]]), tied.recurrent.start(1))
    tied.head(y).sum().backward()
    optimizer.step()
    assert tied.head.weight is tied.embedding.weight


@pytest.fixture
def stream(make_store: Callable[..., TokenStore]) -> StreamBatches:
    """Two rows of documents of all lengths, four tokens at a time."""
    draw = np.random.default_rng(0)
    documents = [list(draw.integers(1, V, length)) for length in (30, 1, 2, 25, 3, 3, 14, 7)]
    split = make_store(documents, vocabulary=V).split("train")
    return streams(split, Vocabulary(V, 0), RNNConfig(), 2, 4, 0)


@pytest.mark.parametrize("cell", PEERS)
def test_the_state_goes_on_from_batch_to_batch(cell: str, stream: StreamBatches) -> None:
    """Losses of batches of 4 tokens, summed: those of one pass over the rows."""
    model = model_of(cell=cell)
    batches = [stream.batch(number) for number in range(6)]
    with torch.no_grad():
        pieces = [float(model.loss(batch)) for batch in batches]
        whole = type(batches[0])(*(np.concatenate(parts, 1) for parts in zip(*batches, strict=True)))
        model.carry = {}
        assert float(model.loss(whole)) == pytest.approx(sum(pieces), rel=1e-5)
    assert len(set(np.round(pieces, 3))) > 1


def test_rows_can_be_cut_into_smaller_batches_with_their_state(stream: StreamBatches) -> None:
    model = model_of()
    with torch.no_grad():
        model.loss(stream.batch(0))
        carry = model.carry["state"]
        assert carry.shape == (2, 2, 2, 9)  # rows first
        together = float(model.loss(stream.batch(1)))
        apart = 0.0
        for row in range(2):
            model.carry = {"state": carry[row : row + 1]}
            apart += float(model.loss(stream.batch(1).cut(row, row + 1)))
    assert together == pytest.approx(apart, rel=1e-5)


def test_the_gradient_stops_where_the_batch_began(stream: StreamBatches) -> None:
    model = model_of().train()
    for first, second in pairwise(range(3)):
        for number in (first, second):
            model.zero_grad()
            model.loss(stream.batch(number)).backward()  # a graph kept from before would raise here
    assert not model.carry["state"].requires_grad


def test_dropout_is_of_training_alone(stream: StreamBatches) -> None:
    model = model_of(dropout=0.5, variational_dropout=True, weight_drop=0.5)

    def losses() -> set[float]:
        found = set()
        for _ in range(3):
            model.carry = {}
            found.add(float(model.loss(stream.batch(0)).detach()))
        return found

    assert len(losses()) == 1
    model.train()
    assert len(losses()) == 3


def test_bfloat16_is_near(stream: StreamBatches) -> None:
    """Where a machine takes bfloat16, the state stays float32 from batch to batch."""
    model = model_of()
    exact = [float(model.loss(stream.batch(number)).detach()) for number in range(2)]
    model.carry = {}
    with torch.autocast("cpu", torch.bfloat16):
        near = [model.loss(stream.batch(number)) for number in range(2)]
    assert [float(loss.detach()) for loss in near] == pytest.approx(exact, rel=0.02)
    near[-1].backward()
