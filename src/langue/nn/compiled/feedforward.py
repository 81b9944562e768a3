"""A feed-forward model of a fixed order as a compiled step: `models/networks/nplm.py` has its formula.

Letters: N contexts, n order, m width of a word vector, h hidden units, V vocabulary; w: padded.
"""

import numpy as np

from langue.base.arrays import Floats, Int64Array
from langue.base.compiled import njit
from langue.nn.compiled.head import CompiledHead
from langue.nn.compiled.layout import Layout, array_of, room_for
from langue.nn.compiled.numbers import FAST, tanh
from langue.nn.compiled.panels import PIECE, ROWS, multiply, padded, quantize_vector
from langue.nn.compiled.plan import FeedForwardModules
from langue.nn.compiled.rows import add
from langue.nn.fast.compiled_step import Weights


class CompiledFeedForward:
    """Weights laid out for the compiled step."""

    def __init__(self, model: FeedForwardModules, weights: Weights | None = None) -> None:
        self.hidden, inputs = model.hidden.weight.shape
        self.table, self.kind = array_of(model.embedding.weight), weights
        layout, rows = Layout(weights), (1, self.hidden, padded(self.hidden, ROWS))
        layout.add_matrix(model.hidden.weight, rows, (1, inputs, padded(inputs, PIECE)))
        layout.add_vector(model.hidden.bias, rows)
        self.matrix, self.scales, self.biases = layout.matrices, layout.scales, layout.vectors
        self.head = CompiledHead(model.head, weights)

    def log_probs(self, before: Int64Array) -> Floats:
        """`(N, V)` after contexts `(N, n - 1)`."""
        inputs = padded(before.shape[1] * self.table.shape[1], PIECE)
        read = np.zeros((len(before), self.head.width), np.float32)
        room = room_for(len(before) * inputs, weights=self.kind)
        _step(
            self.table, self.matrix, self.scales, self.biases, before, self.hidden, inputs, self.head.inputs,
            room, read,
        )  # fmt: skip
        return self.head.log_probs(read)


@njit
def _step(table, matrix, scales, biases, before, hidden, inputs, given, a, y):
    """What the head reads: the hidden units, and behind them, where it asks for more, what they read.

    Args:
        table: `(V, m)`, word vectors. matrix: `(h, (n - 1) m)` in panels; scales, biases: of its rows.
        before: `(N, n - 1)`. hidden: h. inputs: (n - 1) m, padded. given: numbers that the head reads.
        a: room for what is multiplied, in the type that it is multiplied in.
        y: `(N, width of the head)`, zeros.
    """
    N, words = before.shape
    m, units, zero = table.shape[1], len(biases), np.int64(0)
    x, h = np.zeros(N * inputs, np.float32), np.empty(N * units, np.float32)
    a_scales = np.empty(N, np.float32)
    for n in range(N):
        row = x[n * inputs : (n + 1) * inputs]
        for word in range(words):
            row[word * m : (word + 1) * m] = table[before[n, word]]
        a_scales[n] = quantize_vector(row, a[n * inputs : (n + 1) * inputs])
    multiply(matrix, zero, units // ROWS, ROWS * inputs, inputs, scales, zero, a, zero, inputs, a_scales, N,
             h, zero, units)  # fmt: skip
    for n in range(N):
        row = h[n * units : (n + 1) * units]
        add(row, biases)
        _squash(row[:hidden], y[n])
        y[n, hidden:given] = x[n * inputs : n * inputs + given - hidden]


@njit(fastmath=FAST, error_model="numpy")
def _squash(x, y):
    for i in range(len(x)):
        y[i] = tanh(x[i])
