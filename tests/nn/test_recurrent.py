"""Recurrent layers against torch.nn's modules and against plain loops over documents."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from langue.nn.recurrent import Cell, Recurrent

CELLS: list[Cell] = ["elman", "gru", "lstm"]
PEERS = {"elman": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def stack(cell: Cell, layers: int = 2, **settings: float) -> Recurrent:
    torch.manual_seed(0)
    found = Recurrent(cell, layers=layers, inputs=5, width=6, **{"dropout": 0.0, **settings})  # type: ignore
    for parameter in found.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5)
    return found


def peer_of(recurrent: Recurrent, cell: Cell) -> nn.Module:
    """The same weights in a module of torch.nn."""
    layers = len(recurrent.layers)
    peer = PEERS[cell](5, 6, layers, batch_first=True)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    peer.load_state_dict(
        {f"{name}_l{k}": getattr(recurrent.layers[k], name) for k in range(layers) for name in names}
    )
    return peer


def read(
    peer: nn.Module, cell: Cell, x: torch.Tensor, state: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the module of torch.nn says: hidden states and state in our shapes."""
    parts = state.unbind(1)  # (layers, B, C) each
    y, after = peer(x, parts if cell == "lstm" else parts[0])
    return y, torch.stack(after if cell == "lstm" else (after,), 1)


@pytest.mark.parametrize("cell", CELLS)
def test_equals_torch_nn(cell: Cell) -> None:
    recurrent = stack(cell)
    peer = peer_of(recurrent, cell)
    x = torch.randn(3, 7, 5)
    state = torch.randn_like(recurrent.start(3))
    y, after = recurrent(x, state)
    expected, expected_after = read(peer, cell, x, state)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(after, expected_after)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6])
def test_documents_that_begin_within_rows_are_read_as_if_alone(cell: Cell, share: float) -> None:
    """Every run between two beginnings, alone through torch.nn: hidden states, last state, gradients."""
    recurrent = stack(cell)
    peer = peer_of(recurrent, cell)
    B, T = 4, 9
    x = torch.randn(B, T, 5)
    state = torch.randn_like(recurrent.start(B))
    begins = torch.rand(B, T) < share
    y, after = recurrent(x, state, begins)
    rows, afters = [], []
    for row in range(B):
        going, pieces = state[:, :, row : row + 1], []
        edges = [0, *(t for t in range(1, T) if begins[row, t]), T]
        for first, last in pairwise(edges):
            if begins[row, first]:
                going = torch.zeros_like(going)
            piece, going = read(peer, cell, x[row : row + 1, first:last], going)
            pieces.append(piece)
        rows.append(torch.cat(pieces, 1))
        afters.append(going)
    expected = torch.cat(rows)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(after, torch.cat(afters, 2))
    gradient = torch.randn_like(y)
    found = torch.autograd.grad(y, recurrent.layers[0].weight_hh, gradient)[0]
    wanted = torch.autograd.grad(expected, peer.get_parameter("weight_hh_l0"), gradient)[0]
    torch.testing.assert_close(found, wanted)


def test_a_locked_mask_is_the_same_at_every_step_and_an_unlocked_one_is_not() -> None:
    recurrent = stack("lstm", dropout=0.5).train()
    ones = torch.ones(4, 50, 6)
    assert recurrent._drop(ones).std(1).max() > 0
    recurrent.variational_dropout = True
    dropped = recurrent._drop(ones)
    assert dropped.std(1).max() == 0
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    recurrent.eval()
    assert torch.equal(recurrent._drop(ones), ones)


def test_weight_drop_changes_the_recurrence_of_training_alone() -> None:
    recurrent = stack("lstm", layers=1, weight_drop=0.5)
    x, state = torch.randn(2, 6, 5), recurrent.start(2)
    recurrent.eval()
    calm = recurrent(x, state)[0]
    recurrent.train()
    torch.testing.assert_close(recurrent(x[:, :1], state)[0], calm[:, :1])  # from zeros, nothing recurs yet
    first, second = recurrent(x, state)[0], recurrent(x, state)[0]
    assert not torch.allclose(first[:, 1:], calm[:, 1:])
    assert not torch.allclose(first[:, 1:], second[:, 1:])
