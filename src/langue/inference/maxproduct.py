"""The best path and the n best: Viterbi (1967), and its list form (Seshadri and Sundberg 1994).

Maxima need no scaling: sums of log scores have all the range there is. Between equal scores the state
with the lower number wins, so the answer is the same on every machine.
"""

from typing import NamedTuple

import numpy as np

from langue.base.arrays import Array, Float64Array, Int32Array
from langue.base.compiled import njit
from langue.inference.chain import Chain, map_blocks


class Best(NamedTuple):
    """The best path of every sequence; where none is permitted, a score of -inf and no meaning."""

    states: Int32Array  # (N,)
    scores: Float64Array  # (S,)


class Ranked(NamedTuple):
    """The best paths of one sequence, best first: fewer than asked for where there are no more."""

    states: Int32Array  # (n or fewer, T)
    scores: Float64Array  # (n or fewer,)


def viterbi(chain: Chain, unary: Float64Array, offsets: Array) -> Best:
    """The best path of every sequence: unary `(N, K)`, offsets `(S + 1,)`."""
    states = np.empty(len(unary), np.int32)
    scores = np.empty(len(offsets) - 1)
    map_blocks(lambda first, last: _viterbi(*chain, unary, offsets, first, last, states, scores), offsets)
    return Best(states, scores)


def n_best(chain: Chain, unary: Float64Array, n: int) -> Ranked:
    """The `n` best paths of one sequence, unary `(T, K)`."""
    if len(unary) == 0:
        return Ranked(np.empty((1, 0), np.int32), np.zeros(1))
    states, scores = _n_best(*chain, unary, n)
    count = int(np.count_nonzero(scores > -np.inf))
    return Ranked(states[:count], scores[:count])


@njit
def _viterbi(transition, start, end, unary, offsets, first, last, states, scores):
    K = transition.shape[0]
    into = transition.T.copy()  # scores of all predecessors of a state, side by side
    longest = 1
    for s in range(first, last):
        longest = max(longest, offsets[s + 1] - offsets[s])
    came_from = np.empty((longest, K), np.int32)
    best, ahead = np.empty(K), np.empty(K)
    for s in range(first, last):
        begin, stop = offsets[s], offsets[s + 1]
        if begin == stop:
            scores[s] = 0.0
            continue
        for j in range(K):
            best[j] = start[j] + unary[begin, j]
        for t in range(1, stop - begin):
            for j in range(K):
                highest, source = best[0] + into[j, 0], 0
                for i in range(1, K):
                    score = best[i] + into[j, i]
                    if score > highest:
                        highest, source = score, i
                ahead[j] = highest + unary[begin + t, j]
                came_from[t, j] = source
            best, ahead = ahead, best
        best += end
        state = best.argmax()
        scores[s] = best[state]
        for t in range(stop - begin - 1, -1, -1):
            states[begin + t] = state
            state = came_from[t, state]


@njit
def _n_best(transition, start, end, unary, n):
    """Lists of the `n` best ways to each state, best first, carried through the chain."""
    T, K = unary.shape
    scores = np.full((T, K, n), -np.inf)
    came_from = np.zeros((T, K, n), np.int64)  # state × n + rank at the position before
    scores[0, :, 0] = start + unary[0]
    next_rank = np.zeros(K, np.int64)  # of each predecessor's list, its best entry not taken yet
    for t in range(1, T):
        for j in range(K):
            _merge(scores[t - 1], transition[:, j], next_rank, scores[t, j], came_from[t, j])
            scores[t, j] += unary[t, j]
    totals = np.full(n, -np.inf)
    last = np.zeros(n, np.int64)
    _merge(scores[T - 1], end, next_rank, totals, last)
    states = np.empty((n, T), np.int32)
    for rank in range(n):
        entry = last[rank]
        for t in range(T - 1, -1, -1):
            state = entry // n
            states[rank, t] = state
            entry = came_from[t, state, entry - state * n]
    return states, totals


@njit
def _merge(lists, added, next_rank, scores, came_from):
    """The best of K descending lists `(K, n)`, each with a score added, merged into one of n."""
    K, n = lists.shape
    next_rank[:] = 0
    for rank in range(n):
        highest, source = -np.inf, -1
        for i in range(K):
            if next_rank[i] < n:
                score = lists[i, next_rank[i]] + added[i]
                if score > highest:
                    highest, source = score, i
        if source < 0:
            break
        scores[rank] = highest
        came_from[rank] = source * n + next_rank[source]
        next_rank[source] += 1
