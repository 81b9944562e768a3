"""A causal Transformer with pre-layer norm that reads some tokens, in one function: `nn/` has its formulas.

The tokens of a call may belong to any sequences, and several to one: a step of generation, of many rows, or
a prompt read at once. Keys and values of what a sequence read lie in the cache, in panels as weights are, so
that scores, and what is mixed by them, are the same products. Rows that are written on draw their next tokens
and read them in the same call; one that is alone is drafted ahead (`drafting.py`).
Letters: L layers, C channels, H heads, G heads of keys and values, D head width, T positions, V vocabulary,
N tokens; w where it is padded.
"""

from typing import NamedTuple

import numpy as np

from langue.base.compiled import njit
from langue.nn.compiled.choice import choose, write_on
from langue.nn.compiled.crew import gather
from langue.nn.compiled.drafting import MOST, count_to_draft, learn
from langue.nn.compiled.mixing import fork, mix_in, read_on
from langue.nn.compiled.rows import (
    activate,
    add,
    copy,
    log_softmax,
    multiply_by,
    normalize,
    normalize_head,
    rotate,
)
from langue.nn.compiled.shares import AT_ONCE, assist, attend, by_draft, product, put, remember

F = np.float32


class Shape(NamedTuple):
    """Sizes as they are, and as they are padded."""

    L: int
    C: int
    H: int
    G: int
    D: int
    V: int
    rms: int
    activation: int
    rotary: int
    qk_norm: int
    C_whole: int
    D_whole: int
    T_whole: int
    V_whole: int
    mixed: int  # H D_whole, padded
    read: int  # (H + 2 G) D_whole
    inner: int  # of the MLP, padded
    up: int  # outputs of its first matrix: twice that of a gated one


@njit
def read(crew, helper, shape, eps, table, positions, matrices, scales, vectors, keys, values, ids, rows, at,
         wanted, a, log_probs):  # fmt: skip
    """Read tokens; or, with the number of a helper, help whoever reads or writes, by these weights alone.

    Args:
        crew: whom products and attention are shared with. helper: 0 of the caller.
        others: of `_read`.
    """
    if helper:
        assist(crew, helper, matrices, scales, a)
        return
    gather(crew)
    _read(crew, shape, eps, table, positions, matrices, scales, vectors, keys, values, ids, rows, at,
          wanted, a, log_probs)  # fmt: skip


@njit
def write(  # noqa: C901  # one loop: drafted, read, mixed, drawn
    crew, shape, eps, table, positions, matrices, scales, vectors, keys, values, ids, rows, at, wanted,
          a, log_probs, slots, following, writing, pace, mixture):  # fmt: skip
    """Write rows on, once tokens are read.

    Args:
        crew: whom products and attention are shared with.
        slots: `(B,)`, those rows of the cache that are written on. `log_probs` has a row for each, and one
            for each token drafted of one alone.
        following: `(B,)`, the position after what each has read then.
        writing: of `write_token`. What a row draws last is not read.
        pace: of `drafting`; empty: nothing is drafted.
        mixture: what is mixed in before tokens are drawn (`mixing.py`).
        others: of `_read`.
    """
    gather(crew)
    V, Vw, B, counts = shape[5], shape[13], len(slots), writing[1]
    most = max(B, MOST + 1)
    going, index, drawn = np.arange(B), np.arange(most), np.empty(most, np.int64)
    into, offsets = np.empty(most, np.int64), np.empty(most, np.int64)
    t = np.int64(0)  # tokens drawn of each row
    while True:
        k = 0
        if len(pace) and B == len(ids) == 1:
            k = count_to_draft(pace, counts[going[0]] - 1 - t)
        if k:
            drawn[0] = ids[0]
            for j in range(k + 1):
                into[j], offsets[j] = rows[0], at[0] + j
            k = _draft(crew, shape, eps, table, positions, matrices, scales, vectors, keys, values, drawn,
                       into, offsets, index, a, log_probs, going[0], t, k, writing, mixture)  # fmt: skip
            ids, rows, at, wanted = drawn[: 1 + k], into[: 1 + k], offsets[: 1 + k], index[: 1 + k]
        _read(crew, shape, eps, table, positions, matrices, scales, vectors, keys, values, ids, rows, at,
              wanted, a, log_probs)  # fmt: skip
        for j in range(k + 1):
            for i in range(B):
                begin = (i + j) * Vw  # several are drafted of one row alone
                mix_in(mixture, going[i], log_probs[begin : begin + V])
            B = write_on(log_probs[j * Vw :], V, Vw, going, B, t, slots, following, writing, drawn, into,
                         offsets)  # fmt: skip
            if B == 0:
                return
            t += 1
            for i in range(B):
                read_on(mixture, going[i], drawn[i])
            if j < k:
                right = drawn[0] == drawn[1 + j]  # what was drafted, behind what was drawn
                learn(pace, right)
                if not right:
                    break
        ids, rows, at, wanted = drawn[:B], into[:B], offsets[:B], index[:B]


@njit(linked=True)
def _draft(crew, shape, eps, table, positions, matrices, scales, vectors, keys, values, ids, rows, at, index,
           a, log_probs, row, t, k, writing, mixture):  # fmt: skip
    """Put up to k tokens behind the first of `ids`, each as it would be drawn; how many they are.

    What is read has its keys and values in the cache, until they are read again.

    Args:
        ids, rows, at: with room. log_probs: room. others: of `_read`.
        row: that is written on. t: tokens that it has drawn.
    """
    numbers, _, settings, leads, states, ends, _, _ = writing
    V, state = shape[5], states[row]
    ahead = fork(mixture, row)
    by_draft(crew, True)
    for j in range(k):
        _read(crew, shape, eps, table, positions, matrices, scales, vectors, keys, values, ids[j : j + 1],
              rows[j : j + 1], at[j : j + 1], index[:1], a, log_probs)  # fmt: skip
        mix_in(mixture, ahead, log_probs[:V])
        token = choose(log_probs[:V], leads[state], settings[row], numbers[row, t + j])
        if token < 0 or token == ends[row]:
            k = j
            break
        read_on(mixture, ahead, token)
        ids[j + 1], state = token, leads[state, token]
    by_draft(crew, False)
    return k


@njit(linked=True)
def _read(  # noqa: PLR0915  # the layers of one network
    crew, shape, eps, table, positions, matrices, scales, vectors, keys, values, ids, rows, at, wanted,
          a, log_probs):  # fmt: skip
    """Read tokens.

    Args:
        shape: numbers of `Shape`. eps: `(2,)`, of the norms, of those of queries and keys.
        table: `(V, C)`, embeddings. positions: `(T, C)`, or angles `(T, D)`: cosines, then sines.
        matrices: of a layer, in panels: q k v, c_proj, c_fc, c_proj; behind the layers the head. scales: of
            their rows. vectors: of a layer, both norms' gains and biases, the biases of the matrices, the
            gains of queries and keys; behind the layers the gains and biases of the last norm.
        keys, values: flat, of all layers, rows and heads.
        ids: `(N,)`. rows: `(N,)`, of the cache. at: `(N,)`, positions; those of a row rise by 1.
        wanted: `(W,)`, rising, the tokens after which distributions are wanted. log_probs: `(W, V)`, flat.
        a: room for what is multiplied, in the type that it is multiplied in.
        matrices, scales, a: each a pair, of the network and of its draft; `by_draft` says which are taken.
    """
    L, C, H, G, D, V, rms, activation, rotary, qk_norm, Cw, Dw, Tw, Vw, mixed, read, inner, up = shape
    most, zero = min(len(ids), AT_ONCE), np.int64(0)
    x, h = np.zeros(most * Cw, F), np.zeros(most * Cw, F)
    qkv, mixture, m = np.empty(most * read, F), np.zeros(most * mixed, F), np.empty(most * up, F)
    h_up = np.empty(inner, F)
    scores, totals, a_scales = np.empty(most * Tw, F), np.empty(most, F), np.ones(most, F)
    weights_of_layer = (read + mixed + up + inner) * Cw
    rows_of_layer = read + Cw + up + Cw
    vectors_of_layer = 4 * Cw + rows_of_layer + 2 * Dw
    cached = len(keys) // L  # of a layer
    seen = np.empty(most, np.int64)
    done = 0  # of wanted
    for begin in range(0, len(ids), AT_ONCE):
        N = min(len(ids) - begin, AT_ONCE)
        for n in range(N):
            seen[n] = at[begin + n] + 1
            row = x[n * Cw : n * Cw + C]
            copy(table[ids[begin + n]], row)
            if not rotary:
                add(row, positions[at[begin + n]])
        for layer in range(L):
            matrix, scale = layer * weights_of_layer, layer * rows_of_layer
            norms = layer * vectors_of_layer
            bias = norms + 4 * Cw
            gains = vectors[bias + rows_of_layer : bias + rows_of_layer + 2 * Dw]

            _normalize(x, N, C, Cw, rms, eps[0], vectors[norms:], h, a, a_scales, crew)
            product(crew, matrices, matrix, read, Cw, scales, scale, a, a_scales, N, qkv, zero, scores,
                    totals)  # fmt: skip
            for n in range(N):
                row = qkv[n * read : (n + 1) * read]
                add(row, vectors[bias : bias + read])
                _turn(row, H, G, D, Dw, qk_norm, eps[1], gains, rotary, positions[at[begin + n]])
                first = layer * cached + rows[begin + n] * G * Tw * Dw
                remember(row[H * Dw :], G, Dw, Tw, keys, values, first, at[begin + n])
            attend(crew, qkv, read, H, G, Dw, Tw, keys, values, layer * cached, rows[begin : begin + N],
                   seen, N, matrices, scales, a, scores, totals, mixture, mixed)  # fmt: skip
            for n in range(N):
                a_scales[n] = put(mixture[n * mixed : (n + 1) * mixed], a, n * mixed, crew)
            matrix, scale, bias = matrix + read * Cw, scale + read, bias + read
            product(crew, matrices, matrix, Cw, mixed, scales, scale, a, a_scales, N, h, zero, scores, totals)
            _add(x, N, C, Cw, h, vectors[bias : bias + Cw])

            _normalize(x, N, C, Cw, rms, eps[0], vectors[norms + 2 * Cw :], h, a, a_scales, crew)
            matrix, scale, bias = matrix + mixed * Cw, scale + Cw, bias + Cw
            product(crew, matrices, matrix, up, Cw, scales, scale, a, a_scales, N, m, zero, scores, totals)
            for n in range(N):
                row = m[n * up : (n + 1) * up]
                add(row, vectors[bias : bias + up])
                activate(row[:inner], row[up - inner :], activation, h_up)
                a_scales[n] = put(h_up, a, n * inner, crew)
            matrix, scale, bias = matrix + up * Cw, scale + up, bias + up
            product(crew, matrices, matrix, Cw, inner, scales, scale, a, a_scales, N, h, zero, scores, totals)
            _add(x, N, C, Cw, h, vectors[bias : bias + Cw])

        last = done
        while last < len(wanted) and wanted[last] < begin + N:
            n, k = wanted[last] - begin, last - done
            copy(x[n * Cw : (n + 1) * Cw], x[k * Cw : (k + 1) * Cw])  # k <= n
            last += 1
        _normalize(x, last - done, C, Cw, rms, eps[0], vectors[L * vectors_of_layer :], h, a, a_scales,
                   crew)  # fmt: skip
        matrix, scale = L * weights_of_layer, L * rows_of_layer
        product(crew, matrices, matrix, Vw, Cw, scales, scale, a, a_scales, last - done, log_probs, done * Vw,
                scores, totals)  # fmt: skip
        for k in range(done, last):
            log_softmax(log_probs[k * Vw : k * Vw + V])
        done = last


@njit
def _normalize(x, N, C, Cw, rms, eps, vectors, h, a, a_scales, crew):
    """The norm whose gains and biases the vectors begin with, ready to be multiplied."""
    for n in range(N):
        y = h[n * Cw : (n + 1) * Cw]
        normalize(x[n * Cw : n * Cw + C], vectors[:C], vectors[Cw : Cw + C], rms, eps, y[:C])
        y[C:] = F(0)
        a_scales[n] = put(y, a, n * Cw, crew)


@njit
def _add(x, N, C, Cw, h, biases):
    for n in range(N):
        row = x[n * Cw : n * Cw + C]
        add(row, h[n * Cw : n * Cw + C])
        add(row, biases[:C])


@njit
def _turn(x, H, G, D, Dw, qk_norm, eps, gains, rotary, angles):
    """Norm and rotate queries and keys; queries are scaled by 1 / √D."""
    factor = F(1) / F(np.sqrt(F(D)))
    for head in range(H + G):
        part = x[head * Dw : head * Dw + D]
        own = factor if head < H else F(1)
        if qk_norm:
            first = 0 if head < H else Dw
            normalize_head(part, gains[first : first + D], eps, own)
        elif head < H:
            multiply_by(part, own)
        if rotary:
            rotate(part[: D // 2], part[D // 2 :], angles[: D // 2], angles[D // 2 :])
