"""Texts that nothing but their distributions and the settings of sampling decides.

Their tokens are drawn in compiled code, those of all rows in one call, and many at a time where the decoder
can. A text is the same as if it were written step by step.
"""

from collections.abc import Sequence

import numpy as np

from langue.generation.continuation import Continuation
from langue.protocols import Decoder
from langue.protocols.drawing import DrawingDecoder, Draws

RUN = 16  # tokens of each row in one call: whoever comes meanwhile waits


def draw_run(decoder: DrawingDecoder, writing: Sequence[Continuation]) -> None:
    """Draw the next tokens of each text, which the decoder has read."""
    draws = _draws(writing, RUN)
    for one, count, ids, log_probs in zip(writing, draws.counts, *decoder.draw(draws), strict=True):
        one.extend(ids.tolist(), log_probs.tolist(), stuck=len(ids) < count)


def draw_each(decoder: Decoder, writing: Sequence[Continuation]) -> list[int]:
    """Draw the next token of each text, which the decoder has yet to read."""
    from langue.nn.compiled.choice import choose_each  # numba takes long to import

    draws, rows = _draws(writing, 1), decoder.log_probs()
    ids = np.empty(len(writing), np.int64)
    choose_each(rows, draws.leads, draws.states, draws.settings, draws.numbers[:, 0], ids)
    tokens: list[int] = ids.tolist()
    log_probs = rows[np.arange(len(ids)), ids].tolist()
    for one, token, log_prob in zip(writing, tokens, log_probs, strict=True):
        if token < 0:
            one.extend([], [], stuck=True)
        else:
            one.extend([token], [log_prob])
    return tokens


def _draws(writing: Sequence[Continuation], most: int) -> Draws:
    numbers = [one.numbers(most) for one in writing]
    counts = np.array([len(some) for some in numbers], np.int64)
    padded = np.zeros((len(writing), most))
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
