"""Forward–backward over many sequences at once, as matrix products: for chains of many states.

With hundreds of states the work is all in `messages @ transition`, which a matrix library does ten
times faster for a batch than a loop does for a sequence. Sequences are sorted by length and stored
time by time, so that nothing is padded: those that still go on at time t are the first `heights[t]`
rows. Probabilities, not logs: scaled at each position, and safe as long as `spans_little` holds.

The order of a chain is told by its transition: `(K, K)`, or, where a state depends on two before it,
`(K + 1, K, K)`, in which K stands for "none": messages are then of pairs of states, `(…, K + 1, K)`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F

from langue.base.arrays import Int64Array
from langue.base.parallel import parallel_imap, parallel_map

T = TypeVar("T")
R = TypeVar("R")
SMALLEST = 1e-200  # least ratio of a message to the largest that still leaves room below it


class Packed(NamedTuple):
    """Layout of packed sequences, stored time by time, as PyTorch's `PackedSequence`."""

    positions: torch.Tensor  # (N,) position of each packed row
    order: torch.Tensor  # (S,) sequences, the longest first: the rows of the first time
    heights: list[int]  # sequences that have a position at each time


def pack(lengths: Sequence[int] | Int64Array) -> Packed:
    """The layout of sequences of these lengths, all at least 1."""
    lengths = np.asarray(lengths, np.int64)
    order = np.argsort(-lengths, kind="stable")
    begins = (np.cumsum(lengths) - lengths)[order]
    descending = lengths[order]
    T = int(descending[0]) if len(lengths) else 0
    heights = np.searchsorted(-descending, -np.arange(T), side="left")  # how many are longer than t
    times = np.repeat(np.arange(T), heights)
    rows = np.arange(len(times)) - np.repeat(np.cumsum(heights) - heights, heights)
    positions = begins[rows] + times
    return Packed(torch.from_numpy(positions), torch.from_numpy(order), heights.tolist())


def map_products(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`parallel_map` of work that is made of products of matrices: torch has one thread in each worker.

    The products of one step are small: sharing each of them out costs more than it saves, and ten times
    more on a machine that others use too.
    """
    return parallel_map(function, items, initializer=_use_one_thread)


def imap_products(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """`map_products`, results as they are ready."""
    return parallel_imap(function, items, initializer=_use_one_thread)


def _use_one_thread() -> None:
    torch.set_num_threads(1)


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
    """Forward messages, each summing to one, and their scales `(N,)`: p(token | those before).

    Args:
        start: `(S, K)` or `(K,)` probabilities of first states, sequences in packed order; or their
            messages, as `advance` gives them.
        transition: `(K, K)` from, to; or `(K + 1, K, K)` from two before, from, to.
        local: `(N, K)` probability of what is observed, by state, in packed order.

    Returns:
        messages `(N, K)`, or `(N, K + 1, K)`; scales.
    """
    N, K = local.shape
    alpha = local.new_empty((N, K) if transition.ndim == 2 else (N, K + 1, K))
    scale = local.new_empty(N)
    begin = 0
    before = alpha
    for t, height in enumerate(heights):
        span = slice(begin, begin + height)
        if t == 0:
            first = local[span, None] if start.ndim == 3 else local[span]
            here = first * start if start.ndim == 3 else start_messages(first * start, transition)
        else:
            here = advance(before[:height], transition)
            here *= local[span] if transition.ndim == 2 else local[span, None]
        scale[span] = here.flatten(1).sum(1)
        here /= scale[span].view(-1, *[1] * (here.ndim - 1))
        alpha[span] = here
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
    """Probability of each state at each position `(N, K)`, and expected transitions, as `transition`.

    Takes what `forward` gave, and uses the memory of `alpha`.
    """
    pairs = torch.zeros_like(transition)
    end = len(alpha)
    after: torch.Tensor | None = None  # local × beta / scale of the time after
    for height in reversed(heights):
        span = slice(end - height, end)
        here = alpha[span]
        weighted = local[span] / scale[span, None]
        if transition.ndim == 3:
            weighted = weighted[:, None].repeat(1, here.shape[1], 1)
        if after is not None:
            count = len(after)
            _count(here[:count], after, pairs)
            beta = _retreat(after, transition)
            here[:count] *= beta
            weighted[:count] *= beta
        after = weighted
        end -= height
    return alpha if transition.ndim == 2 else alpha.sum(1), pairs * transition


def start_messages(first: torch.Tensor, transition: torch.Tensor) -> torch.Tensor:
    """Initial messages `(h, K)`, or in a second-order chain `(h, K + 1, K)` with no state before."""
    if transition.ndim == 2:
        return first
    return F.pad(first[:, None], (0, 0, first.shape[1], 0))  # the state before is none


def advance(messages: torch.Tensor, transition: torch.Tensor) -> torch.Tensor:
    """Predicted messages of the next position, before anything is observed there."""
    if transition.ndim == 2:
        return messages @ transition
    after = torch.bmm(messages.permute(2, 0, 1), transition.transpose(0, 1))  # (from, h, to)
    return F.pad(after.transpose(0, 1), (0, 0, 0, 1))


def _retreat(after: torch.Tensor, transition: torch.Tensor) -> torch.Tensor:
    """Backward messages of a position from what the next one weighs."""
    if transition.ndim == 2:
        return after @ transition.T
    K = transition.shape[1]
    return torch.bmm(after[:, :K].transpose(0, 1), transition.permute(1, 2, 0)).permute(1, 2, 0)


def _count(messages: torch.Tensor, after: torch.Tensor, pairs: torch.Tensor) -> None:
    """Add the products of messages and what follows, summed over sequences."""
    if pairs.ndim == 2:
        pairs.addmm_(messages.T, after)
    else:
        K = pairs.shape[1]
        pairs += torch.bmm(messages.permute(2, 1, 0), after[:, :K].transpose(0, 1)).transpose(0, 1)
