"""Why an n-gram model gives a token its probability: what each order says, and the counts behind it.

Tables hold probabilities and backoffs, not counts. But these follow: with `rules`, which say how an order was
smoothed, there is hardly ever more than one set of whole counts whose discounted shares are those of a
context's children (`_counts_of`); where there are two, or rounding leaves none, none is told.
"""

from dataclasses import replace
from itertools import product

import numpy as np

from langue.base.arrays import Array, Float64Array, Ids
from langue.models.counts.ngram.model import NGram
from langue.models.counts.ngram.tables import Tables
from langue.models.counts.ngram.trie import edges_of
from langue.protocols.explanation import NGramExplanation, NGramOrder

NEAR = 0.05  # a count is whole if it is so near to one ...
NEAR_SHARE = 2e-5  # ... or by this share of itself: probabilities are 32-bit logs
NOTHING = 1e-4  # a share of a probability that is rounding
ALIKE = 0.02  # shares of one count: those of 1, 2 and 3 are further apart


def explain(model: NGram, context: Ids, id: int) -> NGramExplanation:
    """What each order says of a token, from the unigram to the longest context that is known."""
    tables = model.tables
    contexts, node = [], model.state(context)
    while node >= 0:
        contexts.append(node)
        node = int(tables.suffix[node]) if node >= tables.first[1] else -1
    orders: list[NGramOrder] = []
    lower, match = 1.0 / (int(tables.first[1]) - 1), id
    for order, node in enumerate([-1, *reversed(contexts)], 1):
        nodes = _children(tables, node)
        if order > 1:
            match = _child(tables, nodes, match)
        seen = match >= 0
        gamma = _backoff(tables, node, order)
        if seen:
            p = float(np.exp(_log_probs(tables, np.array([match]), order)[0]))
            share = p if not model.normalized else max(p - gamma * lower, 0.0)
        else:
            p, share = gamma * lower, 0.0
        step = NGramOrder(order, seen and (order > 1 or share > NOTHING * p), p, share, gamma, len(nodes))
        orders.append(_with_counts(tables, step, nodes, match, whole=len(context) < order - 1))
        lower = p
    return NGramExplanation(tuple(orders))


def _children(tables: Tables, node: int) -> Array:
    """The n-grams that a context begins; those of none are all words."""
    if node < 0:
        return np.arange(int(tables.first[1]) - 1)
    if node >= len(tables.log_backoff):
        return np.empty(0, np.int64)
    return np.arange(*edges_of(tables, np.array([node, node + 1])))


def _child(tables: Tables, nodes: Array, match: int) -> int:
    """The n-gram of a context whose suffix is this one, or -1."""
    if match < 0 or not len(nodes):
        return -1
    suffixes = tables.suffix[nodes]
    index = int(np.searchsorted(suffixes, match))
    return int(nodes[index]) if index < len(nodes) and suffixes[index] == match else -1


def _log_probs(tables: Tables, nodes: Array, order: int) -> Float64Array:
    values = tables.log_prob[nodes]
    return (tables.bins[0, order - 1, values] if tables.quantized else values).astype(np.float64)


def _backoff(tables: Tables, node: int, order: int) -> float:
    """What a context of order - 1 tokens leaves to the order below."""
    if node < 0:
        return float(tables.rules[0, 5]) if len(tables.rules) else 0.0
    value = tables.log_backoff[node]
    return float(np.exp(tables.bins[1, order - 2, value] if tables.quantized else value))


def _with_counts(tables: Tables, step: NGramOrder, nodes: Array, match: int, *, whole: bool) -> NGramOrder:
    """With counts, where the tables tell them.

    Args:
        whole: the context begins with `<s>`, before which nothing stands: its n-grams are just counted.
    """
    order = step.order
    if not len(tables.rules) or not len(nodes):
        return step
    p = np.exp(_log_probs(tables, nodes, order))
    if order == 1:
        below = np.full(len(nodes), 1.0 / (int(tables.first[1]) - 1))
    else:
        below = np.exp(_log_probs(tables, tables.suffix[nodes], order - 1))
    shares = p - step.backoff * below
    shares[shares < NOTHING * p] = 0.0
    counts = _counts_of(shares, step.backoff, tables.rules[order - 1])
    if order == 1:
        step = replace(step, continuations=int(np.count_nonzero(shares)))
    if counts is None:
        return step
    count = int(counts[np.searchsorted(nodes, match)]) if step.seen else 0
    taken = float(tables.rules[order - 1][min(count, 3) - 1]) if count else 0.0
    distinct = bool(tables.rules[order - 1][6]) and not whole
    return replace(step, count=count, total=int(counts.sum()), discount=taken, distinct=distinct)


def _counts_of(shares: Float64Array, gamma: float, rule: Array) -> Array | None:
    """The counts a of children with (a - D(a)) / (a· + e) as given, where e and the D taken are gamma of it.

    How many children have the counts 1 and 2 decides a·. Those of one count have one share, and the fewer
    times the smaller: each can only be none, or all of the smallest that are left.
    """
    d1, d2, d3, per_child, extra = rule[:5]
    some = np.sort(shares[shares > 0])
    taken_whole = d1 > 1 - NOTHING or d2 > 2 - NOTHING or d3 > 3 - NOTHING  # such counts leave no share
    if not len(some) or gamma <= 0 or taken_whole:
        return None
    told: Array | None = None
    for ones, twos in product((True, False), repeat=2):
        n1 = _smallest(some) if ones else 0
        n2 = _smallest(some[n1:]) if twos else 0
        added = per_child * len(some) + extra
        total = (d1 * n1 + d2 * n2 + d3 * (len(some) - n1 - n2) + added) / gamma
        exact = np.where(shares > 0, shares * total + d3, 0.0)
        if n1:
            exact[(shares > 0) & (shares <= some[n1 - 1])] += d1 - d3
        if n2:
            exact[(shares > some[n1 - 1] if n1 else shares > 0) & (shares <= some[n1 + n2 - 1])] += d2 - d3
        counts = np.rint(exact).astype(np.int64)
        if (
            _consistent(exact, counts, n1, n2)
            and abs(counts.sum() + added - total) <= NEAR_SHARE * total + 0.5
        ):
            if told is not None and not np.array_equal(told, counts):
                return None  # discounts in proportion to counts, as those of a tiny corpus are, leave two
            told = counts
    return told


def _smallest(shares: Float64Array) -> int:
    """How many of sorted shares are as small as the first."""
    return int(np.searchsorted(shares, shares[0] * (1 + ALIKE), side="right")) if len(shares) else 0


def _consistent(exact: Float64Array, counts: Array, n1: int, n2: int) -> bool:
    """Whether counts are whole, and as many are 1 and 2 as they were made from."""
    near = np.abs(exact - counts) <= np.maximum(NEAR, NEAR_SHARE * exact)
    return bool(near.all()) and np.count_nonzero(counts == 1) == n1 and np.count_nonzero(counts == 2) == n2
