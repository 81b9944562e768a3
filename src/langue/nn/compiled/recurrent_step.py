"""Recurrent layers that read some tokens, in one function: `nn/recurrent.py` has their formulas.

What a layer reads of all tokens of a call is one product; what it carries on from step to step is one of all
rows that stand at a step. Rows that are written on draw their next tokens and read them in the same call.
Letters: L layers, C width, G gates, I inputs, V vocabulary, N tokens, B rows; w: padded.
"""

from typing import NamedTuple

import numpy as np

from langue.base.compiled import njit
from langue.nn.compiled.choice import keep_going, write_tokens
from langue.nn.compiled.head import predict
from langue.nn.compiled.numbers import FAST, sigmoid, tanh
from langue.nn.compiled.panels import ROWS, multiply, quantize_vector
from langue.nn.compiled.rows import add, copy

F = np.float32
AT_ONCE = 48  # tokens
ELMAN, GRU, LSTM = 0, 1, 2


class Shape(NamedTuple):
    """Sizes as they are, and as they are padded."""

    L: int
    cell: int
    gates: int
    parts: int  # of a state: h, and the c of an LSTM
    I: int  # noqa: E741
    V: int
    I_whole: int
    C_whole: int


@njit
def step(shape, table, matrices, scales, vectors, head, head_scales, head_biases, state, ids, rows, a, y,
         log_probs, writing):  # fmt: skip
    """Read tokens, and write all rows on.

    Args:
        head, head_scales, head_biases: of `head.predict`.
        log_probs: flat `(B, Vw)`, room; of no rows, tokens are read and no more.
        writing: of `write_token`.
        others: of `_read`.
    """
    L, parts, V, Cw, Vw = shape[0], shape[3], shape[5], shape[7], len(head_biases)
    B, t = len(log_probs) // Vw, 0
    going, drawn, into = np.arange(B), np.empty(B, np.int64), np.empty(B, np.int64)
    hidden = np.empty(B * Cw, F)
    tokens = writing[6]
    while True:
        _read(shape, table, matrices, scales, vectors, state, ids, rows, a, y)
        if B == 0:
            return
        for j in range(B):
            h = (going[j] * L + L - 1) * parts * Cw
            copy(state[h : h + Cw], hidden[j * Cw : (j + 1) * Cw])
        predict(head, head_scales, head_biases, hidden[: B * Cw], B, V, a, log_probs)
        write_tokens(log_probs, V, Vw, going, B, t, writing)
        N = keep_going(going, B, t, writing)  # what is drawn last is read as well
        for j in range(N):
            into[j], drawn[j] = going[j], tokens[going[j], t]
        ids, rows, y, t = drawn[:N], into[:N], hidden, t + 1
        B = keep_going(going, N, t, writing)


@njit(linked=True)
def _read(shape, table, matrices, scales, vectors, state, ids, rows, a, y):
    """Read tokens.

    Args:
        shape: numbers of `Shape`. table: `(V, I)`, embeddings.
        matrices: of a layer, in panels: of what it reads, of its state before; G Cw rows each. scales: of
            their rows. vectors: of a layer, the biases of both.
        state: flat `(B, L, parts, Cw)`, which what is read changes.
        ids: `(N,)`. rows: `(N,)`, of the state: those that stand at one step rise, and the next step begins
            where one does not.
        a: room for what is multiplied, in the type that it is multiplied in.
        y: flat `(N, Cw)`: the hidden states of the last layer.
    """
    L, cell, G, parts, inputs, _, Iw, Cw = shape
    most, zero = min(len(ids), AT_ONCE), np.int64(0)
    wide, gates = max(Iw, Cw), G * Cw
    x, read, carried = np.zeros(most * wide, F), np.empty(most * gates, F), np.empty(most * gates, F)
    a_scales = np.ones(most, F)
    for begin in range(0, len(ids), AT_ONCE):
        N = min(len(ids) - begin, AT_ONCE)
        for n in range(N):
            x[n * Iw : n * Iw + inputs] = table[ids[begin + n]]
        width, matrix = Iw, 0
        for layer in range(L):
            scale = bias = 2 * layer * gates
            for n in range(N):
                a_scales[n] = quantize_vector(x[n * width : (n + 1) * width], a[n * width : (n + 1) * width])
            multiply(matrices, matrix, gates // ROWS, ROWS * width, width, scales, scale, a, zero, width,
                     a_scales, N, read, zero, gates)  # fmt: skip
            matrix, scale = matrix + gates * width, scale + gates
            first = 0
            while first < N:
                end = first + 1
                while end < N and rows[begin + end] > rows[begin + end - 1]:
                    end += 1
                for n in range(first, end):
                    h = (rows[begin + n] * L + layer) * parts * Cw
                    k = n - first
                    a_scales[k] = quantize_vector(state[h : h + Cw], a[k * Cw : (k + 1) * Cw])
                multiply(matrices, matrix, gates // ROWS, ROWS * Cw, Cw, scales, scale, a, zero, Cw, a_scales,
                         end - first, carried, first * gates, gates)  # fmt: skip
                for n in range(first, end):
                    own, before = read[n * gates : (n + 1) * gates], carried[n * gates : (n + 1) * gates]
                    add(own, vectors[bias : bias + gates])
                    add(before, vectors[bias + gates : bias + 2 * gates])
                    h = (rows[begin + n] * L + layer) * parts * Cw
                    _cell(cell, own, before, state[h : h + Cw], state[h + (parts - 1) * Cw : h + parts * Cw])
                    x[n * Cw : (n + 1) * Cw] = state[h : h + Cw]
                first = end
            width, matrix = Cw, matrix + gates * Cw
        y[begin * Cw : (begin + N) * Cw] = x[: N * Cw]
        x[:] = F(0)


@njit(fastmath=FAST, error_model="numpy")
def _cell(cell, read, carried, h, c):
    """One step of `(C,)` units, by the sums of what they read and of what they carry, gate after gate."""
    C = len(h)
    if cell == ELMAN:
        for i in range(C):
            h[i] = tanh(read[i] + carried[i])
    elif cell == GRU:
        for i in range(C):
            r = sigmoid(read[i] + carried[i])
            z = sigmoid(read[C + i] + carried[C + i])
            new = tanh(read[2 * C + i] + r * carried[2 * C + i])
            h[i] = new + z * (h[i] - new)
    else:
        for i in range(C):
            kept = sigmoid(read[C + i] + carried[C + i]) * c[i]
            c[i] = kept + sigmoid(read[i] + carried[i]) * tanh(read[2 * C + i] + carried[2 * C + i])
            h[i] = sigmoid(read[3 * C + i] + carried[3 * C + i]) * tanh(c[i])
