"""Classes of words, under which a class bigram model is most likely (Brown et al. 1992).

The exchange algorithm of Martin, Liermann and Ney (1998): each word in turn moves to the class where it
helps the likelihood most, until few move. Hidden Markov models begin with such classes as their states, and
class-based n-gram models are made of them.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Numbers = npt.NDArray[Any]
SWEEPS = 6  # over all words: later ones move few


def exchange(tokens: Numbers, begins: Numbers, size: int, K: int) -> Numbers:
    """Class of each word `(size,)`: each word in turn moves to where it helps the likelihood most.

    Args:
        tokens: `(N,)` words of all documents.
        begins: `(N,)` whether a document begins there: no bigram ends there.
    """
    counts = np.bincount(tokens, minlength=size)
    order = np.argsort(-counts, kind="stable")
    classes = np.empty(size, np.int64)
    classes[order] = np.arange(size) % K  # the commonest K words begin apart
    first, second = tokens[:-1][~begins[1:]], tokens[1:][~begins[1:]]
    pairs, weights = np.unique(first.astype(np.int64) * size + second, return_counts=True)
    left, right = pairs // size, pairs % size
    by_right = np.argsort(right, kind="stable")
    _exchange(
        np.searchsorted(left, np.arange(size + 1)), right, weights,
        np.searchsorted(right[by_right], np.arange(size + 1)), left[by_right], weights[by_right],
        order[counts[order] > 0], classes, K,
    )  # fmt: skip
    return classes


@njit(nogil=True, cache=True)
def _exchange(starts, after, after_counts, ends, before, before_counts, order, classes, K):  # type: ignore[no-untyped-def]
    joint = np.zeros((K, K))
    for word in range(len(starts) - 1):
        for p in range(starts[word], starts[word + 1]):
            joint[classes[word], classes[after[p]]] += after_counts[p]
    out, into = joint.sum(1), joint.sum(0)
    follows, precedes = np.zeros(K), np.zeros(K)
    for _ in range(SWEEPS):
        moved = 0
        for word in order:
            own = classes[word]
            itself = _neighbours(word, starts, after, after_counts, classes, follows)
            _neighbours(word, ends, before, before_counts, classes, precedes)
            _shift(joint, out, into, own, follows, precedes, itself, -1.0)
            near = np.flatnonzero(follows + precedes)
            best, highest = own, -np.inf
            for k in range(K):
                gain = _gain(joint, out, into, k, near, follows, precedes, itself)
                if gain > highest + 1e-9:
                    best, highest = k, gain
            _shift(joint, out, into, best, follows, precedes, itself, 1.0)
            classes[word] = best
            moved += best != own
        if moved == 0:
            break


@njit(nogil=True, cache=True)
def _neighbours(word, starts, others, counts, classes, found):  # type: ignore[no-untyped-def]
    """Fill `found` with how often a word's neighbours on one side are of each class; returns how often
    it is its own neighbour, which is not among them."""
    found[:] = 0.0
    itself = 0.0
    for p in range(starts[word], starts[word + 1]):
        if others[p] == word:
            itself += counts[p]
        else:
            found[classes[others[p]]] += counts[p]
    return itself


@njit(nogil=True, cache=True)
def _shift(joint, out, into, k, follows, precedes, itself, sign):  # type: ignore[no-untyped-def]
    """Put a word into class k (sign 1), or take it out (-1)."""
    joint[k] += sign * follows
    joint[:, k] += sign * precedes
    joint[k, k] += sign * itself
    into += sign * follows
    out += sign * precedes
    out[k] += sign * (follows.sum() + itself)
    into[k] += sign * (precedes.sum() + itself)


@njit(nogil=True, cache=True)
def _gain(joint, out, into, k, near, follows, precedes, itself):  # type: ignore[no-untyped-def]
    """What the log-likelihood Σ n(g, h) log n(g, h) - Σ n(g) log n(g), both sides, gains from a word in k,
    whose neighbours are of the classes `near`."""
    gain = 0.0
    for h in near:
        if h == k:
            continue
        if follows[h] > 0.0:
            gain += _xlogx(joint[k, h] + follows[h]) - _xlogx(joint[k, h])
        if precedes[h] > 0.0:
            gain += _xlogx(joint[h, k] + precedes[h]) - _xlogx(joint[h, k])
    gain += _xlogx(joint[k, k] + follows[k] + precedes[k] + itself) - _xlogx(joint[k, k])
    # The word is in no class now, so the sums of both sides lack it too.
    left, right = out[k] + precedes[k], into[k] + follows[k]
    gain -= _xlogx(left + follows.sum() + itself) - _xlogx(left)
    return gain - (_xlogx(right + precedes.sum() + itself) - _xlogx(right))


@njit(nogil=True, cache=True)
def _xlogx(count):  # type: ignore[no-untyped-def]
    return count * np.log(count) if count > 0.5 else 0.0
