"""Forward–backward over many sequences at once, as matrix products: for chains of many states.

With hundreds of states the work is all in `messages @ transition`, which a matrix library does ten
times faster for a batch than a loop does for a sequence. Sequences are sorted by length and stored
time by time, so that nothing is padded: those that still go on at time t are the first `heights[t]`
rows. Probabilities, not logs: scaled at each position, and safe as long as `spans_little` holds.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[np.int64]
SMALLEST = 1e-200  # least ratio of a message to the largest that still leaves room below it


class Packed(NamedTuple):
    """Where the positions of sequences, one after another, stand when stored time by time."""

    places: torch.Tensor  # (N,) position of each packed row
    order: torch.Tensor  # (S,) sequences, the longest first: the rows of the first time
    heights: list[int]  # sequences that have a position at each time


def pack(lengths: Sequence[int] | Array) -> Packed:
    """The layout of sequences of these lengths, all at least 1."""
    lengths = np.asarray(lengths, np.int64)
    order = np.argsort(-lengths, kind="stable")
    begins = (np.cumsum(lengths) - lengths)[order]
    descending = lengths[order]
    T = int(descending[0]) if len(lengths) else 0
    heights = np.searchsorted(-descending, -np.arange(T), side="left")  # how many are longer than t
    times = np.repeat(np.arange(T), heights)
    rows = np.arange(len(times)) - np.repeat(np.cumsum(heights) - heights, heights)
    places = begins[rows] + times
    return Packed(torch.from_numpy(places), torch.from_numpy(order), heights.tolist())


def spans_little(transition: torch.Tensor, emission: torch.Tensor) -> bool:
    """Whether no message of a chain can fall below `SMALLEST` of the largest: then scaling is exact.

    A message is at least the smallest transition times the smallest share that a state's emission of a
    token can have in the largest one.
    """
    shares = emission.amin(1) / emission.amax(1)  # (V,)
    return bool(transition.min() * shares.min() > SMALLEST)


def forward(
    start: torch.Tensor, transition: torch.Tensor, local: torch.Tensor, heights: list[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Forward messages `(N, K)`, each summing to one, and their scales `(N,)`: p(token | those before).

    Args:
        start: `(S, K)` or `(K,)` probabilities of first states, sequences in packed order.
        transition: `(K, K)` from, to.
        local: `(N, K)` probability of what is observed, by state, in packed order.
    """
    alpha = torch.empty_like(local)
    scale = local.new_empty(len(local))
    begin = 0
    before = alpha
    for t, height in enumerate(heights):
        here = alpha[begin : begin + height]
        if t == 0:
            torch.mul(local[:height], start, out=here)
        else:
            torch.mm(before[:height], transition, out=here)
            here *= local[begin : begin + height]
        torch.sum(here, 1, out=scale[begin : begin + height])
        here /= scale[begin : begin + height, None]
        before = here
        begin += height
    return alpha, scale


def backward(
    alpha: torch.Tensor,
    scale: torch.Tensor,
    transition: torch.Tensor,
    local: torch.Tensor,
    heights: list[int],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Probability of each state at each position `(N, K)`, and expected transitions `(K, K)`.

    Takes what `forward` gave, and uses the memory of `alpha` and `local`.
    """
    pairs = torch.zeros_like(transition)
    back = transition.T.contiguous()
    end = len(alpha)
    after: torch.Tensor | None = None  # local × beta / scale of the time after, (height, K)
    for height in reversed(heights):
        here = slice(end - height, end)
        weighted = local[here]
        weighted /= scale[here, None]
        if after is not None:
            count = len(after)
            pairs.addmm_(alpha[here][:count].T, after)
            beta = after @ back
            alpha[here][:count] *= beta
            weighted[:count] *= beta
        after = weighted
        end -= height
    return alpha, pairs * transition
