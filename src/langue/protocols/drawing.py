"""Decoders that draw tokens themselves: many in one compiled call, where nothing looks at distributions."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from langue.base.arrays import Float64Array, Floats, Ids, Int64Array, UInt8Array


class Draws(NamedTuple):
    """What tokens of the rows of a decoder are drawn by, as compiled code reads it.

    Attributes:
        numbers: `(B, k)` in [0, 1), one for each token.
        counts: `(B,)`, tokens to be drawn in each row, at most k.
        settings: `(B, 4)`: temperature, top k, top p, min p, as `nn.compiled.choice.choose` has them.
        leads: `(states, V)` of `tokens.utf8.WellFormed`.
        states: `(B,)` of the texts of the rows, which are its rows.
        ends: `(B,)`, the token that is the last of a row wherever it is drawn; -1: none is.
    """

    numbers: Float64Array
    counts: Int64Array
    settings: Float64Array
    leads: UInt8Array
    states: Int64Array
    ends: Int64Array


class DrawingDecoder(ABC):  # not a protocol, for it is asked of every decoder that is made
    """What a `Decoder` is too that writes on without handing out a distribution for each token. Those of one
    model may be used by several threads at a time, each its own."""

    @property
    @abstractmethod
    def work(self) -> int:
        """Numbers that are read for each token, of a model or of its distribution, about."""

    def most(self) -> int:
        """Tokens that can be drawn of each row in one call, at least 1."""
        return sys.maxsize

    @abstractmethod
    def draw(self, draws: Draws) -> tuple[Sequence[Ids], Sequence[Floats]]:
        """Draw tokens in each row and read them on, as if each were chosen from `log_probs`.

        Returns:
            For each row the tokens and their natural-log probabilities: fewer than were asked for where it
            ended, or where none that may stand next has a probability.
        """
