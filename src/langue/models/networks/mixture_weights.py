"""The weights of a mixture: functions of the context, tuned on held-out text by expectation maximization.

Which part is to be trusted depends on what stands before (Jelinek and Mercer 1980): an n-gram where the
context is long and was seen, a network where its distribution is narrow. So there is a row of weights for
each length of the n-gram's match and each of a few entropies, and between two entropies the weights are
interpolated linearly, so that a difference in the last bit of one changes them in the last bit. Both depend
on the context alone: the mixture sums to one as its parts do.
"""

from typing import Annotated, NamedTuple

import numpy as np

from langue.base.arrays import Array, Float64Array, Floats, Int64Array
from langue.base.checked import ArraySpec

KNOTS = 5  # entropies with weights of their own
CLOSE = 1e-4  # weights that move less have converged: perplexity no longer changes in its fifth digit
LONGEST = 500  # steps of EM
PRIOR = 20.0  # tokens that the weights of a coarser table are worth to a finer one


class Weights(NamedTuple):
    """A row of weights, summing to one, for each length and each entropy."""

    table: Annotated[Array, ArraySpec("float64", ("lengths", "knots", "parts"), least=0.0, most=1.0)]
    # Entropies in nats, rising: those of the rows.
    knots: Annotated[Array, ArraySpec("float64", ("knots",), rising=True)]

    def at(self, lengths: Array, entropies: Floats) -> Float64Array:
        """The weights after contexts, `(parts, contexts)`.

        Args:
            lengths: `(contexts,)`, of the longest match of an n-gram part; 0 where there is none.
            entropies: `(contexts,)`, the mean of the other parts, in nats; 0 where there is none.
        """
        below, fraction = between(self.knots, entropies)
        rows = self.table[np.minimum(lengths, len(self.table) - 1)]  # (contexts, knots, parts)
        index = np.arange(len(below))
        above = np.minimum(below + 1, len(self.knots) - 1)
        low, high = rows[index, below].T, rows[index, above].T
        weights: Float64Array = (1 - fraction) * low + fraction * high
        return weights


def between(knots: Array, entropies: Floats) -> tuple[Int64Array, Float64Array]:
    """The knot below each entropy, and how far it is to the next: 0 to 1."""
    clipped = np.clip(entropies.astype(np.float64), knots[0], knots[-1])
    below = np.clip(np.searchsorted(knots, clipped, side="right") - 1, 0, max(len(knots) - 2, 0))
    above = np.minimum(below + 1, len(knots) - 1)
    width = knots[above] - knots[below]
    fraction = np.divide(clipped - knots[below], width, out=np.zeros_like(clipped), where=width > 0)
    return below, fraction


def tune(log_probs: Floats, lengths: Array, entropies: Floats, longest: int) -> Weights:
    """The weights that make tokens likeliest.

    Three tables, each of which begins as the one before and is drawn towards it: one row for all, one for
    each length, one for each length and entropy.

    Args:
        log_probs: `(parts, tokens)`; tokens that no part holds possible are left out.
        lengths: `(tokens,)`, 0 to `longest`, and `entropies` `(tokens,)`: as `Weights.at`.
    """
    possible = (log_probs > -np.inf).any(0)
    logs = log_probs[:, possible].astype(np.float64)
    p = np.exp(logs - logs.max(0, initial=-np.inf))
    lengths, entropies = lengths[possible], entropies[possible]
    knots = knots_of(entropies)
    below, fraction = between(knots, entropies)
    parts, tokens = p.shape
    nowhere, all_here = np.zeros(tokens, np.int64), np.zeros(tokens)
    one = fit(p, nowhere, all_here, np.full((1, parts), 1 / parts), np.zeros((1, parts)))
    by_length = np.repeat(one, longest + 1, 0)
    by_length = fit(p, lengths, all_here, by_length, PRIOR * by_length)
    both = np.repeat(by_length, len(knots), 0)  # rows: length, then knot
    both = fit(p, lengths * len(knots) + below, fraction, both, PRIOR * both)
    return Weights(both.reshape(longest + 1, len(knots), parts), knots)


def knots_of(entropies: Floats) -> Float64Array:
    """The middles of equally many entropies each; one where all are alike."""
    if not len(entropies):
        return np.zeros(1)
    shares = (np.arange(KNOTS) + 0.5) / KNOTS
    return np.unique(np.quantile(entropies.astype(np.float64), shares))


def fit(
    p: Float64Array,
    rows: Int64Array,
    fraction: Float64Array,
    table: Float64Array,
    prior: Float64Array,
) -> Float64Array:
    """Expectation maximization of a table of weights `(rows, parts)`.

    A row's weights become the mean shares that the parts had in the probabilities of its tokens (and of
    those of the prior). That converges from anywhere, for the likelihood is concave in the weights.

    Args:
        p: `(parts, tokens)`, of each token by each part, up to a factor.
        rows: `(tokens,)`, and `fraction` `(tokens,)`: the weights of a token are `1 - fraction` of its
            row's and `fraction` of the next one's.
        prior: `(rows, parts)`, in tokens.
    """
    parts = len(p)
    above = np.minimum(rows + 1, len(table) - 1)
    for _ in range(LONGEST):
        low, high = (1 - fraction) * table[rows].T * p, fraction * table[above].T * p  # (parts, tokens)
        total = (low + high).sum(0)
        total[total == 0] = 1.0
        counts = prior.copy()
        for part in range(parts):
            counts[:, part] += np.bincount(rows, low[part] / total, len(table))
            counts[:, part] += np.bincount(above, high[part] / total, len(table))
        sums = counts.sum(1, keepdims=True)
        after = np.divide(counts, sums, out=table.copy(), where=sums > 0)
        moved, table = np.abs(after - table).max(initial=0.0), after
        if moved < CLOSE:
            break
    return table
