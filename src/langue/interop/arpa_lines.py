"""Lines of ARPA files, read and written by compiled code: a log-probability, words, a backoff perhaps."""

import math

import numpy as np

from langue.base.compiled import njit
from langue.interop.word_slots import look_up
from langue.interop.words import NEWLINE

ROUNDING = 1e-6  # a log-probability above 0 by no more is 0
ZERO = -99.0  # log10 of a probability of zero, as SRILM writes it
FAULTS = {
    1: "does not begin with a log-probability",
    2: "has too few words",
    3: "has a word that is not among the unigrams",
    4: "has a backoff that is no finite number",
    5: "has too many words",
    6: "has a backoff, and is of the highest order: the file was cut from a model of a higher one",
    7: "has a log-probability above 0",
}


@njit
def read_rows(  # noqa: C901  # a fault for each part of a line
    data, at, slots, n, order, ids, log_prob, log_backoff, row
):
    """Read n-grams line by line, as far as whole lines go.

    Returns:
        The position after the last line read, the rows filled, and a number of `FAULTS` or 0.
    """
    scale = math.log(10.0)
    while row < len(log_prob):
        end = at
        while end < len(data) and data[end] != NEWLINE:
            end += 1
        if end == len(data):
            break
        value, position = _number(data, at, end)
        if not value <= ROUNDING:
            return at, row, 7 if value > 0.0 else 1
        log_prob[row] = min(value, 0.0) * scale
        for index in range(n):
            begin, position = _word(data, position, end)
            if begin == position:
                return at, row, 2
            id = look_up(data, begin, position, slots)
            if id < 0:
                return at, row, 3
            ids[row, index] = id
        begin, after = _word(data, position, end)
        if begin < after:
            value, position = _number(data, begin, end)
            if not -np.inf < value < np.inf:
                return at, row, 4
            begin, after = _word(data, position, end)
            if begin < after:
                return at, row, 5
            if n < order:
                log_backoff[row] = value * scale
            elif value != 0.0:
                return at, row, 6
        at = end + 1
        row += 1
    return at, row, 0


@njit
def _word(data, position, end):
    """Where the next word begins and ends."""
    while position < end and _blank(data[position]):
        position += 1
    begin = position
    while position < end and not _blank(data[position]):
        position += 1
    return begin, position


@njit(inline="always")
def _blank(byte):
    """Whether a byte is between words: a vertical tab and a form feed are not, as for KenLM."""
    return byte == 32 or byte == 9 or byte == 13


@njit
def _number(data, position, end):
    """The number that a word is, NaN if it is none, and the end of the word."""
    position, stop = _word(data, position, end)
    negative = position < stop and data[position] == 45
    if position < stop and (data[position] == 45 or data[position] == 43):
        position += 1
    if (
        stop - position == 3
        and data[position] | 32 == 105
        and data[position + 1] | 32 == 110
        and data[position + 2] | 32 == 102
    ):
        return -np.inf if negative else np.inf, stop
    value, shift, digits, point = 0.0, np.int64(0), 0, False
    while position < stop and (48 <= data[position] <= 57 or (data[position] == 46 and not point)):
        if data[position] == 46:
            point = True
        else:
            value = value * 10.0 + (data[position] - 48)
            digits += 1
            shift -= point
        position += 1
    if digits and position < stop and data[position] | 32 == 101:
        sign, position = 1, position + 1
        if position < stop and (data[position] == 45 or data[position] == 43):
            sign = -1 if data[position] == 45 else 1
            position += 1
        exponent, digits = np.int64(0), 0
        while position < stop and 48 <= data[position] <= 57 and exponent < 1000:
            exponent = exponent * 10 + (data[position] - 48)
            digits += 1
            position += 1
        shift += sign * exponent
    if not digits or position < stop:
        return np.nan, stop
    value *= 10.0**shift
    return -value if negative else value, stop


@njit
def write_rows(tables, word, blob, begins, sizes, n, node, end, buffer):
    """Write lines for n-grams from `node` on, until the buffer may not hold one more.

    Returns:
        The first node not written, and the bytes filled.
    """
    first, children = tables.first, tables.children
    log_prob, log_backoff = tables.log_prob, tables.log_backoff
    scale = 1.0 / math.log(10.0)
    path = np.empty(n, np.int64)  # the n-gram's contexts of 1, 2 ... words, and itself
    path[n - 1] = node
    for length in range(n - 1, 0, -1):
        path[length - 1] = np.searchsorted(children, path[length], side="right") - 1
    size = np.int64(0)
    limit = len(buffer) - (n * (sizes.max() + 1) + 64)
    while node < end and size <= limit:
        path[n - 1] = node
        for length in range(n - 1, 0, -1):  # contexts come in the order of their children
            while children[path[length - 1] + 1] <= path[length]:
                path[length - 1] += 1
        begin = n == 1 and node == first[1] - 1
        size = _decimal(0.0 if begin else log_prob[node] * scale, buffer, size)
        for length in range(n):
            buffer[size] = 9 if length == 0 else 32
            size += 1
            id = word[path[length]]
            for position in range(begins[id], begins[id] + sizes[id]):
                buffer[size] = blob[position]
                size += 1
        if node < len(log_backoff):
            buffer[size] = 9
            size = _decimal(log_backoff[node] * scale, buffer, size + 1)
        buffer[size] = NEWLINE
        size += 1
        node += 1
    return node, size


@njit
def _decimal(value, buffer, size):
    """Write a number with seven digits after the point."""
    value = max(value, ZERO)
    if value < 0:
        buffer[size] = 45
        size += 1
    scaled = np.int64(round(abs(value) * 1e7))
    whole, part = scaled // 10_000_000, scaled % 10_000_000
    if whole >= 10:
        buffer[size] = 48 + whole // 10
        size += 1
    buffer[size] = 48 + whole % 10
    buffer[size + 1] = 46
    for position in range(7, 0, -1):
        buffer[size + 1 + position] = 48 + part % 10
        part //= 10
    return size + 9
