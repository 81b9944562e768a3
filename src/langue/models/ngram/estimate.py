"""Interpolated modified Kneser–Ney (Chen and Goodman 1999, sections 3 and 4), order by order.

    p(w | c) = (a(cw) - D(a(cw))) / a(c·) + gamma(c) p(w | c')

a is the adjusted count: how often at the highest order and for n-grams that begin with `<s>`; below,
how many different words stand before it. c' is c less its first word, and under the unigrams lies
the uniform distribution. D takes D1, D2 or D3+ by the count; gamma(c) is the mass they take away.
"""

from typing import NamedTuple

import numpy as np

from langue.base.progress import log
from langue.models.ngram.counts import Level, Numbers

# For an order with too few counts to estimate from: what KenLM's --discount_fallback takes.
FALLBACK = (0.5, 1.0, 1.5)


class Tables(NamedTuple):
    """A trie of n-grams of all orders as flat arrays; nodes are numbered level by level.

    A node is an n-gram; node w < vocabulary size is the unigram w, and the next one is `<s>`.
    """

    word: Numbers  # (nodes,) uint32: the last word; children of a node are sorted by it
    log_prob: Numbers  # (nodes,) float32: natural log p(last word | words before)
    suffix: Numbers  # (nodes,) uint32: the node less its first word; of a unigram, itself
    log_backoff: Numbers  # (contexts,) float32: log gamma; contexts are the nodes below the top order
    children: Numbers  # (contexts + 1,) uint32: the first child of each context


def estimate(levels: list[Level]) -> Tables:
    """Probabilities and backoffs of every n-gram counted."""
    vocabulary_size = len(levels[0]) - 1
    firsts = np.cumsum([0, *map(len, levels)])  # number of each level's first node
    log_probs, log_backoffs, children = [], [], []
    lower = np.full(1, 1.0 / vocabulary_size)  # p of the level before, by suffix; here the uniform
    for index, level in enumerate(levels):
        adjusted = _adjusted(levels, index)
        if index == 0:
            adjusted[vocabulary_size] = 0  # `<s>` is read, never predicted
        discount = np.array([0.0, *discounts(adjusted, index + 1)])[np.minimum(adjusted, 3)]
        contexts = len(levels[index - 1]) if index else 1
        total = np.bincount(level.context, adjusted, contexts)
        taken = np.bincount(level.context, discount, contexts)
        gamma = np.divide(taken, total, out=np.ones(contexts), where=total > 0)
        share = (adjusted - discount) / np.maximum(total, 1)[level.context]
        lower = share + gamma[level.context] * lower[level.suffix]
        log_probs.append(np.log(lower))
        if index:
            log_backoffs.append(np.log(gamma))
            children.append(firsts[index] + np.searchsorted(level.context, np.arange(contexts)))
    suffixes = [level.suffix + first for level, first in zip(levels[1:], firsts, strict=False)]
    return Tables(
        word=np.concatenate([level.word for level in levels]),
        log_prob=np.concatenate(log_probs).astype(np.float32),
        suffix=np.concatenate([levels[0].word, *suffixes]).astype(np.uint32),
        log_backoff=np.concatenate([*log_backoffs, np.empty(0)]).astype(np.float32),
        children=np.concatenate([*children, firsts[-1:]]).astype(np.uint32),
    )


def _adjusted(levels: list[Level], index: int) -> Numbers:
    """Adjusted counts of a level; no word stands before `<s>`, so what begins with it has none."""
    count = levels[index].count
    if index + 1 == len(levels):
        return count.copy()
    different = np.bincount(levels[index + 1].suffix, minlength=len(count))
    return np.where(different > 0, different, count)


def discounts(adjusted: Numbers, order: int) -> tuple[float, float, float]:
    """D1, D2 and D3+ of one order, from its counts of counts (equation 26 of the paper)."""
    t1, t2, t3, t4 = (float(np.count_nonzero(adjusted == k)) for k in (1, 2, 3, 4))
    if t1 and t2 and t3:
        y = t1 / (t1 + 2 * t2)
        found = (1 - 2 * y * t2 / t1, 2 - 3 * y * t3 / t2, 3 - 4 * y * t4 / t3)
        if all(0 <= value <= k for k, value in enumerate(found, 1)):
            return found
    log.info("order %d: too few counts to estimate discounts from; taking %s, %s, %s", order, *FALLBACK)
    return FALLBACK
