"""The last layer of a network as a compiled step: the distribution of the next token after hidden states."""

import numpy as np
from torch import nn

from langue.base.arrays import Floats
from langue.base.compiled import njit
from langue.nn.compiled.layout import Layout, room_for
from langue.nn.compiled.panels import PIECE, ROWS, multiply, padded, quantize_vector
from langue.nn.compiled.rows import add, log_softmax
from langue.nn.fast.compiled_step import Weights


class CompiledHead:
    """Softmax of a linear layer."""

    def __init__(self, linear: nn.Linear, weights: Weights | None) -> None:
        self.V, C = linear.weight.shape
        self.inputs, self.width, self.kind = C, padded(C, PIECE), weights
        layout, rows = Layout(weights), (1, self.V, padded(self.V, ROWS))
        layout.add_matrix(linear.weight, rows, (1, C, self.width))
        layout.add_vector(linear.bias, rows)
        self.matrix, self.scales, self.biases = layout.matrices, layout.scales, layout.vectors

    def log_probs(self, hidden: Floats) -> Floats:
        """`(N, V)` after hidden states `(N, width)`, padded with zeros."""
        result = np.empty((len(hidden), len(self.biases)), np.float32)
        if not len(hidden):
            return result[:, : self.V]
        a = room_for(hidden.size, weights=self.kind)
        flat = np.ascontiguousarray(hidden).reshape(-1)
        predict(self.matrix, self.scales, self.biases, flat, len(hidden), self.V, a, result.reshape(-1))
        return result[:, : self.V]


@njit
def predict(matrix, scales, biases, x, N, V, a, y):
    """Log-probabilities of the next token after each of N vectors.

    Args:
        matrix, scales: in panels. biases: `(Vw,)`.
        x: flat `(N, width)`, padded with zeros. a: room for them, in the type that they are multiplied in.
        y: flat `(N, Vw)`.
    """
    Vw, zero = len(biases), np.int64(0)
    width = len(x) // N
    a_scales = np.empty(N, np.float32)
    for n in range(N):
        a_scales[n] = quantize_vector(x[n * width : (n + 1) * width], a[n * width : (n + 1) * width])
    multiply(
        matrix, zero, Vw // ROWS, ROWS * width, width, scales, zero, a, zero, width, a_scales, N, y, zero, Vw
    )
    for n in range(N):
        row = y[n * Vw : n * Vw + V]
        add(row, biases[:V])
        log_softmax(row)
