"""Recurrent layers over streams: the cells, dropout between them, and a fresh state where a document begins.

The kernels are torch's own (oneDNN, cuDNN), one call a layer. They can't reset a state in the middle of
a row; a batch in which documents begin is cut there, and its runs are read side by side as a packed
batch. An LSTM in bfloat16 on a CPU is faster by our own steps (`layers/lstm.py`), which need no cutting;
benchmarks/lstm_training.py measures both.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from langue.nn.dropout import drop
from langue.nn.fast.choices import use_stepwise_lstm
from langue.nn.fast.lstm import lstm

Cell = Literal["elman", "gru", "lstm"]
GATES: dict[str, int] = {"elman": 1, "gru": 3, "lstm": 4}  # stacked as torch.nn.RNN, GRU and LSTM do
PARTS: dict[str, int] = {"elman": 1, "gru": 1, "lstm": 2}  # of a state: h, and the c of an LSTM


class Runs(NamedTuple):
    """A batch `(B, T)` cut where documents begin, packed step by step, the longest run first (N runs)."""

    cells: torch.Tensor  # (B T,) place in the flattened batch of each packed cell
    sizes: torch.Tensor  # (longest,) runs that are still going at each step, on the CPU
    goes_on: torch.Tensor  # (N,) whether a run continues the row of the batch before
    row: torch.Tensor  # (N,) the row a run stands in
    last: torch.Tensor  # (B,) number of the last run of each row


def cut(begins: torch.Tensor) -> Runs | None:
    """The runs of a batch; None where no document begins.

    Args:
        begins: `(B, T)`, true at the first token of a document.
    """
    if not begins.any():
        return None
    B, T = begins.shape
    edge = begins.clone()
    edge[:, 0] = True
    start = edge.flatten().nonzero()[:, 0]  # (N,) in reading order
    length = torch.diff(start, append=start.new_tensor([B * T]))
    length, order = torch.sort(length, descending=True, stable=True)
    start = start[order]
    step = torch.arange(int(length[0]), device=start.device)
    going = length > step[:, None]  # (longest, N)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    return Runs(
        cells=(start + step[:, None])[going],
        sizes=going.sum(1).cpu(),
        goes_on=~begins.flatten()[start],
        row=start // T,
        last=rank[edge.sum(1).cumsum(0) - 1],
    )


class Layer(nn.Module):
    """One recurrent layer. Its weights are named, stacked and shaped as those of `torch.nn.LSTM`.

    Args:
        weight_drop: share of the recurrent weights set to zero, anew for each batch (Merity et al. 2018).
    """

    def __init__(self, cell: Cell, inputs: int, width: int, weight_drop: float) -> None:
        super().__init__()
        self.cell = cell
        self.weight_drop = weight_drop
        self.weight_ih = nn.Parameter(torch.empty(GATES[cell] * width, inputs))
        self.weight_hh = nn.Parameter(torch.empty(GATES[cell] * width, width))
        self.bias_ih = nn.Parameter(torch.empty(GATES[cell] * width))
        self.bias_hh = nn.Parameter(torch.empty(GATES[cell] * width))

    def forward(
        self, x: torch.Tensor, state: torch.Tensor, runs: Runs | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`(B, T, inputs)` and a state `(parts, B, C)` → `(B, T, C)` and the state after it."""
        if runs is None:
            return self._kernel(x, state, None)
        fresh = state[:, runs.row] * runs.goes_on[:, None]  # (parts, N, C)
        packed, after = self._kernel(x.flatten(0, 1)[runs.cells], fresh, runs.sizes)
        y = torch.empty_like(packed).index_copy(0, runs.cells, packed)
        return y.view(*x.shape[:2], -1), after[:, runs.last]

    def steps(
        self, x: torch.Tensor, state: torch.Tensor, keep: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The same of an LSTM by steps of our own; `keep`: `(T, B)`, 0 where a document begins."""
        x = x.to(torch.get_autocast_dtype(x.device.type))
        h, c = state
        y, *after = lstm(x, h, c, keep, self.weight_ih, self._recurrent(), self.bias_ih + self.bias_hh)
        return y, torch.stack(after)

    def _recurrent(self) -> torch.Tensor:
        return drop(self.weight_hh, self.weight_drop, self.training)

    def _kernel(
        self, x: torch.Tensor, state: torch.Tensor, sizes: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        weights = [self.weight_ih, self._recurrent(), self.bias_ih, self.bias_hh]
        parts = list(state[:, None].contiguous())  # h (and c), each (1, B, C)
        h = parts if self.cell == "lstm" else parts[0]
        kernel: Any = {"elman": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}[self.cell]
        # biases, one layer, no dropout inside, trained or not, one direction, batch first
        if sizes is None:
            y, *after = kernel(x, h, weights, True, 1, 0.0, self.training, False, True)
        else:
            y, *after = kernel(x, sizes, h, weights, True, 1, 0.0, self.training, False)
        return y, torch.cat(after)


Reader = Callable[[Layer, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


class Recurrent(nn.Module):
    """A stack of layers, with dropout on everything but the recurrent connections (Zaremba et al. 2014).

    Args:
        drop_input: whether what the first layer reads is dropped too.
        variational_dropout: one mask for all steps of a row, not one for each (Merity et al. 2018).
    """

    def __init__(
        self,
        cell: Cell,
        *,
        layers: int,
        inputs: int,
        width: int,
        dropout: float,
        drop_input: bool = True,
        variational_dropout: bool = False,
        weight_drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.width = width
        self.parts = PARTS[cell]
        self.dropout = dropout
        self.drop_input = drop_input
        self.variational_dropout = variational_dropout
        self.layers = nn.ModuleList(
            Layer(cell, width if index else inputs, width, weight_drop) for index in range(layers)
        )

    def start(self, rows: int) -> torch.Tensor:
        """The state at the beginning of documents: zeros `(layers, parts, rows, C)`."""
        return next(self.parameters()).new_zeros(len(self.layers), self.parts, rows, self.width)

    def forward(
        self, x: torch.Tensor, state: torch.Tensor, begins: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Read on.

        Args:
            x: `(B, T, inputs)`; state: `(layers, parts, B, C)`.
            begins: `(B, T)`, true where a document begins and the state is zeros again.

        Returns:
            Hidden states `(B, T, C)`, and the state after the last step.
        """
        read = self._reader(x, begins)
        after = []
        for index, layer in enumerate(self.layers):
            x = self._drop(x) if index or self.drop_input else x
            x, last = read(layer, x, state[index])  # type: ignore[arg-type]
            after.append(last)
        return self._drop(x), torch.stack(after)

    def _reader(self, x: torch.Tensor, begins: torch.Tensor | None) -> Reader:
        """How a layer is read, whichever kernel is the faster."""
        if self.parts == PARTS["lstm"] and use_stepwise_lstm(x):
            keep = None
            if begins is not None and begins.any():
                half = torch.get_autocast_dtype(x.device.type)
                keep = (~begins.T).to(half)  # (T, B)
            return partial(Layer.steps, keep=keep)
        return partial(Layer.forward, runs=None if begins is None else cut(begins))

    def _drop(self, x: torch.Tensor) -> torch.Tensor:
        if not self.variational_dropout or not self.training:
            return drop(x, self.dropout, self.training)
        return x * drop(torch.ones_like(x[:, :1]), self.dropout)  # (B, 1, C)
