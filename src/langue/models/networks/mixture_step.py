"""The distributions of a mixture after some contexts, in one compiled function: `mixture.py` has the formula.

Letters: P parts, N contexts, V vocabulary.
"""

import numpy as np

from langue.base.compiled import njit
from langue.nn.compiled.numbers import FAST, exp, log

F = np.float32
LOWEST = F(-1e30)  # stands for log 0, so that no infinity is taken from another


@njit(linked=True)
def mix(log_probs, sure, lengths, table, knots, mixture):
    """Mix distributions.

    Args:
        log_probs: `(P, N, V)`. sure: `(P,)`, whether the entropy of a part counts.
        lengths: `(N,)`, of matches. table: `(lengths, knots, P)`, weights, and knots: as `Weights`.
        mixture: `(N, V)`, what comes out.
    """
    P, N, V = log_probs.shape
    total = np.empty(V, F)
    weights = np.empty(P, F)
    for n in range(N):
        entropy, parts = F(0), 0
        for part in range(P):
            if sure[part]:
                entropy += _entropy(log_probs[part, n])
                parts += 1
        _weigh(table[min(lengths[n], len(table) - 1)], knots, np.float64(entropy) / max(parts, 1), weights)
        row = mixture[n]
        row[:] = -np.inf
        for part in range(P):
            _raise(row, log_probs[part, n], weights[part])
        total[:] = F(0)
        for part in range(P):
            _add(total, log_probs[part, n], weights[part], row)
        _finish(row, total)


@njit
def _weigh(rows, knots, entropy, weights):
    """Logs of the weights: those of the two knots beside an entropy, interpolated."""
    last = len(knots) - 1
    clipped = min(max(entropy, knots[0]), knots[last])
    below = 0
    while below < last - 1 and knots[below + 1] <= clipped:
        below += 1
    above = min(below + 1, last)
    width = knots[above] - knots[below]
    fraction = (clipped - knots[below]) / width if width > 0 else 0.0
    for part in range(len(weights)):
        weight = (1 - fraction) * rows[below, part] + fraction * rows[above, part]
        weights[part] = np.log(weight) if weight > 0 else -np.inf


@njit(fastmath=FAST, error_model="numpy")
def _entropy(log_probs):
    """In nats."""
    total = F(0)
    for i in range(len(log_probs)):
        total -= exp(log_probs[i]) * max(log_probs[i], LOWEST)
    return total


@njit(fastmath=FAST, error_model="numpy")
def _raise(most, log_probs, weight):
    for i in range(len(most)):
        most[i] = max(most[i], log_probs[i] + weight)


@njit(fastmath=FAST, error_model="numpy")
def _add(total, log_probs, weight, most):
    for i in range(len(total)):
        total[i] += exp(log_probs[i] + weight - max(most[i], LOWEST))


@njit(fastmath=FAST, error_model="numpy")
def _finish(most, total):
    for i in range(len(total)):
        if most[i] > LOWEST:
            most[i] += log(max(total[i], F(1)))
