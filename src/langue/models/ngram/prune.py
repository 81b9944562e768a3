"""Pruning by relative entropy (Stolcke 1998): leave out what the model would hardly miss.

To drop w after h changes the model by D = sum p(h, .) log p(. | h) / p'(. | h), where p' backs off at w and
its backoff is that much larger. Dropped is what raises the perplexity by less than a threshold, exp(D) - 1:
formulae and order of work are the paper's (section 3). An n-gram that others need, as their context or
their suffix, stays; in SRILM the suffix may go.
"""

import numpy as np
from numba import njit

from langue.models.ngram.counts import Numbers
from langue.models.ngram.tables import Tables


def prune(tables: Tables, threshold: float, end: int) -> Tables:
    """Drop n-grams that raise the perplexity by less than a threshold.

    Args:
        threshold: share of the perplexity; 1e-7 leaves a third of a 5-gram of 3 MB, 1e-6 a sixth.
        end: id of the end of a document, as likely as its beginning.
    """
    log_context = _log_contexts(tables, end)
    log_backoff = tables.log_backoff.copy()
    kept = np.ones(len(tables.suffix), bool)
    needed = np.zeros(len(tables.suffix), bool)
    for n in range(tables.order, 1, -1):
        level, contexts = tables.level(n), tables.level(n - 1)
        _choose(
            contexts.start, contexts.stop, tables.suffix, tables.log_prob, tables.children, log_context,
            threshold, needed, kept, log_backoff,
        )  # fmt: skip
        nodes = level.start + np.flatnonzero(kept[level])
        needed[tables.suffix[nodes]] = True
        needed[np.searchsorted(tables.children, nodes, side="right") - 1] = True
    return tables._replace(log_backoff=log_backoff).keep(kept)


def _log_contexts(tables: Tables, end: int) -> Numbers:
    """Log-probability of every context: of its words, one after another."""
    found = tables.log_prob[: len(tables.log_backoff)].astype(np.float64)
    found[tables.first[1] - 1] = found[end]
    for n in range(2, tables.order):
        level = tables.level(n)
        before = np.searchsorted(tables.children, np.arange(level.start, level.stop), side="right") - 1
        found[level] += found[before]
    return found


@njit(nogil=True, cache=True)
def _choose(  # type: ignore[no-untyped-def]
    begin, end, suffix, log_prob, children, log_context, threshold, needed, kept, log_backoff
):
    """Decide on the children of contexts [begin, end), and let the backoffs take what they leave."""
    for context in range(begin, end):
        low, high = np.int64(children[context]), np.int64(children[context + 1])
        left, left_below = 1.0, 1.0  # what p(. | h) and p(. | h') give to words not seen after h
        for child in range(low, high):
            left -= np.exp(np.float64(log_prob[child]))
            left_below -= np.exp(np.float64(log_prob[suffix[child]]))
        if low == high or left <= 0 or left_below <= 0:
            continue  # of rounding alone: there is nothing to weigh
        backoff = np.log(left) - np.log(left_below)
        new_left, new_below = left, left_below
        for child in range(low, high):
            own, below = np.float64(log_prob[child]), np.float64(log_prob[suffix[child]])
            p, p_below = np.exp(own), np.exp(below)
            new_backoff = np.log(left + p) - np.log(left_below + p_below)
            change = p * (below + new_backoff - own) + left * (new_backoff - backoff)
            worse = np.expm1(-np.exp(log_context[context]) * change)
            if worse < threshold and not needed[child]:
                kept[child] = False
                new_left += p
                new_below += p_below
        log_backoff[context] = np.log(new_left) - np.log(new_below)
