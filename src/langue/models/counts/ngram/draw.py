"""Drawing tokens from an n-gram model, many in one call."""

import numpy as np

from langue.base.compiled import njit
from langue.models.counts.ngram.score import distribution, step
from langue.nn.compiled.choice import write_token

F = np.float32


@njit
def draw(tables, nodes, lengths, writing):
    """Write each row on.

    Args:
        nodes: `(B,)`, states of the model, and lengths `(B,)` of the last n-grams: both are moved on.
        writing: of `write_token`.
    """
    counts, leads, ends, tokens = writing[1], writing[3], writing[5], writing[6]
    log_prob, length = np.empty(1, F), np.empty(1, np.uint8)
    row = np.empty(leads.shape[1], F)
    for b in range(len(nodes)):
        for t in range(counts[b]):
            distribution(tables, nodes[b], row)
            write_token(row, b, t, writing)
            if t >= counts[b] or tokens[b, t] == ends[b]:
                break
            step(tables, nodes[b : b + 1], tokens[b, t : t + 1], log_prob, length)
            lengths[b] = length[0]
