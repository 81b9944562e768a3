"""Finding θ: AdaGrad on the likelihood less its penalty, token by token (Duchi et al. 2011).

    maximize  Σ log p(w | c) - l1 Σ|θ| - l2/2 Σ θ²

The penalty of a row of W falls due in equal parts whenever the row is met, and that of b in equal
parts with each batch. The l1 part is a soft threshold after each step, so weights that are not worth
l1 occurrences end at exactly 0.

It begins where an interpolated Kneser-Ney model with one discount would end (Kneser and Ney 1995), which
has this form. There a word seen after a context has p(w) = (a - D) / total + gamma p'(w), where p' is the
model one token shorter: it weighs log(p(w) / gamma p'(w)), the others weigh 0, and Z is 1 / gamma. Where
learning begins changes nothing about the optimum, and saves some twenty epochs on the way to it.
"""

from collections.abc import Iterator

import numpy as np

from langue.base.arrays import Array
from langue.base.compiled import njit
from langue.models.counts.loglinear.features import CHUNK_TOKENS, Weights
from langue.models.counts.loglinear.model import normalize, rows_of
from langue.tokens.contexts import ContextBatches, Contexts

BATCH_TOKENS = 1024  # tokens between two steps of b, each of which costs as much as the vocabulary is large
DISCOUNT = 0.75  # D: estimates on real texts lie about it


class Learner:
    """Learns `weights` in place.

    Args:
        counts: how often training meets each pair `(pairs,)`.
        features: of a context.
        rate: of AdaGrad: the first step of every weight.
    """

    def __init__(
        self,
        weights: Weights,
        counts: Array,
        source: ContextBatches,
        features: int,
        *,
        l1: float,
        l2: float,
        rate: float,
    ) -> None:
        self.weights = weights
        self.source = source
        self.features = features
        self.penalty = np.float32(l1), np.float32(l2)
        self.rate = np.float32(rate)
        met = np.add.reduceat(np.r_[counts, 0.0], weights.starts[:-1])
        self.shares = (1 / np.maximum(met, 1)).astype(np.float32)  # of its penalty a row pays when met
        self.squares = np.ones(len(weights.weight), np.float32)  # of the gradients so far
        self.bias_squares = np.ones(len(weights.bias), np.float32)
        self._begin(counts)

    def _begin(self, counts: Array) -> None:
        """Weigh as Kneser-Ney does; a is its adjusted count."""
        a, words = np.zeros_like(counts), np.ones(len(self.weights.bias), np.float64)
        seen = np.zeros(len(counts), np.bool_)
        for block in self._blocks():
            _adjust(self.weights, counts, seen, a, words, self.source.order, *block)
        np.maximum(a, 1, out=a)  # a row that two features share may have lost one to the other
        self.weights.bias[:] = np.log(words)
        totals = np.add.reduceat(np.r_[a, 0.0], self.weights.starts[:-1])
        for block in self._blocks():
            _weigh(self.weights, a, totals, self.source.order, *block)

    def _blocks(self) -> Iterator[Contexts]:
        for begin in range(0, self.source.total, CHUNK_TOKENS):
            yield self.source.at(np.arange(begin, min(begin + CHUNK_TOKENS, self.source.total)))

    def epoch(self, number: int) -> float:
        """Learn from every token once; returns nats a token, each measured before it was learned."""
        total = 0.0
        tokens = 0
        for index in range(number * self.source.per_epoch, (number + 1) * self.source.per_epoch):
            batch = self.source.batch(index)
            total += _learn(
                self.weights,
                self.squares,
                self.bias_squares,
                self.shares,
                np.float32(batch.rows / self.source.total),
                self.features,
                *batch,
                self.penalty,
                self.rate,
            )
            tokens += batch.rows
        return total / tokens


@njit
def _entry_of(weights, row, word):
    """Index of the non-zero entry of a row and a word, by bisection; it was counted, so it is there."""
    start, end = np.int64(weights.starts[row]), np.int64(weights.starts[row + np.uint64(1)])
    return start + np.searchsorted(weights.word[start:end], word)


@njit
def _adjust(weights, counts, seen, a, words, order, before, targets):
    """Adjusted counts: at the highest order how often, below it after how many different tokens."""
    for index in range(len(targets)):
        rows = rows_of(weights, order - 1, before[index])
        for feature in range(order - 1):
            entry = _entry_of(weights, rows[feature], targets[index])
            if feature == order - 2:
                a[entry] = counts[entry]
            if not seen[entry]:
                seen[entry] = True
                if feature:
                    a[_entry_of(weights, rows[feature - 1], targets[index])] += 1
                else:
                    words[targets[index]] += 1


@njit
def _weigh(weights, a, totals, order, before, targets):
    """The weights of the pairs of these predictions."""
    base = np.exp(weights.bias.astype(np.float64))
    base /= base.sum()
    for index in range(len(targets)):
        p = base[targets[index]]
        for row in rows_of(weights, order - 1, before[index]):
            entry = _entry_of(weights, row, targets[index])
            different = weights.starts[row + np.uint64(1)] - weights.starts[row]
            rest = DISCOUNT * different / totals[row] * p
            p = (a[entry] - DISCOUNT) / totals[row] + rest
            weights.weight[entry] = np.log(p / rest)


@njit
def _learn(weights, squares, bias_squares, shares, bias_share, features, before, targets, penalty, rate):
    """Learn from a batch; returns the nats its targets cost."""
    base = np.exp(weights.bias.astype(np.float64))
    q = base.copy()  # exp(scores) of the context at hand
    total = base.sum()
    surplus = np.zeros(len(base))  # gradient of b, less the part base / Z that all words share
    inverse = 0.0  # Σ 1 / Z
    nats = 0.0
    for index in range(len(targets)):
        target = targets[index]
        rows = rows_of(weights, features, before[index])
        z = normalize(weights, rows, q, total)
        nats -= np.log(q[target] / z)
        share = 1 / z
        inverse += share
        surplus[target] -= 1
        for row in rows:
            for entry in range(weights.starts[row], weights.starts[row + np.uint64(1)]):
                word = weights.word[entry]
                gradient = np.float32(q[word] * share) - np.float32(word == target)
                _step(weights.weight, squares, entry, gradient, shares[row], penalty, rate)
        for row in rows:
            for entry in range(weights.starts[row], weights.starts[row + np.uint64(1)]):
                word = weights.word[entry]
                surplus[word] += (q[word] - base[word]) * share
                q[word] = base[word]
    for word in range(len(base)):
        gradient = np.float32(surplus[word] + inverse * base[word])
        _step(weights.bias, bias_squares, word, gradient, bias_share, penalty, rate)
    return nats


@njit(inline="always")
def _step(theta, squares, entry, gradient, share, penalty, rate):
    """One step of AdaGrad on one weight, then its share of the soft threshold."""
    old = theta[entry]
    gradient += share * penalty[1] * old
    squares[entry] += gradient * gradient
    step = rate / np.sqrt(squares[entry])
    new = old - step * gradient
    threshold = step * share * penalty[0]
    theta[entry] = max(new - threshold, np.float32(0)) if new > 0 else min(new + threshold, np.float32(0))
