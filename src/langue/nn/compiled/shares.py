"""Products and attention that a caller shares with helpers (`crew.py`).

The caller writes down what is to be done, and offers shares of it. numba compiles every function once more
into each that calls it, so that these are not many calls deep.
Letters: H heads, G heads of keys and values, D head width, T positions, N tokens; w where it is padded.
"""

import numpy as np

from langue.base.compiled import njit
from langue.nn.compiled.crew import TASK, array_at, await_share, left_over, offer, share_of, task_of
from langue.nn.compiled.panels import GROUP, ROWS, multiply, quantize_vector
from langue.nn.compiled.rows import exponentiate, multiply_by

F = np.float32
AT_ONCE = 128  # tokens: what they need between the layers stays in the cache
ALIKE = 32  # of a row, which look at nearly as many positions: all are multiplied by those of the last
PRODUCT, ATTENTION = 0, 1
DRAFTED = TASK - 1  # of a task: whether its products are those of a draft


@njit
def assist(crew, helper, matrices, scales, a):
    """Do shares until none comes any more.

    Args:
        matrices, scales, a: of `product`.
    """
    scores, totals = np.empty(0, F), np.empty(AT_ONCE, F)
    while await_share(crew, helper):
        begin, end = share_of(crew, helper)
        task = task_of(crew)
        if task[0] == ATTENTION and len(scores) < AT_ONCE * task[4]:
            scores = np.empty(AT_ONCE * task[4], F)  # of as many positions as this caller has
        _do(crew, begin, end, matrices, scales, a, scores, totals)


@njit(inline="always")
def by_draft(crew, whether):
    """Say by which weights is multiplied from now on."""
    task_of(crew)[DRAFTED] = whether


@njit
def put(x, a, begin, crew):
    """Put a vector where those stand that are multiplied; returns its scale."""
    if task_of(crew)[DRAFTED]:
        return quantize_vector(x, a[1][begin : begin + len(x)])
    return quantize_vector(x, a[0][begin : begin + len(x)])


@njit
def _finish(crew, own, matrices, scales, a, scores, totals):
    """Do the caller's own share, and those that no helper has begun; wait for the others.

    Args:
        own: units, the first ones.
    """
    helper, begin, end = 0, np.int64(0), own
    while True:
        _do(crew, begin, end, matrices, scales, a, scores, totals)
        helper += 1
        while helper <= crew[0] and not left_over(crew, helper):
            helper += 1
        if helper > crew[0]:
            return
        begin, end = share_of(crew, helper)


@njit(inline="always")
def product(crew, matrices, offset, outputs, inputs, scales, first_scale, a, a_scales, N, y, y_offset, scores,
            totals):  # fmt: skip
    """`panels.multiply` of a matrix, which begins at `offset`, and of vectors, one after another.

    Args:
        matrices, scales: of all products, and the same of a draft.
        a: what they multiply, and the same of a draft.
        outputs, inputs: padded to whole panels, and pieces. y: flat; the products go there from y_offset on.
        scores, totals: room.
    """
    own = _offer_product(crew, offset, outputs, inputs, first_scale, a, a_scales, N, y, y_offset)
    _finish(crew, own, matrices, scales, a, scores, totals)


@njit(inline="always")
def attend(crew, q, read, H, G, Dw, Tw, keys, values, offset, rows, seen, N, matrices, scales, a, scores,
           totals, y, mixed):  # fmt: skip
    """softmax(q kᵀ) v of N tokens, those of a row at once.

    Args:
        q: flat `(N, read)`: a token's queries come first.
        keys, values: flat; those of the layer begin at `offset`.
        rows: `(N,)`, of the cache. seen: `(N,)`, positions that each looks at, the first ones.
        scores, totals: room. y: flat `(N, mixed)`.
    """
    own = _offer_attention(crew, q, read, H, G, Dw, Tw, keys, values, offset, rows, seen, N, y, mixed)
    _finish(crew, own, matrices, scales, a, scores, totals)


@njit
def _offer_product(crew, offset, outputs, inputs, first_scale, x, x_scales, columns, y, y_offset):
    """Units are groups of panels that are read abreast."""
    task = task_of(crew)
    task[0] = PRODUCT
    task[1], task[2], task[3], task[4] = offset, outputs, inputs, first_scale
    if task[DRAFTED]:
        task[5], task[6] = x[1].ctypes.data, len(x[1])
    else:
        task[5], task[6] = x[0].ctypes.data, len(x[0])
    task[7], task[8] = x_scales.ctypes.data, len(x_scales)
    task[9], task[10], task[11], task[12] = columns, y.ctypes.data, len(y), y_offset
    return offer(crew, (outputs + GROUP - 1) // GROUP, outputs * inputs * columns)


@njit
def _offer_attention(crew, q, read, H, G, Dw, Tw, keys, values, offset, rows, seen, N, y, mixed):
    """Units are heads."""
    task = task_of(crew)
    task[0] = ATTENTION
    task[1], task[2], task[3], task[4], task[5] = H, G, Dw, Tw, offset
    task[6], task[7], task[8] = q.ctypes.data, len(q), read
    task[9], task[10], task[11] = keys.ctypes.data, values.ctypes.data, len(keys)
    task[12], task[13], task[14], task[15] = rows.ctypes.data, len(rows), seen.ctypes.data, N
    task[16], task[17], task[18] = y.ctypes.data, len(y), mixed
    looked_at = np.int64(0)
    for n in range(N):
        looked_at += seen[n]
    return offer(crew, H, 2 * looked_at * H * Dw)


@njit(linked=True)
def _do(crew, begin, end, matrices, scales, a, scores, totals):
    """Some units of a task. Scores and totals are room."""
    task = task_of(crew)
    if task[0] == ATTENTION:
        _attend(task, begin, end, scores, totals)
        return
    if task[DRAFTED]:
        _multiply(task, begin, end, matrices[1], scales[1], a[1])
    else:
        _multiply(task, begin, end, matrices[0], scales[0], a[0])


@njit
def _multiply(task, begin, end, matrices, scales, a):
    outputs, inputs = task[2], task[3]
    first, last = begin * GROUP, min(end * GROUP, outputs)
    x, x_scales = array_at(task[5], task[6], a), array_at(task[7], task[8], scales)
    y = array_at(task[10], task[11], scales)
    multiply(matrices, task[1] + first * inputs, (last - first) // ROWS, ROWS * inputs, inputs, scales,
             task[4] + first, x, np.int64(0), inputs, x_scales, task[9], y, task[12] + first,
             outputs)  # fmt: skip


@njit
def _attend(task, begin, end, scores, totals):
    H, G, Dw, Tw, offset = task[1], task[2], task[3], task[4], task[5]
    q, read = array_at(task[6], task[7], scores), task[8]
    keys, values = array_at(task[9], task[11], scores), array_at(task[10], task[11], scores)
    rows, seen, N = array_at(task[12], task[13], task), array_at(task[14], task[13], task), task[15]
    y, mixed = array_at(task[16], task[17], scores), task[18]
    first, zero = 0, np.int64(0)
    while first < N:
        row, last = rows[first], first + 1
        while last < min(N, first + ALIKE) and rows[last] == row:
            last += 1
        size = (seen[last - 1] + ROWS - 1) // ROWS * ROWS  # positions, in whole panels
        for head in range(begin, end):
            lies = offset + (row * G + head // (H // G)) * Tw * Dw
            multiply(keys, lies, size // ROWS, ROWS * Dw, Dw, scores, zero, q, first * read + head * Dw, read,
                     totals, last - first, scores, first * Tw, Tw)  # fmt: skip
            for n in range(first, last):
                totals[n] = exponentiate(scores[n * Tw : n * Tw + size], seen[n])
            multiply(values, lies, Dw // ROWS, ROWS * Tw, size, scores, zero, scores, first * Tw, Tw, totals,
                     last - first, y, first * mixed + head * Dw, mixed)  # fmt: skip
            for n in range(first, last):
                part = n * mixed + head * Dw
                multiply_by(y[part : part + Dw], F(1) / totals[n])
        first = last


@njit
def remember(x, G, Dw, Tw, keys, values, offset, position):
    """Put the keys and values of a position, which x has one after the other, into the panels of a row.

    Where a panel begins, the values behind get zeros: they are multiplied as well, by weights of 0, which
    makes a number of numbers alone.
    """
    key = position // ROWS * ROWS * Dw + position % ROWS  # a panel has 16 positions
    value = position * ROWS  # a panel has 16 channels
    for g in range(G):
        begin = offset + g * Tw * Dw
        if position % ROWS == 0:
            for d in range(0, Dw, ROWS):
                panel = begin + value + d * Tw
                values[panel : panel + ROWS * ROWS] = F(0)
        for d in range(Dw):
            keys[begin + key + d * ROWS] = x[g * Dw + d]
            values[begin + value + d // ROWS * ROWS * Tw + d % ROWS] = x[(G + g) * Dw + d]
