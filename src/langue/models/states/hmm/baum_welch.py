"""Baum–Welch (Baum et al. 1970), with a prior, and its stochastic form (Liang and Klein 2009).

Expected counts of starts, transitions and emissions (E), then the parameters they make most probable
(M). Priors are Dirichlet, so M adds `prior × mean` to the counts, and what never decreases is the
log-likelihood plus Σ prior × mean × log parameter. Documents longer than `cut` are taken in pieces: a
piece from inside a document starts from a distribution of its own, which is estimated too.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from langue.base.arrays import Array
from langue.base.parallel import count_parts
from langue.inference.batched import backward, forward, map_products, pack, spans_little
from langue.inference.chain import Chain, offsets_of
from langue.inference.sumproduct import posteriors
from langue.models.states.hmm.compiled_em import add_expected
from langue.models.states.hmm.parameters import Parameters

CHUNK_MESSAGES = 1 << 23  # messages in memory at a time, 8 bytes each, in each of three arrays
FEW = 64  # states up to which a compiled loop beats matrix products
PART_TOKENS = 1 << 16  # of a part of the counts
MAX_PART_BYTES = 1 << 29  # that the parts of the counts may take together, where there are more than two
DECAY = 0.7  # of the stochastic form: step k weighs (k + 2)^-0.7, in the middle of what works there


class Pieces(NamedTuple):
    """Stretches of documents: rows of one array."""

    tokens: Array  # (N,) int64
    offsets: Array  # (S + 1,)
    inside: Array  # (S,) whether it begins inside a document


class Counts(NamedTuple):
    """Expected counts, laid out as `Parameters`, and the log-likelihood."""

    start: torch.Tensor
    middle: torch.Tensor
    transition: torch.Tensor
    emission: torch.Tensor
    log_likelihood: float

    def mix(self, other: "Counts", share: float) -> "Counts":
        """(1 - share) × these + share × others."""
        return self.scale(1 - share).add(other.scale(share))

    def add(self, other: "Counts") -> "Counts":
        """The sum of both."""
        return Counts(
            self.start + other.start,
            self.middle + other.middle,
            self.transition + other.transition,
            self.emission + other.emission,
            self.log_likelihood + other.log_likelihood,
        )

    def add_first(self, states: torch.Tensor, inside: torch.Tensor) -> None:
        """Count first states, `(S, K)` probabilities; `inside` `(S,)`: of pieces from inside a document."""
        self.start.add_(states[~inside].sum(0))
        self.middle.add_(states[inside].sum(0))

    def scale(self, factor: float) -> "Counts":
        """factor × these."""
        start, middle, transition, emission, log_likelihood = self
        return Counts(
            factor * start, factor * middle, factor * transition, factor * emission, factor * log_likelihood
        )


class Prior(NamedTuple):
    """Pseudo-counts: of each state's emissions and transitions in all, and how the first are spread."""

    emission: float
    transition: float
    mean: torch.Tensor  # (V,)

    def log_density(self, parameters: Parameters) -> float:
        """Σ pseudo-count × log parameter: what is added to the log-likelihood."""
        total = 0.0
        if self.emission:
            total += self.emission * float((self.mean[:, None] * parameters.emission.log()).sum())
        if self.transition:
            parts = (parameters.transition, parameters.start, parameters.middle)
            total += self.transition / parameters.n_states * sum(float(part.log().sum()) for part in parts)
        return total


def cut(documents: Iterator[Array], longest: int) -> Pieces:
    """Documents as pieces of at most `longest` tokens."""
    tokens, lengths, inside = [], [], []
    for ids in documents:
        for begin in range(0, len(ids), longest):
            piece = np.asarray(ids[begin : begin + longest], np.int64)
            tokens.append(piece)
            lengths.append(len(piece))
            inside.append(begin > 0)
    return Pieces(np.concatenate(tokens), offsets_of(lengths), np.array(inside))


def group_pieces(pieces: Pieces, size: int, chosen: Array | None = None, *, least: int = 2) -> list[Array]:
    """Numbers of pieces, of all or some, in groups of at most about `size` tokens, like lengths together.

    Args:
        least: groups there should be.
    """
    chosen = np.arange(len(pieces.inside)) if chosen is None else chosen
    lengths = np.diff(pieces.offsets)[chosen]
    size = min(size, -(-int(lengths.sum()) // least))
    order = chosen[np.argsort(lengths, kind="stable")]
    edges = np.cumsum(np.sort(lengths, kind="stable")) // max(size, 1)
    return np.split(order, np.flatnonzero(np.diff(edges)) + 1)


def messages(parameters: Parameters) -> int:
    """How many numbers a message has: states, or pairs of them."""
    return parameters.transition.numel() // parameters.n_states


def expect(parameters: Parameters, pieces: Pieces, chosen: Array | None = None) -> Counts:
    """E over all pieces, or some."""
    chosen = np.arange(len(pieces.inside)) if chosen is None else chosen
    if parameters.transition.ndim == 3:
        run = _expect_in_batches
    elif not spans_little(parameters.transition, parameters.emission):
        run = _expect_in_logs
    else:
        run = _expect_in_loops if parameters.n_states <= FEW else _expect_in_batches
    size = sum(array.numel() * array.element_size() for array in parameters)
    parts = count_parts(
        int(np.diff(pieces.offsets)[chosen].sum()), PART_TOKENS, min(16, MAX_PART_BYTES // size)
    )
    groups = group_pieces(pieces, CHUNK_MESSAGES // messages(parameters), chosen, least=parts)

    def add_up(part: int) -> Counts:
        zeros = [torch.zeros_like(array) for array in parameters]
        counts = Counts(zeros[0], zeros[1], zeros[2], zeros[3], 0.0)
        total = sum(run(parameters, pieces, group, counts) for group in groups[part::parts])
        return counts._replace(log_likelihood=total)

    add_up_all = map if run is _expect_in_logs else map_products  # the exact form has threads of its own
    first, *others = add_up_all(add_up, range(parts))
    for other in others:
        first = first.add(other)
    return first


def _gather(pieces: Pieces, group: Array) -> tuple[Array, Array]:
    """Tokens of some pieces one after another, and their lengths."""
    lengths = np.diff(pieces.offsets)[group]
    begins = pieces.offsets[group]
    positions = np.arange(lengths.sum()) + np.repeat(begins - (np.cumsum(lengths) - lengths), lengths)
    return pieces.tokens[positions], lengths


def _expect_in_batches(parameters: Parameters, pieces: Pieces, group: Array, counts: Counts) -> float:
    """Add the expected counts of some pieces; returns their log-likelihood."""
    tokens, lengths = _gather(pieces, group)
    packed = pack(lengths)
    words = torch.from_numpy(tokens)[packed.positions]
    inside = torch.from_numpy(pieces.inside[group])[packed.order]
    start = torch.where(inside[:, None], parameters.middle, parameters.start)
    local = parameters.emission[words]
    alpha, scale = forward(start, parameters.transition, local, packed.heights)
    log_likelihood = float(scale.log().sum())
    states, pairs = backward(alpha, scale, parameters.transition, local, packed.heights)
    counts.transition.add_(pairs)
    counts.emission.index_add_(0, words, states)
    counts.add_first(states[: len(group)], inside)
    return log_likelihood


def _expect_in_loops(parameters: Parameters, pieces: Pieces, group: Array, counts: Counts) -> float:
    """The same, a sequence at a time."""
    tokens, lengths = _gather(pieces, group)
    start, middle, transition, emission = (part.numpy() for part in parameters)
    inside = pieces.inside[group]
    heads = np.where(inside[:, None], middle, start)
    total: float = add_expected(
        heads.copy(),
        transition,
        emission,
        tokens,
        offsets_of(lengths),
        counts.transition.numpy(),
        counts.emission.numpy(),
        heads,
    )
    counts.add_first(torch.from_numpy(heads), torch.from_numpy(inside))
    return total


def _expect_in_logs(parameters: Parameters, pieces: Pieces, group: Array, counts: Counts) -> float:
    """The same, exact however small a probability is."""
    tokens, lengths = _gather(pieces, group)
    offsets = offsets_of(lengths)
    with np.errstate(divide="ignore"):
        start, middle, transition, emission = (np.log(part.numpy()) for part in parameters)
    unary = emission[tokens]
    inside = pieces.inside[group]
    unary[offsets[:-1]] += np.where(inside[:, None], middle, start)
    sums = posteriors(Chain.of(transition), unary, offsets)
    np.add.at(counts.emission.numpy(), tokens, sums.states)
    counts.transition.add_(torch.from_numpy(sums.pairs))
    counts.add_first(torch.from_numpy(sums.states[offsets[:-1]]), torch.from_numpy(inside))
    return float(sums.log_z.sum())


def maximize(counts: Counts, prior: Prior, before: Parameters) -> Parameters:
    """M: the most probable parameters. A row without any count stays as it was."""
    emission = counts.emission + prior.emission * prior.mean[:, None]
    spread = prior.transition / before.n_states
    return Parameters(
        _normalize(counts.start + spread, before.start, 0),
        _normalize(counts.middle + spread, before.middle, 0),
        _normalize(counts.transition + spread, before.transition, -1),
        _normalize(emission, before.emission, 0),
    )


def _normalize(counts: torch.Tensor, before: torch.Tensor, dim: int) -> torch.Tensor:
    total = counts.sum(dim, keepdim=True)
    return torch.where(total > 0, counts / total.clamp(min=1e-300), before)


class Step(NamedTuple):
    """A finished pass."""

    number: int
    log_likelihood: float  # of the training pieces under the parameters the pass began with
    objective: float  # the same, with the prior's share
    parameters: Parameters  # those it ended with


def baum_welch(
    parameters: Parameters,
    pieces: Pieces,
    prior: Prior,
    *,
    iterations: int,
    tolerance: float,
    batch_tokens: int = 0,
    after: Callable[[Step], bool] = lambda step: False,
) -> Parameters:
    """Estimate.

    Args:
        tolerance: stop when a pass gains less than this share of the objective.
        batch_tokens: M after so many tokens; 0: after all of them, which is Baum–Welch proper.
        after: called with every pass; true stops.
    """
    best = -math.inf
    running: Counts | None = None
    updates = 0
    for number in range(1, iterations + 1):
        before = parameters
        if batch_tokens:
            total = 0.0
            for group in group_pieces(pieces, batch_tokens):
                seen = int(np.diff(pieces.offsets)[group].sum())
                counts = expect(parameters, pieces, group).scale(len(pieces.tokens) / seen)
                total += counts.log_likelihood * seen / len(pieces.tokens)
                share = (updates + 2) ** -DECAY
                running = counts if running is None else running.mix(counts, share)
                parameters = maximize(running, prior, parameters)
                updates += 1
        else:
            counts = expect(parameters, pieces)
            total = counts.log_likelihood
            parameters = maximize(counts, prior, parameters)
        objective = total + prior.log_density(before)
        if after(Step(number, total, objective, parameters)) or objective - best < tolerance * abs(objective):
            break
        best = objective
    return parameters


def log_likelihood(parameters: Parameters, pieces: Pieces) -> float:
    """Log-likelihood of the pieces, by the forward half alone."""

    def work(group: Array) -> float:
        tokens, lengths = _gather(pieces, group)
        packed = pack(lengths)
        local = parameters.emission[torch.from_numpy(tokens)[packed.positions]]
        inside = torch.from_numpy(pieces.inside[group])[packed.order]
        start = torch.where(inside[:, None], parameters.middle, parameters.start)
        return float(forward(start, parameters.transition, local, packed.heights)[1].log().sum())

    return sum(map_products(work, group_pieces(pieces, CHUNK_MESSAGES // messages(parameters))))


def group_of(sequences: Sequence[Array]) -> Pieces:
    """Sequences as pieces that each begin a document."""
    lengths = [len(ids) for ids in sequences]
    tokens = (
        np.concatenate([np.asarray(ids, np.int64) for ids in sequences]) if lengths else np.empty(0, np.int64)
    )
    return Pieces(tokens, offsets_of(lengths), np.zeros(len(lengths), bool))
