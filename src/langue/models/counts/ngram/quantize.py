"""Quantized tables: probabilities and backoffs as 8-bit codes, 7 to 8 bytes an n-gram instead of 13.

The probabilities of one order are sorted into 256 bins of about as many n-grams each, and become the mean
of their bin, as with KenLM's `-q 8 -b 8` (Federico and Bertoldi 2006 call it binning). That would move the
sum over all words to either side of one. So backoffs are computed anew from the probabilities as they are
now, and rounded down: after every context the words sum to a little less than one, never to more, and bits
per byte never flatter the model.
"""

from typing import NamedTuple

import numpy as np

from langue.base.arrays import Array
from langue.base.compiled import njit
from langue.models.counts.ngram.counts import New
from langue.models.counts.ngram.tables import BINS, NO_RULES, Tables

CELLS = 1 << 18  # into which values are sorted first: far finer than bins, and of a size that is known
LOWEST = 1e-9  # of a backoff, where rounding left nothing for it


class _Level(NamedTuple):
    """The n-grams of one order as they are being quantized."""

    n: int
    begin: int  # their contexts are [begin, end)
    end: int
    p: Array  # (order, BINS) float64: probabilities that codes stand for
    codes: Array  # (nodes,)
    total: Array  # (contexts,) what words sum to after each context
    whole: float  # what all words sum to without context


def quantize(tables: Tables, new: New = np.empty) -> Tables:
    """The same n-grams, with codes of `BINS` values an order in place of numbers.

    Args:
        new: makes the arrays.
    """
    contexts, order = len(tables.log_backoff), tables.order
    log_prob, log_backoff = new(len(tables.log_prob), np.uint8), new(contexts, np.uint8)
    bins = np.zeros((2, order, BINS), np.float32)  # of probabilities, and of the backoffs of contexts
    wanted, total = new(contexts, np.float32), new(contexts, np.float64)
    whole = 1.0  # what all words sum to without context
    for n in range(1, order + 1):
        level = tables.level(n)
        bins[0, n - 1] = _encode(tables.log_prob[level], log_prob[level], least=False)
        p = np.exp(bins[0].astype(np.float64))
        if n == 1:
            whole = float(p[0, log_prob[: level.stop - 1]].sum())
            continue
        here = tables.level(n - 1)
        order_n = _Level(n, here.start, here.stop, p, log_prob, total, whole)
        _balance(tables, order_n, wanted)
        bins[1, n - 2] = _encode(wanted[here], log_backoff[here], least=True)
        _sum(tables, order_n, np.exp(bins[1, n - 2].astype(np.float64)), log_backoff)
    return tables._replace(log_prob=log_prob, log_backoff=log_backoff, bins=bins, rules=NO_RULES).freeze()


def _encode(values: Array, codes: Array, *, least: bool) -> Array:
    """Fill in the codes of one order's values.

    Args:
        least: a bin stands for its least value, not for its mean.

    Returns:
        What the codes stand for, `(BINS,)`, rising; the first is that of minus infinity, where it occurs.
    """
    low, high, impossible = _range(values)
    scale = (CELLS - 1) / (high - low) if high > low else 0.0
    counts, sums, leasts = np.zeros(CELLS), np.zeros(CELLS), np.full(CELLS, np.inf)
    _count_cells(values, low, scale, counts, sums, leasts)
    bins, code = np.full(BINS, high), np.empty(CELLS, np.uint8)
    if impossible:
        bins[0] = -np.inf
    weights = _weigh(counts, low, scale)
    _cut(counts, weights, leasts if least else sums, int(impossible), least, bins, code)
    _code(values, low, scale, code, codes)
    return bins.astype(np.float32)


@njit
def _range(values):
    """The least and the largest finite value, and whether there is one of minus infinity."""
    low, high, impossible = np.inf, -np.inf, False
    for value in values:
        if value == -np.inf:
            impossible = True
        else:
            low, high = min(low, np.float64(value)), max(high, np.float64(value))
    return low, high, impossible


@njit
def _count_cells(values, low, scale, counts, sums, leasts):
    for value in values:
        if value != -np.inf:
            cell = np.int64((value - low) * scale)
            counts[cell] += 1
            sums[cell] += value
            leasts[cell] = min(leasts[cell], np.float64(value))


@njit
def _weigh(counts, low, scale):
    """What cells weigh as they are shared out: half of it by how many values are there, half by how far
    the probability moves from the cell before, which bounds what a sum of probabilities loses."""
    weights, total = np.zeros(len(counts)), counts.sum()
    last = -1
    for cell in range(len(counts)):
        if counts[cell]:
            weights[cell] = counts[cell] / total
            if last >= 0:
                weights[cell] += np.exp(low + cell / scale) - np.exp(low + last / scale)
                weights[cell] += (cell - last) / len(counts)
            last = cell
    return weights


@njit
def _cut(counts, weights, values, first, least, bins, code):
    """Share out cells among the bins from `first` on: each takes its share of the weight that is left."""
    left, occupied = weights.sum(), np.count_nonzero(counts)
    current, weight, held, value = first, 0.0, 0.0, np.inf if least else 0.0
    for cell in range(len(counts)):
        if counts[cell] == 0:
            continue
        free = len(bins) - current - 1  # bins after this one
        # A heavy cell begins a bin of its own.
        if held and free and (weight + weights[cell] / 2) * (free + 1) > left:
            left -= weight
            current, weight, held, value = current + 1, 0.0, 0.0, np.inf if least else 0.0
            free -= 1
        code[cell] = current
        weight += weights[cell]
        held += counts[cell]
        value = min(value, values[cell]) if least else value + values[cell]
        bins[current] = value if least else value / held
        occupied -= 1
        if free and occupied <= free:
            left -= weight
            current, weight, held, value = current + 1, 0.0, 0.0, np.inf if least else 0.0


@njit
def _code(values, low, scale, code, codes):
    for index in range(len(values)):
        value = values[index]
        codes[index] = 0 if value == -np.inf else code[np.int64((value - low) * scale)]


@njit
def _balance(tables, level, wanted):
    """Fill in the backoff with which words sum to one after each context of n - 1 words.

    Where the means of bins take nearly all there is, the n-grams of that context take lower bins, until
    half of what was to be handed down is left.
    """
    suffix, children, log_prob, p, codes = (
        tables.suffix,
        tables.children,
        tables.log_prob,
        level.p,
        level.codes,
    )
    n = level.n
    lowest = 1 if p[n - 1, 0] == 0.0 else 0
    for context in range(level.begin, level.end):
        low, high = np.int64(children[context]), np.int64(children[context + 1])
        left = 1.0
        for child in range(low, high):
            left -= np.exp(np.float64(log_prob[child]))
        least = max(0.5 * left, 0.0)
        for _ in range(p.shape[1]):
            own, below = _sums(low, high, n, suffix, p, codes)
            if 1.0 - own >= least:
                break
            for child in range(low, high):
                codes[child] = max(np.int64(codes[child]) - 1, lowest)
        rest = _total(context, suffix, level) - below
        if low == high or rest < LOWEST:  # nobody asks for it
            wanted[context] = tables.log_backoff[context]
        else:
            wanted[context] = np.log(max((1.0 - own) / rest, LOWEST))


@njit
def _sum(tables, level, gamma, backoff_codes):
    """Fill in the sum of all words after each context."""
    suffix, children, total = tables.suffix, tables.children, level.total
    for context in range(level.begin, level.end):
        low, high = np.int64(children[context]), np.int64(children[context + 1])
        own, below = _sums(low, high, level.n, suffix, level.p, level.codes)
        rest = _total(context, suffix, level) - below
        total[context] = own + gamma[backoff_codes[context]] * max(rest, 0.0)


@njit
def _sums(low, high, n, suffix, p, codes):
    """Probability mass of the children [low, high) of a context, in it and below it."""
    own, below = 0.0, 0.0
    for child in range(low, high):
        own += p[n - 1, codes[child]]
        below += p[n - 2, codes[np.int64(suffix[child])]]
    return own, below


@njit
def _total(context, suffix, level):
    """Sum of all words after the context less its first word."""
    return level.whole if level.n == 2 else level.total[np.int64(suffix[context])]
