"""Texts that nothing but their distributions and the settings of sampling decides.

Their tokens are drawn in compiled code, those of all rows in one call, and many at a time where the decoder
can. A text is the same as if it were written step by step.
"""

from collections.abc import Sequence

import numpy as np

from langue.generation.continuation import Continuation
from langue.protocols import Decoder
from langue.protocols.drawing import DrawingDecoder, Draws

# Of one call: tokens of each row, and numbers read for them, some 50 milliseconds; where whoever comes
# meanwhile waits, some 10. Between two calls Python takes 0.1, as long as a small network for a token.
# Rows side by side share what is read, so that each costs about a quarter of one alone.
RUN, WORK, BRIEF, SHARED = 64, 1 << 29, 1 << 27, 4


def draw_run(decoder: DrawingDecoder, writing: Sequence[Continuation], *, brief: bool = False) -> None:
    """Draw the next tokens of each text, which the decoder has read, as many as all may still have.

    Args:
        brief: others may come meanwhile.
    """
    work = decoder.work * (1 + len(writing) // SHARED)
    left = min(one.left for one in writing)  # of one that ends, the place is free for the next
    run = max(min(RUN, left, decoder.most(), (BRIEF if brief else WORK) // work), 1)
    draws = _draws(writing, run)
    for one, count, ids, log_probs in zip(writing, draws.counts, *decoder.draw(draws), strict=True):
        one.extend(ids.tolist(), log_probs.tolist(), stuck=len(ids) < count)


def draw_each(decoder: Decoder, writing: Sequence[Continuation]) -> list[int]:
    """Draw the next token of each text, which the decoder has yet to read."""
    from langue.nn.compiled.choice import choose_each  # numba takes long to import

    rows, ids = decoder.log_probs(), np.empty(len(writing), np.int64)
    states = np.array([one.state for one in writing], np.int64)
    settings = np.array([one.settings for one in writing], np.float64)
    numbers = np.array([one.numbers(1).sum() for one in writing])  # one that was stopped has none
    choose_each(rows, writing[0].well_formed.leads, states, settings, numbers, ids)
    tokens: list[int] = ids.tolist()
    for row, (one, token) in enumerate(zip(writing, tokens, strict=True)):
        if token < 0:
            one.extend([], [], stuck=True)
        else:
            one.extend([token], [rows.item(row, token)])
    return tokens


def _draws(writing: Sequence[Continuation], run: int) -> Draws:
    numbers = [one.numbers(run) for one in writing]
    counts = np.array([len(some) for some in numbers], np.int64)
    padded = np.zeros((len(writing), run))
    for row, some in zip(padded, numbers, strict=True):
        row[: len(some)] = some
    return Draws(
        padded,
        counts,
        np.array([one.settings for one in writing]),
        writing[0].well_formed.leads,
        np.array([one.state for one in writing], np.int64),
        np.array([one.end for one in writing], np.int64),
    )
