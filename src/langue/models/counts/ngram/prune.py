"""Pruning by relative entropy (Stolcke 1998): leave out what the model would hardly miss.

To drop w after h changes the model by D = sum p(h, .) log p(. | h) / p'(. | h), where p' backs off at w and
its backoff is that much larger. Dropped is what raises the perplexity by less than a threshold, exp(D) - 1:
formulae and order of work are the paper's (section 3). An n-gram that others need, as their context or
their suffix, stays; in SRILM the suffix may go.
"""

import numpy as np

from langue.base.compiled import njit
from langue.models.counts.ngram.counts import New
from langue.models.counts.ngram.tables import Tables


def prune(tables: Tables, threshold: float, end: int, new: New = np.empty) -> Tables:
    """Drop n-grams that raise the perplexity by less than a threshold.

    Args:
        threshold: share of the perplexity; 1e-7 leaves a third of a 5-gram of 3 MB, 1e-6 a sixth.
        end: id of the end of a document, as likely as its beginning.
        new: makes the arrays.
    """
    contexts, nodes = len(tables.log_backoff), len(tables.suffix)
    log_context = new(contexts, np.float64)
    _log_contexts(tables.log_prob, tables.children, int(tables.first[1]), end, log_context)
    log_backoff = new(contexts, np.float32)
    log_backoff[:] = tables.log_backoff
    kept, needed = new(nodes, bool), new(nodes, bool)
    kept[:], needed[:] = True, False
    for n in range(tables.order, 1, -1):
        level = tables.level(n - 1)
        _choose(tables, level.start, level.stop, log_context, threshold, needed, kept, log_backoff)
    return tables._replace(log_backoff=log_backoff).keep(kept, new)


@njit
def _log_contexts(log_prob, children, words, end, log_context):
    """Log-probability of every context: of its words, one after another."""
    for word in range(min(words, len(log_context))):
        log_context[word] = log_prob[word if word < words - 1 else end]
    for context in range(len(log_context)):
        for child in range(np.int64(children[context]), np.int64(children[context + 1])):
            if child < len(log_context):
                log_context[child] = np.float64(log_prob[child]) + log_context[context]


@njit
def _choose(tables, begin, end, log_context, threshold, needed, kept, log_backoff):
    """Decide on the children of contexts [begin, end), and let the backoffs take what they leave."""
    suffix, log_prob, children = tables.suffix, tables.log_prob, tables.children
    for context in range(begin, end):
        low, high = np.int64(children[context]), np.int64(children[context + 1])
        left, left_below = 1.0, 1.0  # what p(. | h) and p(. | h') give to words not seen after h
        for child in range(low, high):
            left -= np.exp(np.float64(log_prob[child]))
            left_below -= np.exp(np.float64(log_prob[suffix[child]]))
        # Without the second, of rounding alone: there is nothing to weigh.
        if low < high and left > 0 and left_below > 0:
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
        for child in range(low, high):
            if kept[child]:
                needed[np.int64(suffix[child])] = needed[context] = True
