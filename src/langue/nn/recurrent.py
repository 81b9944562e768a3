"""Recurrent layers over streams: the cells, dropout between them, and a fresh state where a document begins.

The kernels are torch's own (oneDNN, cuDNN), one call a layer; of an LSTM there are three more, its formula
and two that are faster on a CPU (`fast/choices.py`). Letters: B batch, T time, C width.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from langue.nn.dropout import drop
from langue.nn.fast.choices import lstm_kernel
from langue.nn.fast.lstm_columns import ColumnsLSTM
from langue.nn.fast.lstm_rows import RowsLSTM
from langue.nn.lstm import lstm
from langue.nn.packing import Runs, pack_runs

Cell = Literal["elman", "gru", "lstm"]
GATES: dict[str, int] = {"elman": 1, "gru": 3, "lstm": 4}  # stacked as torch.nn.RNN, GRU and LSTM do
PARTS: dict[str, int] = {"elman": 1, "gru": 1, "lstm": 2}  # of a state: h, and the c of an LSTM
# Where documents begin, as a kernel wants it: torch's runs; `(T, B)` true where the state is kept; nowhere.
Resets = Runs | Tensor | None


class Layer(nn.Module):
    """One recurrent layer. Its weights are named, stacked and shaped as those of `torch.nn.LSTM`.

    Args:
        weight_drop: probability that a recurrent weight is 0, drawn for each batch (Merity et al. 2018).
    """

    def __init__(self, cell: Cell, inputs: int, width: int, weight_drop: float) -> None:
        super().__init__()
        self.cell = cell
        self.weight_drop = weight_drop
        self.weight_ih = nn.Parameter(torch.empty(GATES[cell] * width, inputs))
        self.weight_hh = nn.Parameter(torch.empty(GATES[cell] * width, width))
        self.bias_ih = nn.Parameter(torch.empty(GATES[cell] * width))
        self.bias_hh = nn.Parameter(torch.empty(GATES[cell] * width))

    def forward(self, x: Tensor, state: Tensor, kernel: str, resets: Resets) -> tuple[Tensor, Tensor]:
        """`(B, T, inputs)` and a state `(parts, B, C)` → `(B, T, C)` and the state after it."""
        weight_hh = drop(self.weight_hh, self.weight_drop, self.training)
        if isinstance(resets, Runs):
            fresh = state[:, resets.row] * resets.goes_on[:, None]  # (parts, N, C)
            packed, after = self._torch(x.flatten(0, 1)[resets.cells], fresh, weight_hh, resets.sizes)
            y = torch.empty_like(packed).index_copy(0, resets.cells, packed)
            return y.view(*x.shape[:2], -1), after[:, resets.last]
        if kernel == "torch":
            return self._torch(x, state, weight_hh, None)
        weights = self.weight_ih, weight_hh, self.bias_ih + self.bias_hh
        if kernel == "plain":
            y, *after_both = lstm(x, state[0], state[1], resets, *weights)
        else:
            fast: type[RowsLSTM | ColumnsLSTM] = RowsLSTM
            if kernel == "columns":
                fast, x, state = ColumnsLSTM, x.to(torch.get_autocast_dtype(x.device.type)), state.float()
            y, *after_both = fast.apply(x, *state, resets, *weights)  # type: ignore
        return y, torch.stack(after_both)

    def _torch(
        self, x: Tensor, state: Tensor, weight_hh: Tensor, sizes: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """By torch's kernel; with the sizes of its steps, a packed batch."""
        weights = [self.weight_ih, weight_hh, self.bias_ih, self.bias_hh]
        parts = list(state[:, None].contiguous())  # h (and c), each (1, B, C)
        h = parts if self.cell == "lstm" else parts[0]
        kernel: Any = {"elman": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}[self.cell]
        # biases, one layer, no dropout inside, trained or not, one direction, batch first
        if sizes is None:
            y, *after = kernel(x, h, weights, True, 1, 0.0, self.training, False, True)
        else:
            y, *after = kernel(x, sizes, h, weights, True, 1, 0.0, self.training, False)
        return y, torch.cat(after)


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
        self.cell = cell
        self.width = width
        self.dropout = dropout
        self.drop_input = drop_input
        self.variational_dropout = variational_dropout
        self.layers = nn.ModuleList(
            Layer(cell, width if index else inputs, width, weight_drop) for index in range(layers)
        )

    def start(self, rows: int) -> Tensor:
        """The state at the beginning of documents: zeros `(layers, parts, rows, C)`."""
        return next(self.parameters()).new_zeros(len(self.layers), PARTS[self.cell], rows, self.width)

    def forward(self, x: Tensor, state: Tensor, begins: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Read on.

        Args:
            x: `(B, T, inputs)`; state: `(layers, parts, B, C)`.
            begins: `(B, T)`, true where a document begins and the state is zeros again.

        Returns:
            Hidden states `(B, T, C)`, and the state after the last step.
        """
        if begins is not None and not begins.any():
            begins = None
        kernel = lstm_kernel(x, begins is not None) if self.cell == "lstm" else "torch"
        resets: Resets = None
        if begins is not None:
            resets = pack_runs(begins) if kernel == "torch" else ~begins.T
        after = []
        for index, layer in enumerate(self.layers):
            x = self._drop(x) if index or self.drop_input else x
            x, last = layer(x, state[index], kernel, resets)
            after.append(last)
        return self._drop(x), torch.stack(after)

    def _drop(self, x: Tensor) -> Tensor:
        if not self.variational_dropout or not self.training:
            return drop(x, self.dropout, self.training)
        return x * drop(torch.ones_like(x[:, :1]), self.dropout)  # (B, 1, C)
