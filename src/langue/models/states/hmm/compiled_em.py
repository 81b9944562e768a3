"""Expected counts of an HMM of few states, in one compiled loop over sequences.

Scaled probabilities, so for parameters of which `chain.batched.spans_little` holds. All three sums over
pairs of states (forward, backward, expected transitions) are products of a vector and a matrix whose rows
lie in cache, and nothing is kept of a sequence when the next one begins.
"""

import math

import numpy as np

from langue.base.compiled import njit


@njit(fastmath={"contract"})
def add_expected(first, transition, emission, tokens, offsets, pairs, words, heads):
    """Add the expected counts of sequences, and return their log-likelihood.

    Args:
        first: `(S, K)` probabilities of first states.
        transition: `(K, K)` from, to.
        emission: `(V, K)`.
        tokens: `(N,)`, sequences one after another, none empty.
        offsets: `(S + 1,)`.
        pairs: `(K, K)` added to: expected transitions.
        words: `(V, K)` added to: expected emissions.
        heads: `(S, K)` filled with the probabilities of first states given the sequences.
    """
    K = len(transition)
    longest = np.diff(offsets).max() if len(heads) else 0
    alpha, after = np.empty((longest, K)), np.empty((longest, K))
    scale, beta = np.empty(longest), np.empty(K)
    backwards = transition.T.copy()  # so that rows run along memory in this direction too
    steps = np.zeros((K, K))
    total = 0.0
    for s in range(len(heads)):
        ids = tokens[offsets[s] : offsets[s + 1]]
        total += _forward(first[s], transition, emission, ids, alpha, scale)
        beta[:] = 1.0
        for t in range(len(ids) - 1, -1, -1):
            local, message, next_to, count = emission[ids[t]], alpha[t], after[t], words[ids[t]]
            for j in range(K):
                next_to[j] = local[j] * beta[j] * scale[t]
                count[j] += message[j] * beta[j]
            if t > 0:
                beta[:] = 0.0
                _add_product(next_to, backwards, beta)
        heads[s] = alpha[0] * beta
        for i in range(K):
            _add_product(alpha[: len(ids) - 1, i], after[1 : len(ids)], steps[i])
    pairs += steps * transition
    return total


@njit(fastmath={"contract"})
def _forward(first, transition, emission, ids, alpha, scale):
    """Fill `alpha` with messages that sum to one and `scale` with 1 / p(token | those before)."""
    total = 0.0
    for t in range(len(ids)):
        message, local = alpha[t], emission[ids[t]]
        if t == 0:
            message[:] = first
        else:
            message[:] = 0.0
            _add_product(alpha[t - 1], transition, message)
        mass = 0.0
        for j in range(len(message)):
            message[j] *= local[j]
            mass += message[j]
        scale[t] = 1.0 / mass
        for j in range(len(message)):
            message[j] *= scale[t]
        total += math.log(mass)
    return total


@njit(fastmath={"contract"})
def _add_product(vector, matrix, result):
    """result += vector @ matrix, four rows at a time: `result` is read and written a quarter as often."""
    fours = len(vector) - len(vector) % 4
    for i in range(0, fours, 4):
        a, b, c, d = vector[i], vector[i + 1], vector[i + 2], vector[i + 3]
        one, two, three, four = matrix[i], matrix[i + 1], matrix[i + 2], matrix[i + 3]
        for j in range(len(result)):
            result[j] += (a * one[j] + b * two[j]) + (c * three[j] + d * four[j])
    for i in range(fours, len(vector)):
        for j in range(len(result)):
            result[j] += vector[i] * matrix[i, j]
