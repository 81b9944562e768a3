"""Classes of words, under which a class bigram model is most likely (Brown et al. 1992).

The exchange algorithm of Martin, Liermann and Ney (1998): each word in turn moves to the class where it
helps the likelihood most, until few move. Hidden Markov models begin with such classes as their states, and
class-based n-gram models are made of them.
"""

import numpy as np

from langue.base.arrays import Array
from langue.base.compiled import njit

SWEEPS = 6  # over all words: later ones move few


def exchange(tokens: Array, begins: Array, size: int, K: int) -> Array:
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


@njit
def _exchange(starts, after, after_counts, ends, before, before_counts, order, classes, K):
    joint = np.zeros((K, K))
    for word in range(len(starts) - 1):
        for p in range(starts[word], starts[word + 1]):
            joint[classes[word], classes[after[p]]] += after_counts[p]
    out, into = joint.sum(1), joint.sum(0)
    follows, precedes = np.zeros(K), np.zeros(K)
    after_classes, before_classes = np.empty(K, np.int64), np.empty(K, np.int64)  # where those are not 0
    for _ in range(SWEEPS):
        moved = 0
        for word in order:
            own = classes[word]
            itself, n = _neighbors(word, starts, after, after_counts, classes, follows, after_classes)
            _, m = _neighbors(word, ends, before, before_counts, classes, precedes, before_classes)
            some_after, some_before = after_classes[:n], before_classes[:m]
            _shift(joint, out, into, own, follows, precedes, itself, -1.0)
            best, highest = own, -np.inf
            for k in range(K):
                gain = _gain(joint, out, into, k, follows, precedes, some_after, some_before, itself)
                if gain > highest + 1e-9:
                    best, highest = k, gain
            _shift(joint, out, into, best, follows, precedes, itself, 1.0)
            follows[some_after] = 0.0
            precedes[some_before] = 0.0
            classes[word] = best
            moved += best != own
        if moved == 0:
            break


@njit
def _neighbors(word, starts, others, counts, classes, totals, some):
    """Add to `totals` how often a word's neighbors on one side are of each class, and list those classes;
    returns how often it is its own neighbor, which is not among them, and how many classes there are."""
    itself, size = 0.0, 0
    for p in range(starts[word], starts[word + 1]):
        if others[p] == word:
            itself += counts[p]
            continue
        k = classes[others[p]]
        if totals[k] == 0.0:
            some[size] = k
            size += 1
        totals[k] += counts[p]
    return itself, size


@njit
def _shift(joint, out, into, k, follows, precedes, itself, sign):
    """Put a word into class k (sign 1), or take it out (-1)."""
    joint[k] += sign * follows
    joint[:, k] += sign * precedes
    joint[k, k] += sign * itself
    into += sign * follows
    out += sign * precedes
    out[k] += sign * (follows.sum() + itself)
    into[k] += sign * (precedes.sum() + itself)


@njit
def _gain(joint, out, into, k, follows, precedes, after, before, itself):
    """Gain of the log-likelihood Σ n(g, h) log n(g, h) - Σ n(g) log n(g), both sides, from a word in k."""
    gain, right_sum, left_sum = 0.0, 0.0, 0.0
    for h in after:
        right_sum += follows[h]
        if h != k:
            gain += _xlogx(joint[k, h] + follows[h]) - _xlogx(joint[k, h])
    for h in before:
        left_sum += precedes[h]
        if h != k:
            gain += _xlogx(joint[h, k] + precedes[h]) - _xlogx(joint[h, k])
    gain += _xlogx(joint[k, k] + follows[k] + precedes[k] + itself) - _xlogx(joint[k, k])
    # The word is in no class now, so the sums of both sides lack it too.
    left, right = out[k] + precedes[k], into[k] + follows[k]
    gain -= _xlogx(left + right_sum + itself) - _xlogx(left)
    return gain - (_xlogx(right + left_sum + itself) - _xlogx(right))


@njit
def _xlogx(count):
    return count * np.log(count) if count > 0.5 else 0.0
