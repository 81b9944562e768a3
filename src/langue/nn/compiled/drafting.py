"""How far ahead a network drafts its own text: self-speculative decoding, by its weights in int8.

A network of float32 waits for its weights to come from memory; in int8 they are a quarter of that. So they
draft some tokens, and one pass in float32 reads them all and draws each again, by the very number that it was
drafted by (drafter-invariant speculative decoding, Daliri, Musco and Suresh 2025): where it draws the same
token, what follows it is known already. The first that differs is what would have been written anyway, so a
text has the bits of one written without drafts, at any temperature; only the time differs.
"""

import numpy as np

from langue.base.arrays import Float64Array
from langue.base.compiled import njit
from langue.nn.compiled import isa

MOST = 8  # tokens drafted at a time
COST = 0.5  # of one: drafting it and reading it along with others, of a pass
LIKELY = 0.9  # how often a draft is right, before any is known
MEMORY = 0.9  # of what was known of it, after one more
AGAIN = 32  # passes without a draft after which one is tried

# Weights: fewer stay in a core's own cache, or in the last one, which is quick enough where int8 has no
# instruction of its own.
LEAST = 1 << 20 if isa.DOT else 1 << 23

RATE, IDLE = 0, 1


def pays(weights: int) -> bool:
    """Whether a network of so many has a draft."""
    return weights >= LEAST


def new_pace() -> Float64Array:
    """How often drafts are right, and the passes since the last."""
    return np.array([LIKELY, 0.0])


@njit
def count_to_draft(pace, most):
    """As many as give the most tokens for the time, `most` at most (Leviathan et al. 2023, theorem 3.8)."""
    count, best, reached, tokens = 0, 1.0, 1.0, 1.0
    for k in range(1, min(most, MOST) + 1):
        reached *= pace[RATE]
        tokens += reached
        if tokens / (1 + COST * k) > best:
            count, best = k, tokens / (1 + COST * k)
    if count > 0 or most <= 0:
        return count
    pace[IDLE] = (pace[IDLE] + 1) % AGAIN
    return int(pace[IDLE] == 0)


@njit
def learn(pace, right):
    pace[RATE] = MEMORY * pace[RATE] + (1 - MEMORY) * right
