"""Chains in which a state depends on the two before it: sums, maxima and lists, exact.

A path has the score Σ unary[t, yₜ] + Σ transition[yₜ₋₂, yₜ₋₁, yₜ] + end[y_T₋₁, y_T]; K, one more than the
last state, stands for the places before the first. States whose unary score is -inf are passed over, so
the work is that of the states a token may have, not of all K³, and what is kept of each position is of the
pairs of states that it and the one before may have. Everything is in log space.
"""

import math
from typing import NamedTuple

import numpy as np

from langue.base.arrays import Array, Float64Array, Int32Array
from langue.base.compiled import njit
from langue.inference.chain import map_blocks
from langue.inference.maxproduct import Best, Ranked


class Chain2(NamedTuple):
    """A second-order chain: natural-log scores that all sequences share."""

    transition: Float64Array  # (K + 1, K + 1, K)
    end: Float64Array  # (K + 1, K)


class Posteriors2(NamedTuple):
    """Sums over all paths; a sequence without any has a `log_z` of -inf, and zeros."""

    log_z: Float64Array  # (S,)
    states: Float64Array  # (N, K)


def posteriors2(chain: Chain2, unary: Float64Array, offsets: Array) -> Posteriors2:
    """Forward–backward: unary `(N, K)`, offsets `(S + 1,)`."""
    log_z, states = np.empty(len(offsets) - 1), np.zeros_like(unary)
    map_blocks(lambda first, last: _posteriors(*chain, unary, offsets, first, last, log_z, states), offsets)
    return Posteriors2(log_z, states)


def viterbi2(chain: Chain2, unary: Float64Array, offsets: Array) -> Best:
    """The best path of every sequence."""
    states, scores = np.empty(len(unary), np.int32), np.empty(len(offsets) - 1)
    map_blocks(lambda first, last: _viterbi(*chain, unary, offsets, first, last, states, scores), offsets)
    return Best(states, scores)


def n_best2(chain: Chain2, unary: Float64Array, n: int) -> Ranked:
    """The `n` best paths of one sequence, unary `(T, K)`."""
    if len(unary) == 0:
        return Ranked(np.empty((1, 0), np.int32), np.zeros(1))
    states: Int32Array = np.empty((n, len(unary)), np.int32)
    scores = np.empty(n)
    _n_best(*chain, unary, states, scores)
    count = int(np.count_nonzero(scores > -np.inf))
    return Ranked(states[:count], scores[:count])


@njit
def _list_permitted(unary, t, states):
    """Fill `states` with those that position t may have; returns how many. Before the first there is K."""
    K = unary.shape[1]
    if t < 0:
        states[0] = K
        return 1
    count = 0
    for k in range(K):
        if unary[t, k] != -np.inf:
            states[count] = k
            count += 1
    return count


@njit
def _lists(unary):
    """The states of every position, two places before the first among them: `(T + 2, K)` and how many."""
    T, K = unary.shape
    states, counts = np.empty((T + 2, K), np.int64), np.empty(T + 2, np.int64)
    for t in range(-2, T):
        counts[t + 2] = _list_permitted(unary, t, states[t + 2])
    return states, counts


@njit
def _begins(counts):
    """Where the pairs of states of each position begin, of those kept one after another: `(T + 1,)`."""
    begins = np.zeros(len(counts) - 1, np.int64)
    for t in range(len(begins) - 1):
        begins[t + 1] = begins[t] + counts[t + 1] * counts[t + 2]
    return begins


@njit
def _add(total, score):
    """log(exp(total) + exp(score))."""
    if score == -np.inf:
        return total
    if score > total:
        return score + math.log1p(math.exp(total - score))
    return total + math.log1p(math.exp(score - total))


@njit
def _posteriors(transition, end, unary, offsets, first, last, log_z, states):
    for s in range(first, last):
        rows = unary[offsets[s] : offsets[s + 1]]
        log_z[s] = _sentence(transition, end, rows, states[offsets[s] : offsets[s + 1]])


@njit
def _sentence(transition, end, unary, states):
    T = len(unary)
    if T == 0:
        return 0.0
    lists, counts = _lists(unary)
    begins = _begins(counts)
    alpha = np.empty(begins[T])
    for t in range(T):
        _forward(transition, unary[t], alpha, begins, t, lists, counts)
    beta = end.copy()
    total, at = -np.inf, begins[T - 1]
    for i in lists[T, : counts[T]]:
        for j in lists[T + 1, : counts[T + 1]]:
            total = _add(total, alpha[at] + beta[i, j])
            at += 1
    if total == -np.inf:
        return total
    before = np.empty_like(beta)
    for t in range(T - 1, -1, -1):
        at = begins[t]
        for i in lists[t + 1, : counts[t + 1]]:
            for j in lists[t + 2, : counts[t + 2]]:
                states[t, j] += math.exp(alpha[at] + beta[i, j] - total)
                at += 1
        if t > 0:
            _backward(transition, unary[t], beta, before, t, lists, counts)
            beta, before = before, beta
    return total


@njit
def _forward(transition, scores, alpha, begins, t, lists, counts):
    """Messages of position t, of all paths that end in each pair of states."""
    for b in range(counts[t + 2]):
        j = lists[t + 2, b]
        for a in range(counts[t + 1]):
            i = lists[t + 1, a]
            total = -np.inf
            for c in range(counts[t]):
                before = 0.0 if t == 0 else alpha[begins[t - 1] + c * counts[t + 1] + a]
                total = _add(total, before + transition[lists[t, c], i, j])
            alpha[begins[t] + a * counts[t + 2] + b] = total + scores[j]


@njit
def _backward(transition, scores, beta, before, t, lists, counts):
    """Messages of position t - 1 from those of t."""
    for h in lists[t, : counts[t]]:
        for i in lists[t + 1, : counts[t + 1]]:
            total = -np.inf
            for j in lists[t + 2, : counts[t + 2]]:
                total = _add(total, transition[h, i, j] + scores[j] + beta[i, j])
            before[h, i] = total


@njit
def _viterbi(transition, end, unary, offsets, first, last, states, scores):
    score = np.empty(1)
    for s in range(first, last):
        rows = unary[offsets[s] : offsets[s + 1]]
        path = np.zeros((1, len(rows)), np.int32)
        score[0] = 0.0
        if len(rows):
            _n_best(transition, end, rows, path, score)
        states[offsets[s] : offsets[s + 1]] = path[0]
        scores[s] = score[0]


@njit
def _n_best(transition, end, unary, states, scores):
    """Fill the best paths `(n, T)`, best first, and their scores; -inf where there are no more."""
    T, K = unary.shape
    n = len(scores)
    lists, counts = _lists(unary)
    begins = _begins(counts)
    came_from = np.zeros((begins[T], n), np.int32)  # state two before × n + rank
    best = np.full((2, K + 1, K, n), -np.inf)  # of the last two positions
    next_rank = np.zeros(K + 1, np.int64)
    opening = np.full((K + 1, n), -np.inf)
    opening[K, 0] = 0.0
    for t in range(T):
        now, at = best[t % 2], begins[t]
        for i in lists[t + 1, : counts[t + 1]]:
            for j in lists[t + 2, : counts[t + 2]]:
                ahead = opening if t == 0 else best[(t - 1) % 2, :, i]
                now[i, j] = -np.inf
                _merge(ahead, transition[:, i, j], lists[t, : counts[t]], next_rank, now[i, j], came_from[at])
                now[i, j] += unary[t, j]
                at += 1
    _trace(best[(T - 1) % 2], came_from, begins, end, lists, counts, states, scores)


@njit
def _merge(ahead, added, chosen, next_rank, scores, came_from):
    """The best of the descending lists `ahead[h]`, each with added[h], merged into one."""
    n = len(scores)
    next_rank[:] = 0
    for rank in range(n):
        highest, source = -np.inf, -1
        for h in chosen:
            if next_rank[h] < n:
                score = ahead[h, next_rank[h]] + added[h]
                if score > highest:
                    highest, source = score, h
        if source < 0:
            break
        scores[rank] = highest
        came_from[rank] = source * n + next_rank[source]
        next_rank[source] += 1


@njit
def _trace(best, came_from, begins, end, lists, counts, states, scores):
    """Choose the n best ends, and follow each back."""
    T = len(begins) - 1
    _, K, n = best.shape
    next_rank = np.zeros((K + 1, K), np.int64)
    for rank in range(n):
        scores[rank] = -np.inf
        before, state = 0, 0
        for i in lists[T, : counts[T]]:
            for j in lists[T + 1, : counts[T + 1]]:
                if next_rank[i, j] < n and best[i, j, next_rank[i, j]] + end[i, j] > scores[rank]:
                    scores[rank] = best[i, j, next_rank[i, j]] + end[i, j]
                    before, state = i, j
        if scores[rank] == -np.inf:
            continue
        entry = next_rank[before, state]
        next_rank[before, state] += 1
        for t in range(T - 1, -1, -1):
            states[rank, t] = state
            a = np.searchsorted(lists[t + 1, : counts[t + 1]], before)
            b = np.searchsorted(lists[t + 2, : counts[t + 2]], state)
            source = came_from[begins[t] + a * counts[t + 2] + b, entry]
            state, before, entry = before, source // n, source % n
