"""Which tokens keep a text well-formed UTF-8 (the Unicode Standard, table 3-7).

A vocabulary that is closed over bytes can spell anything, half a character included. Whoever writes
text with it asks here what may come next, and never shows a broken character.
"""

from collections.abc import Sequence

import numpy as np

from langue.base.arrays import BoolArray, UInt8Array

START = 0  # between two characters
REJECT = 8
# What may follow, state by state: (first byte, last byte, next state). 1, 2 and 3 want that many
# continuation bytes; 4 to 7 want a second byte from a part of the range, so that no character is
# spelled too long, is a surrogate, or lies beyond U+10FFFF.
_FOLLOW: tuple[tuple[tuple[int, int, int], ...], ...] = (
    (
        (0x00, 0x7F, START),
        (0xC2, 0xDF, 1),
        (0xE0, 0xE0, 4),
        (0xE1, 0xEC, 2),
        (0xED, 0xED, 5),
        (0xEE, 0xEF, 2),
        (0xF0, 0xF0, 6),
        (0xF1, 0xF3, 3),
        (0xF4, 0xF4, 7),
    ),
    ((0x80, 0xBF, START),),
    ((0x80, 0xBF, 1),),
    ((0x80, 0xBF, 2),),
    ((0xA0, 0xBF, 1),),
    ((0x80, 0x9F, 1),),
    ((0x90, 0xBF, 2),),
    ((0x80, 0x8F, 2),),
    (),
)


def _table() -> UInt8Array:
    table = np.full((REJECT + 1, 256), REJECT, np.uint8)
    for state, ranges in enumerate(_FOLLOW):
        for first, last, following in ranges:
            table[state, first : last + 1] = following
    return table


class WellFormed:
    """The states of a text as tokens are added to it.

    Args:
        tokens: the bytes of every token. One with no bytes may stand only between characters, and
            None, for a token that is no text, nowhere.

    Attributes:
        leads: `(states, tokens)`, the state that each token leads to; `REJECT`: it may not stand next.
    """

    def __init__(self, tokens: Sequence[bytes | None]) -> None:
        lengths = np.array([len(token or b"") for token in tokens])
        ends = np.cumsum(lengths)
        spelled = np.frombuffer(b"".join(token or b"" for token in tokens), np.uint8)
        table = _table()
        states = np.repeat(np.arange(REJECT, dtype=np.uint8)[:, None], len(tokens), 1)
        for index in range(int(lengths.max(initial=0))):
            longer = np.flatnonzero(lengths > index)
            bytes_here = spelled[ends[longer] - lengths[longer] + index]
            states[:, longer] = table[states[:, longer], bytes_here]
        states[1:, lengths == 0] = REJECT
        states[:, [token is None for token in tokens]] = REJECT
        self.leads = states
        self._allowed = states != REJECT

    def allowed(self, state: int) -> BoolArray:
        """Whether each token may stand next: `(tokens,)`."""
        allowed: BoolArray = self._allowed[state]
        return allowed

    def after(self, state: int, token: int) -> int:
        """The state once `token` is added."""
        return int(self.leads[state, token])
