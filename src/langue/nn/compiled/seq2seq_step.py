"""The decoder of an encoder–decoder that reads some tokens, in one function: post- or pre-layer norm.

As `transformer_step.py`, with attention to the memory of a source in the middle of each layer. The keys and
values of that lie in a cache of their own, in the same panels, put there once for a source.
Letters: L layers, C channels, H heads, D head width, T positions, S positions of a memory, V vocabulary, N
tokens; w where it is padded.
"""

from typing import NamedTuple

import numpy as np

from langue.base.compiled import njit
from langue.nn.compiled.choice import write_on
from langue.nn.compiled.crew import gather
from langue.nn.compiled.rows import activate, add, copy, log_softmax, multiply_by, normalize
from langue.nn.compiled.shares import AT_ONCE, assist, attend, product, put, remember

F = np.float32


class Shape(NamedTuple):
    """Sizes as they are, and as they are padded."""

    L: int
    C: int
    H: int
    D: int
    V: int
    pre: int  # layer norm comes first, and one more behind the layers
    activation: int
    embedding_norm: int
    prediction: int  # one more layer, with a norm, before the head
    C_whole: int
    D_whole: int
    V_whole: int
    mixed: int  # H D_whole, padded
    inner: int  # of the MLP, padded


@njit
def step(crew, helper, shape, eps, table, matrices, scales, vectors, positions, keys, values, memory_keys,
         memory_values, sizes, looked_at, ids, rows, at, wanted, a, log_probs, slots, following,
         writing):  # fmt: skip
    """Read tokens, and write on; or, with the number of a helper, help whoever does, by these weights alone.

    Args:
        crew: whom products and attention are shared with. helper: 0 of the caller.
        slots, following, writing: of `transformer_step.write`.
        others: of `_read`.
    """
    if helper:
        assist(crew, helper, matrices, scales, a)
        return
    gather(crew)
    V, Vw, B = shape[4], shape[11], len(slots)
    going, index = np.arange(B), np.arange(B)
    drawn, into, offsets, t = np.empty(B, np.int64), np.empty(B, np.int64), np.empty(B, np.int64), 0
    while True:
        _read(crew, shape, eps, table, matrices, scales, vectors, positions, keys, values, memory_keys,
              memory_values, sizes, looked_at, ids, rows, at, wanted, a, log_probs)  # fmt: skip
        B = write_on(log_probs, V, Vw, going, B, t, slots, following, writing, drawn, into, offsets)
        if B == 0:
            return
        ids, rows, at, wanted, t = drawn[:B], into[:B], offsets[:B], index[:B], t + 1


@njit(linked=True)
def _read(  # noqa: C901, PLR0915  # the layers of one network
    crew, shape, eps, table, matrices, scales, vectors, positions, keys, values, memory_keys, memory_values,
          sizes, looked_at, ids, rows, at, wanted, a, log_probs):  # fmt: skip
    """Read tokens.

    Args:
        shape: numbers of `Shape`. eps: `(1,)`, of the norms. table: `(V, C)`, embeddings.
        matrices: of a layer, in panels: q k v, the projection of what they mix, q of the memory, the
            projection of that, those of the MLP; behind the layers that of the prediction, and the head.
            scales: of their rows. vectors: gains and biases of the norm of embeddings; of a layer those of
            its three norms and the biases of the matrices; behind the layers gains and biases of the last
            norm, the bias of the prediction, that of the head.
        positions: `(T, C)`. keys, values: flat, of all layers, rows and heads; memory_keys, memory_values.
        sizes: `(2,)`, Tw and Sw. looked_at: of each row of the caches, the positions of its memory.
        ids: `(N,)`. rows: `(N,)`, of the caches. at: `(N,)`, positions; those of a row rise by 1.
        wanted: `(W,)`, rising, the tokens after which distributions are wanted. log_probs: `(W, V)`, flat.
        a: room for what is multiplied, in the type that it is multiplied in.
    """
    L, C, H, D, V, pre, activation, embedding_norm, prediction, Cw, Dw, Vw, mixed, inner = shape
    Tw, Sw = sizes[0], sizes[1]
    most, zero, read, heads = min(len(ids), AT_ONCE), np.int64(0), 3 * H * Dw, H * Dw
    x, h = np.zeros(most * Cw, F), np.zeros(most * Cw, F)
    qkv, mixture, m = np.empty(most * read, F), np.zeros(most * mixed, F), np.empty(most * inner, F)
    h_up = np.empty(inner, F)
    scores, totals, a_scales = np.empty(most * max(Tw, Sw), F), np.empty(most, F), np.ones(most, F)
    seen, seen_of_memory = np.empty(most, np.int64), np.empty(most, np.int64)
    cached, remembered = len(keys) // L, len(memory_keys) // L  # of a layer
    factor = F(1) / F(np.sqrt(F(D)))
    done = 0  # of wanted
    for begin in range(0, len(ids), AT_ONCE):
        N = min(len(ids) - begin, AT_ONCE)
        for n in range(N):
            seen[n], seen_of_memory[n] = at[begin + n] + 1, looked_at[rows[begin + n]]
            row = x[n * Cw : n * Cw + C]
            copy(table[ids[begin + n]], row)
            add(row, positions[at[begin + n]])
            if embedding_norm:
                normalize(row, vectors[:C], vectors[Cw : Cw + C], False, eps[0], row)
        matrix, scale, vector = zero, zero, 2 * Cw
        for layer in range(L):
            bias = vector + 6 * Cw
            _prepare(x, N, C, Cw, pre, eps[0], vectors[vector:], h, a, a_scales, crew)
            product(crew, matrices, matrix, read, Cw, scales, scale, a, a_scales, N, qkv, zero, scores,
                    totals)  # fmt: skip
            for n in range(N):
                row = qkv[n * read : (n + 1) * read]
                add(row, vectors[bias : bias + read])
                multiply_by(row[:heads], factor)
                first = layer * cached + rows[begin + n] * heads * Tw
                remember(row[heads:], H, Dw, Tw, keys, values, first, at[begin + n])
            attend(crew, qkv, read, H, H, Dw, Tw, keys, values, layer * cached, rows[begin : begin + N],
                   seen, N, matrices, scales, a, scores, totals, mixture, mixed)  # fmt: skip
            matrix, scale, bias = matrix + read * Cw, scale + read, bias + read
            for n in range(N):
                a_scales[n] = put(mixture[n * mixed : (n + 1) * mixed], a, n * mixed, crew)
            product(crew, matrices, matrix, Cw, mixed, scales, scale, a, a_scales, N, h, zero, scores, totals)
            _add(x, N, C, Cw, h, vectors[bias : bias + Cw], pre, eps[0], vectors[vector:])

            matrix, scale, bias = matrix + mixed * Cw, scale + Cw, bias + Cw
            _prepare(x, N, C, Cw, pre, eps[0], vectors[vector + 2 * Cw :], h, a, a_scales, crew)
            product(crew, matrices, matrix, heads, Cw, scales, scale, a, a_scales, N, qkv, zero, scores,
                    totals)  # fmt: skip
            for n in range(N):
                row = qkv[n * heads : (n + 1) * heads]
                add(row, vectors[bias : bias + heads])
                multiply_by(row, factor)
            attend(crew, qkv, heads, H, H, Dw, Sw, memory_keys, memory_values, layer * remembered,
                   rows[begin : begin + N], seen_of_memory, N, matrices, scales, a, scores, totals, mixture,
                   mixed)  # fmt: skip
            matrix, scale, bias = matrix + heads * Cw, scale + heads, bias + heads
            for n in range(N):
                a_scales[n] = put(mixture[n * mixed : (n + 1) * mixed], a, n * mixed, crew)
            product(crew, matrices, matrix, Cw, mixed, scales, scale, a, a_scales, N, h, zero, scores, totals)
            _add(x, N, C, Cw, h, vectors[bias : bias + Cw], pre, eps[0], vectors[vector + 2 * Cw :])

            matrix, scale, bias = matrix + mixed * Cw, scale + Cw, bias + Cw
            _prepare(x, N, C, Cw, pre, eps[0], vectors[vector + 4 * Cw :], h, a, a_scales, crew)
            product(crew, matrices, matrix, inner, Cw, scales, scale, a, a_scales, N, m, zero, scores, totals)
            for n in range(N):
                row = m[n * inner : (n + 1) * inner]
                add(row, vectors[bias : bias + inner])
                activate(row, row, activation, h_up)
                a_scales[n] = put(h_up, a, n * inner, crew)
            matrix, scale, bias = matrix + inner * Cw, scale + inner, bias + inner
            product(crew, matrices, matrix, Cw, inner, scales, scale, a, a_scales, N, h, zero, scores, totals)
            _add(x, N, C, Cw, h, vectors[bias : bias + Cw], pre, eps[0], vectors[vector + 4 * Cw :])
            matrix, scale, vector = matrix + inner * Cw, scale + Cw, bias + Cw

        last = done
        while last < len(wanted) and wanted[last] < begin + N:
            n, k = wanted[last] - begin, last - done
            copy(x[n * Cw : (n + 1) * Cw], x[k * Cw : (k + 1) * Cw])  # k <= n
            last += 1
        W, bias = last - done, vector + 2 * Cw
        _prepare(x, W, C, Cw, pre, eps[0], vectors[vector:], h, a, a_scales, crew)
        if prediction:
            product(crew, matrices, matrix, Cw, Cw, scales, scale, a, a_scales, W, h, zero, scores, totals)
            for k in range(W):
                row = h[k * Cw : (k + 1) * Cw]
                add(row, vectors[bias : bias + Cw])
                activate(row, row, activation, x[k * Cw : (k + 1) * Cw])
            matrix, scale = matrix + Cw * Cw, scale + Cw
            _prepare(x, W, C, Cw, np.int64(1), eps[0], vectors[vector:], h, a, a_scales, crew)
        bias += Cw
        product(crew, matrices, matrix, Vw, Cw, scales, scale, a, a_scales, W, log_probs, done * Vw, scores,
                totals)  # fmt: skip
        for k in range(done, last):
            row = log_probs[k * Vw : k * Vw + V]
            add(row, vectors[bias : bias + V])
            log_softmax(row)
        done = last


@njit
def _prepare(x, N, C, Cw, norm, eps, vectors, h, a, a_scales, crew):
    """Make ready to be multiplied what stands there, or its norm, whose gains and biases come first."""
    for n in range(N):
        if norm:
            y = h[n * Cw : (n + 1) * Cw]
            normalize(x[n * Cw : n * Cw + C], vectors[:C], vectors[Cw : Cw + C], False, eps, y[:C])
            y[C:] = F(0)
        else:
            y = x[n * Cw : (n + 1) * Cw]
        a_scales[n] = put(y, a, n * Cw, crew)


@njit
def _add(x, N, C, Cw, h, biases, pre, eps, vectors):
    """Add what a part of a layer makes, and a norm where it comes after."""
    for n in range(N):
        row = x[n * Cw : n * Cw + C]
        add(row, h[n * Cw : n * Cw + C])
        add(row, biases[:C])
        if not pre:
            normalize(row, vectors[:C], vectors[Cw : Cw + C], False, eps, row)
