"""The conditional log-likelihood of tagged sentences and its exact gradient (Lafferty et al. 2001).

    log p(y | x) = θ·f(x, y) - log z(x)        ∂/∂θ = f(x, y) - E[f(x, Y)]

θ is one weight for each pair of an attribute and a tag that is a feature, then one for each transition
that is. The expectation comes from forward–backward. Where a tag is not known, f(x, y) becomes its
expectation over all tags that it may be, and θ·f(x, y) the log of a sum over them (Tsuboi et al. 2008).
"""

from itertools import pairwise
from typing import Annotated, NamedTuple

import numpy as np

from langue.base.arrays import Array, Float64Array
from langue.base.checked import ArraySpec
from langue.base.compiled import njit
from langue.base.parallel import count_parts, parallel_map
from langue.inference.chain import Chain, map_blocks, offsets_of
from langue.inference.sumproduct import posteriors
from langue.models.taggers.crf.features import Batch
from langue.models.taggers.crf.minimize import dot
from langue.models.taggers.labels import UNKNOWN_TAG

PART_POSITIONS = 1 << 17  # of a part of the gradient


class Features(NamedTuple):
    """Which pairs of an attribute and a tag, and of two tags, have a weight."""

    # Where the tags of each attribute begin.
    pointers: Annotated[Array, ArraySpec("int64", ("attributes + 1",), rising=True, first=0, last="P")]
    labels: Annotated[Array, ArraySpec("int32", ("P",), below="K")]
    transitions: Annotated[Array, ArraySpec("int32", ("Q", 2), below="K")]  # from, to

    @property
    def size(self) -> int:
        return len(self.labels) + len(self.transitions)


def find_features(
    batch: Batch,
    tags: Array,
    attributes: int,
    K: int,
    *,
    all_states: bool,
    permitted: Array,
    all_transitions: bool,
) -> Features:
    """The features of training data: pairs that occur in it, or all.

    Args:
        tags: `(N,)`, `UNKNOWN_TAG` where not known. Any tag then counts as occurring.
        permitted: `(K, K)` transitions that may occur at all.
    """
    seen = np.full((attributes, K), all_states)
    if not all_states:
        _mark(batch, tags, seen)
    pairs = np.full((K, K), all_transitions)
    if not all_transitions:
        _mark_pairs(tags, batch.offsets, pairs)
    pointers = offsets_of(seen.sum(1))
    transitions = np.argwhere(pairs & permitted).astype(np.int32)
    return Features(pointers, np.nonzero(seen)[1].astype(np.int32), transitions)


class Objective:
    """The loss of all sentences and its gradient, as a function of θ `(P + Q,)`.

    Args:
        fixed: the chain's scores beside the weights: -inf where constraints forbid, else 0.
    """

    def __init__(self, batch: Batch, tags: Array, features: Features, fixed: Chain) -> None:
        self.batch = batch
        self.features = features
        self.fixed = fixed
        self.tags = tags
        self.K = len(fixed.transition)
        unknown = np.add.reduceat(np.r_[tags == UNKNOWN_TAG, False], batch.offsets[:-1]) > 0
        unknown &= np.diff(batch.offsets) > 0
        self.partial = np.flatnonzero(unknown)
        self.observed = self._observe(~unknown)
        self._unary = np.empty((len(tags), self.K))

    def _observe(self, whole: Array) -> Float64Array:
        """f(x, y) summed over the sentences of which every tag is known."""
        known = np.repeat(whole, np.diff(self.batch.offsets))
        states = np.zeros((len(self.tags), self.K))
        states[np.flatnonzero(known), self.tags[known]] = 1.0
        pairs = np.zeros((self.K, self.K))
        _count_pairs(self.tags, self.batch.offsets, whole, pairs)
        return self._expect(states, pairs)

    def __call__(self, theta: Float64Array) -> tuple[float, Float64Array]:
        """Negative log-likelihood in nats, and its gradient."""
        chain = chain_of(self.features, theta, self.fixed)
        unary = score(self.batch, self.features, theta, self._unary)
        sums = posteriors(chain, unary, self.batch.offsets)
        loss = float(sums.log_z.sum()) - dot(theta, self.observed)
        pairs = sums.pairs
        if len(self.partial):
            rows, offsets = _rows(self.batch.offsets, self.partial)
            known = self.tags[rows]
            allowed = (known[:, None] == UNKNOWN_TAG) | (known[:, None] == np.arange(self.K))
            given = posteriors(chain, np.where(allowed, unary[rows], -np.inf), offsets)
            loss -= float(given.log_z.sum())
            sums.states[rows] -= given.states
            pairs = pairs - given.pairs
        return loss, self._expect(sums.states, pairs) - self.observed

    def _expect(self, states: Float64Array, pairs: Float64Array) -> Float64Array:
        """Σ over positions of states × features: `(P + Q,)`."""
        features, batch = self.features, self.batch
        parts = count_parts(len(states), PART_POSITIONS, 8)
        edges = np.linspace(0, len(states), parts + 1).astype(np.int64).tolist()
        (rows, gradient), *others = parallel_map(
            lambda span: _gather(batch, features, states, *span), pairwise(edges)
        )
        for more_rows, more in others:
            rows += more_rows
            gradient += more
        _spread(batch, features, rows, gradient)
        return np.concatenate([gradient, pairs[tuple(features.transitions.T)]])


def chain_of(features: Features, theta: Float64Array, fixed: Chain) -> Chain:
    """The chain with the weights of the transitions."""
    transition = fixed.transition.copy()
    transition[tuple(features.transitions.T)] += theta[len(features.labels) :]
    return fixed._replace(transition=transition)


def score(batch: Batch, features: Features, theta: Array, unary: Float64Array) -> Float64Array:
    """Fill `unary` `(N, K)` with the sum of the weights of each token's attributes, by tag."""
    rows = np.zeros((len(batch.pointers) - 1, unary.shape[1]))
    _sum_bundles(batch, features, theta, rows)
    map_blocks(lambda first, last: _score(batch, features, theta, rows, first, last, unary), batch.offsets)
    return unary


def _rows(offsets: Array, chosen: Array) -> tuple[Array, Array]:
    """The positions of some sentences, and their offsets among themselves."""
    rows = np.concatenate([np.arange(offsets[s], offsets[s + 1]) for s in chosen])
    return rows, offsets_of(np.diff(offsets)[chosen])


@njit
def _mark(batch, tags, seen):
    K = seen.shape[1]
    rows = np.zeros((len(batch.pointers) - 1, K), np.bool_)
    for t in range(len(tags)):
        first, last = (0, K) if tags[t] == UNKNOWN_TAG else (tags[t], tags[t] + 1)
        for group in range(batch.bundles.shape[0]):
            rows[batch.bundles[group, t], first:last] = True
        for template in range(batch.single.shape[0]):
            if batch.single[template, t] >= 0:
                seen[batch.single[template, t], first:last] = True
    for row in range(len(rows)):
        for member in range(batch.pointers[row], batch.pointers[row + 1]):
            seen[batch.members[member]] |= rows[row]


@njit
def _mark_pairs(tags, offsets, pairs):
    for s in range(len(offsets) - 1):
        for t in range(offsets[s] + 1, offsets[s + 1]):
            before, after = tags[t - 1], tags[t]
            if before == UNKNOWN_TAG and after == UNKNOWN_TAG:
                pairs[:] = True
            elif before == UNKNOWN_TAG:
                pairs[:, after] = True
            elif after == UNKNOWN_TAG:
                pairs[before] = True
            else:
                pairs[before, after] = True


@njit
def _count_pairs(tags, offsets, whole, pairs):
    for s in range(len(offsets) - 1):
        if whole[s]:
            for t in range(offsets[s] + 1, offsets[s + 1]):
                pairs[tags[t - 1], tags[t]] += 1.0


@njit
def _sum_bundles(batch, features, theta, rows):
    """rows[bundle] = sum of the weights of its members, by tag."""
    for row in range(len(rows)):
        for member in range(batch.pointers[row], batch.pointers[row + 1]):
            attribute = batch.members[member]
            for p in range(features.pointers[attribute], features.pointers[attribute + 1]):
                rows[row, features.labels[p]] += theta[p]


@njit
def _score(batch, features, theta, rows, first, last, unary):
    K = unary.shape[1]
    for t in range(batch.offsets[first], batch.offsets[last]):
        total = unary[t]
        total[:] = 0.0
        for group in range(batch.bundles.shape[0]):
            row = rows[batch.bundles[group, t]]
            for k in range(K):
                total[k] += row[k]
        for template in range(batch.single.shape[0]):
            attribute = batch.single[template, t]
            if attribute >= 0:
                for p in range(features.pointers[attribute], features.pointers[attribute + 1]):
                    total[features.labels[p]] += theta[p]


@njit
def _gather(batch, features, states, begin, end):
    """Sums of `states` over the positions of each bundle `(bundles, K)`, and of each unbundled feature."""
    K = states.shape[1]
    rows, gradient = np.zeros((len(batch.pointers) - 1, K)), np.zeros(len(features.labels))
    for t in range(begin, end):
        weights = states[t]
        for group in range(batch.bundles.shape[0]):
            row = rows[batch.bundles[group, t]]
            for k in range(K):
                row[k] += weights[k]
        for template in range(batch.single.shape[0]):
            attribute = batch.single[template, t]
            if attribute >= 0:
                for p in range(features.pointers[attribute], features.pointers[attribute + 1]):
                    gradient[p] += weights[features.labels[p]]
    return rows, gradient


@njit
def _spread(batch, features, rows, gradient):
    """Add the sums of bundles to the features of their members."""
    for row in range(len(rows)):
        for member in range(batch.pointers[row], batch.pointers[row + 1]):
            attribute = batch.members[member]
            for p in range(features.pointers[attribute], features.pointers[attribute + 1]):
                gradient[p] += rows[row, features.labels[p]]
