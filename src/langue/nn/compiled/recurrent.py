"""The weights of a recurrent network as the compiled step reads them, and its decoder."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from langue.base.arrays import Array, Floats, Ids, Int64Array
from langue.inference.decoding import StateDecoder
from langue.nn.compiled.choice import NOTHING, Writing
from langue.nn.compiled.head import CompiledHead
from langue.nn.compiled.layout import Layout, array_of, room_for
from langue.nn.compiled.panels import PIECE, padded
from langue.nn.compiled.plan import RecurrentModules
from langue.nn.compiled.recurrent_step import AT_ONCE, ELMAN, GRU, LSTM, Shape, step
from langue.nn.fast.compiled_step import Weights
from langue.nn.recurrent import GATES, PARTS
from langue.protocols import Vocabulary
from langue.protocols.drawing import DrawingDecoder, Draws

CELLS = {"elman": ELMAN, "gru": GRU, "lstm": LSTM}
CHUNK_TOKENS = 1024  # embedded at a time, of a table that is made of spellings


class CompiledRecurrent:
    """Weights laid out for the compiled step."""

    def __init__(self, model: RecurrentModules, weights: Weights | None = None) -> None:
        recurrent, V = model.recurrent, model.head.out_features
        cell, C = recurrent.cell, recurrent.width
        self.table = table_of(model, V)
        inputs, G = self.table.shape[1], GATES[cell]
        self.shape = Shape(
            L=len(recurrent.layers), cell=CELLS[cell], gates=G, parts=PARTS[cell], I=inputs, V=V,
            I_whole=padded(inputs, PIECE), C_whole=padded(C, PIECE),
        )  # fmt: skip
        self.sizes = tuple(map(int, self.shape))
        self.kind = weights
        layout, own = Layout(weights), (G, C, self.shape.C_whole)
        columns = [(1, inputs, self.shape.I_whole), (1, C, self.shape.C_whole)]
        layers: Iterable[Any] = recurrent.layers
        for index, layer in enumerate(layers):
            layout.add_matrix(layer.weight_ih, own, columns[min(index, 1)])
            layout.add_matrix(layer.weight_hh, own, columns[1])
            layout.add_vector(layer.bias_ih, own)
            layout.add_vector(layer.bias_hh, own)
        self.head = CompiledHead(model.head, weights)
        self.weights = (
            self.sizes, self.table, layout.matrices, layout.scales, layout.vectors, self.head.matrix,
            self.head.scales, self.head.biases,
        )  # fmt: skip
        self.work = len(layout.matrices) + len(self.head.matrix)  # numbers that each token is multiplied by

    def start(self, rows: int) -> Floats:
        """The state of so many rows at the beginning, `(B, L, parts, C_whole)`."""
        return np.zeros((rows, self.shape.L, self.shape.parts, self.shape.C_whole), np.float32)

    def room(self, rows: int = AT_ONCE) -> Array:
        """What is multiplied stands there, of so many rows; each caller needs his own."""
        width = max(self.shape.I_whole, self.shape.C_whole)
        return room_for(max(rows, AT_ONCE) * width, weights=self.kind)

    def read(self, state: Floats, room: Array, ids: Ids, rows: Ids) -> Floats:
        """Read tokens, by steps, and in each by rows, which changes the state: `(N, C_whole)`, hidden."""
        hidden, none = np.empty((len(ids), self.shape.C_whole), np.float32), np.empty(0, np.float32)
        step(*self.weights, state.reshape(-1), ids, rows, room, hidden.reshape(-1), none, NOTHING)
        return hidden

    def write(self, state: Floats, writing: Writing) -> None:
        """Write all rows on, which changes their state."""
        room = self.room(len(state))
        none, nothing = np.empty(0, np.int64), np.empty(0, np.float32)
        log_probs = np.empty(len(state) * len(self.head.biases), np.float32)
        step(*self.weights, state.reshape(-1), none, none, room, nothing, log_probs, writing.arrays())


class CompiledStates(StateDecoder[Floats], DrawingDecoder):
    """A `Decoder` of recurrent networks, all rows in one call."""

    def __init__(
        self, vocabulary: Vocabulary, network: CompiledRecurrent, prompts: Sequence[Ids], depth: int
    ) -> None:
        self.network = network
        self.room = network.room()
        super().__init__(vocabulary, prompts, depth)

    @property
    def work(self) -> int:
        return self.network.work

    def start(self, rows: int) -> Floats:
        return self.read(self.network.start(rows), [np.array([self.vocabulary.eos])] * rows)

    def read(self, state: Floats, ids: Sequence[Ids]) -> Floats:
        return self._read(state, *by_steps(ids))[0]

    def read_every(self, state: Floats, ids: Sequence[Ids]) -> tuple[Floats, list[Floats]]:
        tokens, rows = by_steps(ids)
        state, hidden = self._read(state, tokens, rows)
        log_probs = self.network.head.log_probs(hidden)
        return state, [log_probs[rows == row] for row in range(len(ids))]

    def _read(self, state: Floats, tokens: Int64Array, rows: Int64Array) -> tuple[Floats, Floats]:
        after = state.copy()
        return after, self.network.read(after, self.room, tokens, rows)

    def draw(self, draws: Draws) -> tuple[list[Ids], list[Floats]]:
        state, writing = self.state.copy(), Writing.by(draws)
        self.network.write(state, writing)
        self.state = state
        drawn, log_probs = writing.drawn()
        self.remember(drawn)
        return drawn, log_probs

    def take(self, state: Floats, rows: list[int]) -> Floats:
        return state[rows]

    def join(self, one: Floats, other: Floats) -> Floats:
        return np.concatenate([one, other])

    def distributions(self, state: Floats) -> Floats:
        return self.network.head.log_probs(state[:, -1, 0])


def by_steps(ids: Sequence[Ids]) -> tuple[Int64Array, Int64Array]:
    """The tokens of rows, the first of each, then the second, …; and the row of each of them."""
    if all(len(some) == 1 for some in ids):
        return np.array(ids, np.int64).reshape(-1), np.arange(len(ids))
    lengths = np.array([len(some) for some in ids])
    rows = np.repeat(np.arange(len(ids)), lengths)
    steps = np.concatenate([np.arange(length) for length in lengths])
    order = np.argsort(steps, kind="stable")
    return np.concatenate(list(ids)).astype(np.int64)[order], rows[order]


@torch.inference_mode()
def table_of(model: RecurrentModules, V: int) -> Floats:
    """What the first layer reads of each token, `(V, I)`."""
    chunks = torch.arange(V).split(CHUNK_TOKENS)
    return np.concatenate([array_of(model.embedding(chunk[None])[0]) for chunk in chunks])
