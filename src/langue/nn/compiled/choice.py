"""A token drawn from a distribution in compiled code; `generation/sample.py` says what its settings mean."""

from typing import NamedTuple

import numpy as np

from langue.base.arrays import Array, Floats, Ids, Int64Array
from langue.base.compiled import njit
from langue.nn.compiled.numbers import FAST, bits_of_float, exp, exponential, float_of_bits, largest
from langue.protocols.drawing import Draws
from langue.tokens.utf8 import REJECT

F = np.float32
STEEPEST = 1e30  # factor of differences of logits, of which the smallest is 1e-7: the likeliest alone is left
BLOCK = 64  # tokens that are summed at once, so that the sum is made by instructions on vectors
REACHED = 1 - 1e-6  # share of a sum from which on it is taken for reached: what rounding makes of one


class Writing(NamedTuple):
    """Rows that are written on: what by, and what is written.

    Attributes:
        draws: of the rows; states are moved on, and counts become how many were drawn.
        tokens, log_probs: `(B, k)`, of which a row has as many as its count.
    """

    draws: Draws
    tokens: Int64Array
    log_probs: Floats

    @classmethod
    def by(cls, draws: Draws) -> "Writing":
        tokens, log_probs = np.empty(draws.numbers.shape, np.int64), np.empty(draws.numbers.shape, np.float32)
        own = draws._replace(counts=draws.counts.copy(), states=draws.states.copy())
        return cls(own, tokens, log_probs)

    def arrays(self) -> tuple[Array, ...]:
        """As compiled code takes it."""
        return *self.draws, self.tokens, self.log_probs

    def drawn(self) -> tuple[list[Ids], list[Floats]]:
        """The tokens of each row, and their log-probabilities."""
        counts = self.draws.counts
        return (
            [row[:count] for row, count in zip(self.tokens, counts, strict=True)],
            [row[:count] for row, count in zip(self.log_probs, counts, strict=True)],
        )


def _nothing() -> tuple[Array, ...]:
    none, table = np.empty(0, np.int64), np.empty((0, 0))
    return Writing.by(Draws(table, none, table, np.empty((0, 0), np.uint8), none, none)).arrays()


NOTHING = _nothing()  # is written, where tokens are only read


@njit
def choose_each(log_probs, leads, states, settings, numbers, ids):
    """Fill `ids` `(B,)` by `choose` from distributions `(B, V)`, each in a state of its own."""
    for row in range(len(ids)):
        ids[row] = choose(log_probs[row], leads[states[row]], settings[row], numbers[row])


# Three that are inlined: what they call is compiled once more into each function between it and a step.
@njit(inline="always")
def write_on(log_probs, V, Vw, going, B, t, slots, following, writing, ids, rows, at):
    """Draw the t-th token of rows, and note what those read that are to have another.

    Args:
        log_probs: flat `(B, Vw)`.
        going: the rows, which those that go on become the first of.
        slots, following: of all rows, where each stands in a cache, and its position after what it has read.
        writing: of `write_token`.
        ids, rows, at: tokens, slots and positions, noted one behind another.

    Returns:
        How many go on.
    """
    write_tokens(log_probs, V, Vw, going, B, t, writing)
    on = keep_going(going, B, t + 1, writing)
    for j in range(on):
        row = going[j]
        ids[j], rows[j], at[j] = writing[6][row, t], slots[row], following[row] + t
    return on


@njit(inline="always")
def write_tokens(log_probs, V, Vw, going, B, t, writing):
    """`write_token` of some rows."""
    for j in range(B):
        write_token(log_probs[j * Vw : j * Vw + V], going[j], t, writing)


@njit
def keep_going(going, B, t, writing):
    """Put those of some rows first that have more than t tokens, or are to have; how many they are."""
    counts, on = writing[1], 0
    for j in range(B):
        if t < counts[going[j]]:
            going[on] = going[j]
            on += 1
    return on


@njit(inline="always")
def write_token(distribution, row, t, writing):
    """Draw the t-th token of a row, if it is to have one.

    Where t is below its count afterwards, one was drawn; where t + 1 is, another is to follow.

    Args:
        distribution: `(V,)`, log-probabilities.
        writing: `Writing.arrays` of all rows.
    """
    numbers, counts, settings, leads, states, ends, tokens, log_probs = writing
    if t >= counts[row]:
        return
    token = choose(distribution, leads[states[row]], settings[row], numbers[row, t])
    if token < 0:
        counts[row] = t
        return
    tokens[row, t], log_probs[row, t] = token, distribution[token]
    states[row] = leads[states[row], token]
    if token == ends[row]:
        counts[row] = t + 1


@njit(linked=True)
def choose(log_probs, leads, settings, number):
    """The token that a number in [0, 1) stands for among those that keep a text well-formed.

    Args:
        log_probs: `(V,)` float32.
        leads: `(V,)`, the state of `tokens.utf8.WellFormed` that each token leads to.
        settings: `(4,)`: temperature (0: the likeliest is taken), top k, top p, min p.

    Returns:
        -1 where none of them has a probability.
    """
    weights = np.empty(len(log_probs), F)
    most = _mask(log_probs, leads, weights)
    if not most > -np.inf:  # or no number
        return -1
    if settings[0] > 0:
        keep(weights, settings[0], np.int64(settings[1]), settings[2], settings[3])
        return race(weights, number)
    return _first(weights, most)


@njit
def weigh(log_probs, leads, settings, weights):
    """Fill `weights` `(V,)` with what tokens weigh that `choose` may take, and 0 for the others.

    Returns:
        Whether there is one.
    """
    most = _mask(log_probs, leads, weights)
    if settings[0] > 0 and most > -np.inf:
        keep(weights, settings[0], np.int64(settings[1]), settings[2], settings[3])
    elif most > -np.inf:
        likeliest = _first(weights, most)
        weights[:] = F(0)
        weights[likeliest] = F(1)
    return most > -np.inf


@njit
def _mask(log_probs, leads, kept):
    """Log-probabilities of tokens that may stand next, -∞ of the others; the largest."""
    for id in range(len(log_probs)):
        kept[id] = log_probs[id] if leads[id] != REJECT else F(-np.inf)
    return largest(kept)


@njit
def _first(numbers, most):
    """Where the first of them stands that is not below."""
    V = np.int32(len(numbers))
    first = V
    for i in range(V):
        first = min(first, np.int32(i) if numbers[i] >= most else V)
    return first


@njit
def draw(log_probs, temperature, top_k, top_p, min_p, number):
    """The token that a number in [0, 1) stands for.

    Args:
        log_probs: `(V,)` float32.
        others: of `keep`.
    """
    weights = log_probs.copy()
    keep(weights, temperature, top_k, top_p, min_p)
    return race(weights, number)


@njit
def keep(weights, temperature, top_k, top_p, min_p):
    """Put what tokens weigh that may be drawn, and 0 for the others, in place of their log-probabilities.

    Args:
        weights: `(V,)` float32.
        temperature: above 0.
        top_k: 0: all. top_p: a share of what k leaves; 1: all.
        min_p: share of the weight of the likeliest token, which is 1.
    """
    V = len(weights)
    _exponentiate(weights, F(min(1 / temperature, STEEPEST)))
    # What is kept: heavier than `least`, or of its weight and no further than `last`.
    least, last, whole = F(0), V, np.inf
    if top_k > 0:
        least, last, whole = _limit(weights, top_k, np.inf)
    if top_p < 1:
        if top_k == 0:
            whole = _from(weights, F(0))[1]
        least, last, _ = _limit(weights, V, top_p * whole * REACHED)
    if least < min_p:
        least, last = F(min_p), V
    if least > 0:
        _cut(weights, least, last)


@njit
def pick(weights, number):
    """The token that a number in [0, 1) stands for among tokens of some weight."""
    # In the order of ids, for that of equal weights is a matter of rounding, which a batch may change.
    V = len(weights)
    upto, total = np.empty((V + BLOCK - 1) // BLOCK), 0.0
    for block in range(len(upto)):
        begin = block * BLOCK
        total += np.float64(_from(weights[begin : begin + BLOCK], F(0))[1])
        upto[block] = total
    # The product may be rounded up to the total, which no sum is above.
    left = min(number * total, np.nextafter(total, 0.0))
    block = np.searchsorted(upto, left, side="right")
    begin, chosen = block * BLOCK, -1
    left -= upto[block - 1] if block > 0 else 0.0
    for id in range(begin, min(begin + BLOCK, V)):
        if weights[id] > 0:
            chosen = id
            left -= np.float64(weights[id])
            if left < 0:
                break
    return chosen  # the last of the block, where its sum was rounded up


@njit(fastmath=FAST, error_model="numpy")
def race(weights, number):
    """The token that a number in [0, 1) stands for: the first to arrive, where each does after a time that is
    exponential with its weight as rate, and made of the number and its id.

    Of two distributions at a total variation distance d a number stands for the same token with a probability
    of (1 - d) / (1 + d) at least (Daliri, Musco and Suresh 2025), which sums of weights, as in `pick`, do not
    have: every token shifts those behind it.

    Args:
        weights: `(V,)` float32, of tokens that may be drawn; is lost.
    """
    seed = _scramble_64(np.uint64(number * 2.0**53))
    factor, first = np.uint32(seed | np.uint64(1)), np.uint32(seed >> np.uint64(32))
    for i in range(np.int32(len(weights))):
        bits = _scramble(np.uint32(np.uint32(np.uint32(i) * factor) + first))
        weights[i] /= exponential((F(np.int32(bits >> np.uint32(1))) + F(0.5)) * F(2.0**-31))
    return _first(weights, largest(weights))


@njit(inline="always")
def _scramble(x):
    """A permutation of the numbers of 32 bits in which each bit hangs on all (Wellons 2018, lowbias32)."""
    x = np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(x ^ np.uint32(x >> np.uint32(16)))


@njit
def _scramble_64(x):
    """The same of 64 bits (Steele, Lea and Flood 2014, splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(fastmath=FAST, error_model="numpy")
def _cut(weights, least, last):
    """Leave those heavier than `least`, or of its weight and no further than `last`."""
    last = np.int32(min(last, len(weights)))
    for i in range(np.int32(len(weights))):
        kept = weights[i] > least or (weights[i] == least and np.int32(i) <= last)
        weights[i] = weights[i] if kept else F(0)


@njit(fastmath=FAST, error_model="numpy")
def _exponentiate(x, factor):
    """e^(difference to the largest, times a factor), in place."""
    most = largest(x)
    for i in range(len(x)):
        x[i] = exp((x[i] - most) * factor)


@njit
def _limit(weights, count, mass):
    """The first tokens by falling weight, of equal ones by rising id, until there are so many or they weigh
    so much, one at least: the weight and id of the last, and the sum."""
    low, high = np.int32(0), bits_of_float(F(1)) + 1
    while high - low > 1:  # bits rise with what they spell
        middle = (low + high) // 2
        heavy, sum_of_heavy = _from(weights, float_of_bits(np.int32(middle)))
        if heavy >= count or sum_of_heavy >= mass:
            low = middle
        else:
            high = middle
    least = float_of_bits(np.int32(low))
    heavier, total = _from(weights, float_of_bits(np.int32(low + 1)))
    last = -1
    for id in range(len(weights)):
        if weights[id] == least:
            last = id
            heavier += 1
            total += np.float64(least)
            if heavier >= count or total >= mass:
                break
    return least, last, total


@njit(fastmath=FAST, error_model="numpy")
def _from(weights, least):
    """How many are that heavy, and their sum."""
    count, total = 0, F(0)
    for i in range(len(weights)):
        if weights[i] >= least:
            count += 1
            total += weights[i]
    return count, total
