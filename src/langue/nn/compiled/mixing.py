"""What a step mixes into its distributions before tokens are drawn from them: nothing, where that is `()`;
else what the functions below are overloaded with for its type (`models.networks.mixture_draw`)."""

from typing import Any

from numba import types
from numba.extending import overload

from langue.base.arrays import Floats


def mix_in(mixture: Any, row: int, log_probs: Floats) -> None:
    """Put a mixture in the place of the log-probabilities `(V,)` of a row."""
    raise NotImplementedError  # numba takes the one of the type


def read_on(mixture: Any, row: int, token: int) -> None:
    """Let what is mixed in read a token."""
    raise NotImplementedError


def fork(mixture: Any, row: int) -> int:
    """A row that goes on from where this one is, while it stays; there is one at a time."""
    raise NotImplementedError


def _is_nothing(mixture: Any) -> bool:
    return isinstance(mixture, types.BaseTuple) and len(mixture) == 0


@overload(mix_in)
def _mix_in(mixture, row, log_probs):
    return (lambda mixture, row, log_probs: None) if _is_nothing(mixture) else None


@overload(read_on)
def _read_on(mixture, row, token):
    return (lambda mixture, row, token: None) if _is_nothing(mixture) else None


@overload(fork)
def _fork(mixture, row):
    return (lambda mixture, row: row) if _is_nothing(mixture) else None
