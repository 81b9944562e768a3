"""Attention and its gradient in float32, head by head: products by panels, the rest in the caches.

A query sees the keys of one span, from `begins` to before `ends`: all, itself and those before, or those of
its document. Products are made of 48 rows at a time and of the keys that any of them sees. For the gradient
the weights are made again from the logs of their sums (Dao et al. 2022, section 3.1), so that nothing of
T x S is kept from one way to the other. A head has the same bits, whatever is beside it.

Letters: B batch, H heads of queries, G of keys and values, T queries, S keys, D width of a head, a multiple
of 16. Tensors are flat; `strides` has three for each, and what `(batch, head, position)` has begins at the
sum of its strides, D numbers side by side. A unit, of B G, is a head of keys in a row of the batch, with the
heads of queries that share it.
"""

import numpy as np

from langue.base.compiled import njit
from langue.nn.compiled.numbers import FAST, exp, largest, log
from langue.nn.compiled.panels import ROWS, multiply
from langue.nn.compiled.rows import add, copy, multiply_by

F = np.float32
BLOCK = 48  # rows at a time: registers take 6 or 12


@njit
def attend(units, shape, strides, scale, begins, ends, q, k, v, y, logs):
    """softmax(scale q kᵀ) v of some units, and the logs of the sums.

    Args:
        units: the first, and the one after the last.
        shape: B, H, G, T, S, D. strides: of q, k, v and y.
        begins: `(B T,)`; ends: as many. A query that sees nothing gets zeros.
        logs: `(B H T,)`.
    """
    H, G, T, S, D = shape[1], shape[2], shape[3], shape[4], shape[5]
    wide, zero = _padded(S), np.int64(0)
    keys, values = np.empty(wide * D, F), np.empty(wide * D, F)
    weights, totals = np.empty(BLOCK * wide, F), np.empty(BLOCK, F)
    for unit in range(units[0], units[1]):
        b, g = unit // G, unit % G
        _lay_rows(k, _at(strides[1], b, g, zero), strides[1, 2], S, D, keys)
        _lay_columns(v, _at(strides[2], b, g, zero), strides[2, 2], S, D, values)
        for h in range(g * (H // G), (g + 1) * (H // G)):
            for t in range(0, T, BLOCK):
                count, at, to = min(BLOCK, T - t), b * T + t, (b * H + h) * T + t
                first, last = _keys_seen(begins[at : at + count], ends[at : at + count])
                _score(keys, D, first, last, q, _at(strides[0], b, h, t), strides[0, 2], count, weights, wide)
                for n in range(count):
                    totals[n], logs[to + n] = _exponentiate(
                        weights[n * wide : n * wide + last - first],
                        begins[at + n] - first,
                        ends[at + n] - first,
                        scale,
                    )
                mixed = _at(strides[3], b, h, t)
                _mix(values, wide, D, first, last, weights, zero, wide, count, y, mixed, strides[3, 2])
                for n in range(count):
                    begin = mixed + n * strides[3, 2]
                    # 0 / 0 is 0 here, and stands there already
                    multiply_by(y[begin : begin + D], F(1) / totals[n] if totals[n] > F(0) else F(0))


@njit
def attend_back(units, shape, strides, scale, begins, ends, q, k, v, y, logs, dy, dq, dk, dv):
    """The gradients of q, k and v, of that of y; `strides` go on with those of dy, dq, dk and dv."""
    H, G, T, S, D = shape[1], shape[2], shape[3], shape[4], shape[5]
    long, wide, zero = _padded(T), _padded(S), np.int64(0)
    keys = np.empty(wide * D, F)
    q_rows, dy_rows = np.empty(long * D, F), np.empty(long * D, F)
    q_columns, dy_columns = np.empty(long * D, F), np.empty(long * D, F)
    # Of some keys and all queries: weights, and the gradients of scores; these of all keys, by queries.
    weights, slopes, by_query = np.empty(BLOCK * long, F), np.empty(BLOCK * long, F), np.empty(T * wide, F)
    begin, end = np.zeros(long, np.int32), np.zeros(long, np.int32)  # padding sees nothing
    log_sums, inner = np.zeros(long, F), np.zeros(long, F)
    block = np.empty(BLOCK * D, F)
    for unit in range(units[0], units[1]):
        b, g = unit // G, unit % G
        copy(begins[b * T : (b + 1) * T], begin[:T])
        copy(ends[b * T : (b + 1) * T], end[:T])
        _lay_columns(k, _at(strides[1], b, g, zero), strides[1, 2], S, D, keys)
        for h in range(g * (H // G), (g + 1) * (H // G)):
            more = h > g * (H // G)  # what other heads of queries gave is there
            copy(logs[(b * H + h) * T : (b * H + h + 1) * T], log_sums[:T])
            of_q, of_y, of_dy = (
                _at(strides[0], b, h, zero),
                _at(strides[3], b, h, zero),
                _at(strides[4], b, h, zero),
            )
            _lay_rows(q, of_q, strides[0, 2], T, D, q_rows)
            _lay_rows(dy, of_dy, strides[4, 2], T, D, dy_rows)
            _lay_columns(q, of_q, strides[0, 2], T, D, q_columns)
            _lay_columns(dy, of_dy, strides[4, 2], T, D, dy_columns)
            for t in range(T):
                y_t, dy_t = of_y + t * strides[3, 2], of_dy + t * strides[4, 2]
                inner[t] = _inner(y[y_t : y_t + D], dy[dy_t : dy_t + D])
            _fill(by_query, F(0))
            for s in range(0, S, BLOCK):
                count = min(BLOCK, S - s)
                first, last = _queries_seeing(begin, end, s, s + count)
                _score(
                    q_rows, D, first, last, k, _at(strides[1], b, g, s), strides[1, 2], count, weights, long
                )
                _score(
                    dy_rows, D, first, last, v, _at(strides[2], b, g, s), strides[2, 2], count, slopes, long
                )
                for n in range(count):
                    row, stop = n * long, n * long + last - first
                    _weigh(weights[row:stop], slopes[row:stop], begin[first:last], end[first:last],
                           log_sums[first:last], inner[first:last], np.int32(s + n), scale)  # fmt: skip
                _turn(slopes, long, count, min(last, T) - first, by_query, first * wide + s, wide)
                _mix(dy_columns, long, D, first, last, weights, zero, long, count, block, zero, D)
                _put(block, count, D, dv, _at(strides[7], b, g, s), strides[7, 2], more)
                _mix(q_columns, long, D, first, last, slopes, zero, long, count, block, zero, D)
                _put(block, count, D, dk, _at(strides[6], b, g, s), strides[6, 2], more)
            for t in range(0, T, BLOCK):
                count = min(BLOCK, T - t)
                first, last = _keys_seen(begin[t : t + count], end[t : t + count])
                _mix(keys, wide, D, first, last, by_query, t * wide + first, wide, count, dq,
                     _at(strides[5], b, h, t), strides[5, 2])  # fmt: skip


@njit(inline="always")
def _padded(size):
    return (size + ROWS - 1) // ROWS * ROWS


@njit(inline="always")
def _at(strides, b, h, t):
    return b * strides[0] + h * strides[1] + t * strides[2]


@njit
def _lay_rows(x, begin, stride, count, D, panels):
    """`(count, D)` as rows of panels."""
    for first in range(0, _padded(count), ROWS):
        panel = panels[first * D : (first + ROWS) * D]
        for row in range(ROWS):
            if first + row < count:
                at = begin + (first + row) * stride
                _spread(x[at : at + D], panel[row:])
            else:
                for d in range(D):
                    panel[d * ROWS + row] = F(0)


@njit
def _spread(x, panel):
    for d in range(len(x)):
        panel[d * ROWS] = x[d]


@njit
def _lay_columns(x, begin, stride, count, D, panels):
    """`(count, D)` as columns of panels, of which there are D / 16."""
    long = _padded(count)
    for first in range(0, D, ROWS):
        for row in range(count):
            to, at = first * long + row * ROWS, begin + row * stride + first
            copy(x[at : at + ROWS], panels[to : to + ROWS])
        _fill(panels[first * long + count * ROWS : (first + ROWS) * long], F(0))


@njit
def _score(panels, D, first, last, x, x_at, x_stride, count, y, y_stride):
    """Of some rows of x the products with the rows of panels from `first` to before `last`."""
    none, zero = np.empty(1, F), np.int64(0)
    multiply(panels, first * D, (last - first) // ROWS, ROWS * D, D, none, zero, x, x_at, x_stride, none,
             count, y, zero, y_stride)  # fmt: skip


@njit
def _mix(panels, long, D, first, last, weights, at, stride, count, y, y_at, y_stride):
    """Sums of the columns of panels from `first` to before `last`, of which each has a weight."""
    none, zero = np.empty(1, F), np.int64(0)
    if first == last:
        for n in range(count):
            _fill(y[y_at + n * y_stride : y_at + n * y_stride + D], F(0))
    else:
        multiply(panels, first * ROWS, D // ROWS, ROWS * long, last - first, none, zero, weights, at, stride,
                 none, count, y, y_at, y_stride)  # fmt: skip


@njit
def _keys_seen(begins, ends):
    """From which key to which some queries see, in whole panels."""
    first, last = np.int64(2**31), np.int64(0)
    for t in range(len(begins)):
        if begins[t] < ends[t]:
            first, last = min(first, np.int64(begins[t])), max(last, np.int64(ends[t]))
    return min(first, last) // ROWS * ROWS, _padded(last)


@njit
def _queries_seeing(begins, ends, first_key, last_key):
    """From which query to which any sees one of some keys, in whole panels."""
    first, last = np.int64(len(begins)), np.int64(0)
    for t in range(len(begins)):
        if max(begins[t], first_key) < min(ends[t], last_key):
            first, last = min(first, np.int64(t)), np.int64(t + 1)
    return min(first, last) // ROWS * ROWS, _padded(last)


@njit(fastmath=FAST, error_model="numpy")
def _exponentiate(x, first, last, scale):
    """e^(scale (x - largest)) from `first` to before `last` in place, zeros beside; their sum, and the log of
    the sum of e^(scale x)."""
    if last <= first:
        _fill(x, F(0))
        return F(0), F(0)
    _fill(x[:first], F(0))
    _fill(x[last:], F(0))
    x = x[first:last]
    most, total = largest(x) * scale, F(0)
    for i in range(len(x)):
        e = exp(x[i] * scale - most)
        x[i] = e
        total += e
    return total, most + log(total)


@njit(fastmath=FAST, error_model="numpy")
def _inner(x, y):
    total = F(0)
    for i in range(len(x)):
        total += x[i] * y[i]
    return total


@njit(fastmath=FAST, error_model="numpy")
def _weigh(x, slope, begin, end, log_sum, inner, key, scale):
    """Of the scores of a key its weights, and of the weights' gradients those of the scores, in place."""
    for i in range(len(x)):
        sees = (begin[i] <= key) & (key < end[i])
        weight = exp(x[i] * scale - log_sum[i]) if sees else F(0)
        x[i] = weight
        slope[i] = weight * (slope[i] - inner[i]) * scale


@njit
def _turn(x, stride, count, size, turned, begin, wide):
    """`(count, size)` transposed."""
    for i in range(size):
        for n in range(count):
            turned[begin + i * wide + n] = x[n * stride + i]


@njit
def _put(block, count, D, x, begin, stride, more):
    """Rows where they belong, or added to what stands there."""
    for n in range(count):
        row, at = block[n * D : (n + 1) * D], begin + n * stride
        if more:
            add(x[at : at + D], row)
        else:
            copy(row, x[at : at + D])


@njit
def _fill(x, number):
    for i in range(len(x)):
        x[i] = number
