"""Drawing tokens from an n-gram model, many in one call."""

import numpy as np

from langue.base.compiled import njit
from langue.models.counts.ngram.score import distribution, step
from langue.nn.compiled.choice import choose

F = np.float32


@njit
def draw(tables, nodes, lengths, numbers, counts, settings, leads, states, ends, ids, log_probs):
    """Write each row on.

    Args:
        nodes: `(B,)`, states of the model, and lengths `(B,)` of the last n-grams: both are moved on.
        others: of `nn.compiled.choice.Writing`.
    """
    log_prob, length = np.empty(1, F), np.empty(1, np.uint8)
    row = np.empty(leads.shape[1], F)
    for b in range(len(nodes)):
        state = states[b]
        for t in range(counts[b]):
            distribution(tables, nodes[b], row)
            token = choose(row, leads[state], settings[b], numbers[b, t])
            if token < 0:
                counts[b] = t
                break
            ids[b, t], log_probs[b, t] = token, row[token]
            if token == ends[b]:
                counts[b] = t + 1
                break
            state = leads[state, token]
            step(tables, nodes[b : b + 1], ids[b, t : t + 1], log_prob, length)
            lengths[b] = length[0]
