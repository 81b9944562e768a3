"""Sums over all paths: forward–backward (Rabiner 1989, section III), exact whatever the scores.

The recursions run on scaled probabilities, which is fast, and only where that is exact: as long as
the factors of a step span less than 1e50 and no nonzero message falls below 1e-200, no product of
theirs leaves the range of a double, so what is zero is zero because it is forbidden. A sequence that
breaks this rule is done again in log space, which is slow and has no range.
"""

import math
from typing import NamedTuple

import numpy as np

from langue.base.arrays import Array, Float64Array
from langue.base.compiled import njit
from langue.inference.chain import Chain, map_blocks

SPAN = 50 * math.log(10)  # a step's finite log scores lie this close together, or log space it is
TINY = 1e-200  # smallest nonzero message: TINY × 1e-50 (transition) × 1e-50 (unary) is still normal


class Posteriors(NamedTuple):
    """Posteriors of forward–backward; without any permitted path, a `log_z` of -inf, and zeros."""

    log_z: Float64Array  # (S,) log of the sum over all paths: the log-likelihood of an HMM
    states: Float64Array  # (N, K) probability of each state at each position
    pairs: Float64Array  # (K, K) expected number of each transition, over all sequences


def posteriors(chain: Chain, unary: Float64Array, offsets: Array) -> Posteriors:
    """Forward–backward over all sequences.

    Args:
        unary: `(N, K)` natural-log scores.
        offsets: `(S + 1,)`, see `offsets_of`.
    """
    log_z = np.empty(len(offsets) - 1)
    states = np.empty_like(unary)
    pairs = map_blocks(
        lambda first, last: _forward_backward(*chain, unary, offsets, first, last, log_z, states), offsets
    )
    return Posteriors(log_z, states, np.sum(pairs, axis=0) if pairs else np.zeros_like(chain.transition))


def log_partition(chain: Chain, unary: Float64Array, offsets: Array) -> Float64Array:
    """Log of the sum over all paths of each sequence, `(S,)`: the forward half alone."""
    log_z = np.empty(len(offsets) - 1)
    map_blocks(lambda first, last: _forward_only(*chain, unary, offsets, first, last, log_z), offsets)
    return log_z


@njit
def _forward_backward(transition, start, end, unary, offsets, first, last, log_z, states):
    """Fill `log_z` and `states` for sequences [first, last); returns their expected transitions."""
    factors, shift, narrow = _factors(transition)
    scaled, exact = np.zeros_like(factors), np.zeros_like(factors)
    local, scale = _workspace(offsets, first, last, len(factors))
    for s in range(first, last):
        rows, marginals = unary[offsets[s] : offsets[s + 1]], states[offsets[s] : offsets[s + 1]]
        log_z[s] = np.nan
        if narrow:
            log_z[s] = _scaled_forward(factors, shift, start, end, rows, local, marginals, scale)
        if np.isnan(log_z[s]):
            log_z[s] = _log_posteriors(transition, start, end, rows, marginals, exact)
        elif log_z[s] == -np.inf:
            marginals[:] = 0.0
        else:
            _scaled_backward(factors, local, scale, marginals, scaled)
    return scaled * factors + exact


@njit
def _forward_only(transition, start, end, unary, offsets, first, last, log_z):
    factors, shift, narrow = _factors(transition)
    local, scale = _workspace(offsets, first, last, len(factors))
    alpha = np.empty_like(local)
    for s in range(first, last):
        rows = unary[offsets[s] : offsets[s + 1]]
        log_z[s] = np.nan
        if narrow:
            log_z[s] = _scaled_forward(factors, shift, start, end, rows, local, alpha, scale)
        if np.isnan(log_z[s]):
            log_z[s] = _log_forward(transition, start, end, rows, alpha)


@njit
def _workspace(offsets, first, last, K):
    longest = 1
    for s in range(first, last):
        longest = max(longest, offsets[s + 1] - offsets[s])
    return np.empty((longest, K)), np.empty(longest)


@njit
def _range(scores):
    """The largest and the smallest of the finite scores; -inf and inf where there are none."""
    largest, smallest = -np.inf, np.inf
    for score in scores.flat:
        if score != -np.inf:
            largest, smallest = max(largest, score), min(smallest, score)
    return largest, smallest


@njit
def _factors(scores):
    """exp(scores - their largest); that largest; whether the finite ones span less than `SPAN`."""
    largest, smallest = _range(scores)
    if largest == -np.inf:
        return np.zeros_like(scores), 0.0, True
    return np.exp(scores - largest), largest, largest - smallest < SPAN


@njit
def _scaled_forward(factors, shift, start, end, unary, local, alpha, scale):
    """Forward messages, each summing to one, and their scales; returns log z, or NaN if not exact.

    Fills `local` with the factors of each position, start and end among them.
    """
    T = len(unary)
    total = 0.0
    for t in range(T):
        row, messages = local[t], alpha[t]
        row[:] = unary[t]
        if t == 0:
            row += start
        if t == T - 1:
            row += end
        largest = _exponentiate(row)
        if not np.isfinite(largest):
            return largest
        if t == 0:
            messages[:] = row
        else:
            _step(alpha[t - 1], factors, messages)
            messages *= row
            total += shift
        mass = messages.sum()
        if mass == 0.0:
            return -np.inf
        messages /= mass
        for message in messages:
            if 0.0 < message < TINY:
                return np.nan
        scale[t] = mass
        total += largest + math.log(mass)
    return total


@njit
def _exponentiate(row):
    """row = exp(row - its largest), which is returned: -inf if all are forbidden, NaN if not exact."""
    largest, smallest = _range(row)
    if largest == -np.inf:
        return largest
    for j in range(len(row)):
        row[j] = math.exp(row[j] - largest)
    return largest if largest - smallest < SPAN else np.nan


@njit
def _step(before, factors, messages):
    """messages = before @ factors, along the rows of `factors`."""
    K = len(before)
    messages[:] = 0.0
    for i in range(K):
        weight = before[i]
        for j in range(K):
            messages[j] += weight * factors[i, j]


@njit
def _scaled_backward(factors, local, scale, states, pairs):
    """Turn the forward messages in `states` into posteriors, and add αᵢ bⱼ βⱼ of each step to `pairs`."""
    T, K = states.shape
    backwards = factors.T.copy()  # so that rows run along memory in this direction too
    beta, weighted = np.ones(K), np.empty(K)
    for t in range(T - 1, 0, -1):
        here, before = states[t], states[t - 1]
        for j in range(K):
            weighted[j] = local[t, j] * beta[j] / scale[t]
            here[j] *= beta[j]
        for i in range(K):
            alpha = before[i]
            for j in range(K):
                pairs[i, j] += alpha * weighted[j]
        _step(weighted, backwards, beta)
        for i in range(K):
            if before[i] == 0.0:  # never reached: what would follow is of no interest, and has no bound
                beta[i] = 0.0
    if T:
        states[0] *= beta


@njit
def _log_sum(values):
    largest = values.max()
    if largest == -np.inf:
        return largest
    total = 0.0
    for value in values:
        total += math.exp(value - largest)
    return largest + math.log(total)


@njit
def _log_forward(transition, start, end, unary, alpha):
    """Forward messages in log space, the largest of each position 0, the end among them; returns log z."""
    T, K = unary.shape
    total = 0.0
    terms = np.empty(K)
    for t in range(T):
        for j in range(K):
            if t == 0:
                alpha[t, j] = start[j] + unary[t, j]
                continue
            for i in range(K):
                terms[i] = alpha[t - 1, i] + transition[i, j]
            alpha[t, j] = unary[t, j] + _log_sum(terms)
        if t == T - 1:
            alpha[t] += end
        largest = alpha[t].max()
        if largest == -np.inf:
            return largest
        alpha[t] -= largest
        total += largest
    return total + _log_sum(alpha[T - 1]) if T else 0.0


@njit
def _log_posteriors(transition, start, end, unary, states, pairs):
    """Fill `states` and add to `pairs`, in log space; returns log z.

    Each position is normalized by itself: differences of large totals would cost digits.
    """
    T, K = unary.shape
    alpha = np.empty((T, K))
    total = _log_forward(transition, start, end, unary, alpha)
    states[:] = 0.0
    if total == -np.inf:
        return total
    beta, after, terms = np.zeros(K), np.empty(K), np.empty(K)
    for t in range(T - 1, -1, -1):
        mass = _log_sum(alpha[t] + beta)
        for j in range(K):
            states[t, j] = math.exp(alpha[t, j] + beta[j] - mass)
        if t == 0:
            break
        end_score = end if t == T - 1 else np.zeros(K)
        for j in range(K):
            after[j] = unary[t, j] + beta[j] + end_score[j]
        for i in range(K):
            for j in range(K):
                terms[j] = transition[i, j] + after[j]
            beta[i] = _log_sum(terms)
        mass = _log_sum(alpha[t - 1] + beta)
        for i in range(K):
            for j in range(K):
                pairs[i, j] += math.exp(alpha[t - 1, i] + transition[i, j] + after[j] - mass)
        beta -= beta.max()
    return total
