"""Stochastic gradient descent with an L2 penalty (Bottou 2012, sections 4 and 5).

One sentence a step, rates 1 / λ(t₀ + t), λ the penalty's share of one sentence. Weights are kept as
scale × v, so that shrinking all of them is one multiplication. t₀ is chosen by trying rates on a sample.
"""

from collections.abc import Callable

import numpy as np

from langue.base.arrays import Array, Float64Array
from langue.base.compiled import njit
from langue.base.seeds import generator
from langue.inference.sumproduct import _forward_backward
from langue.models.taggers.crf.minimize import Step, dot
from langue.models.taggers.crf.objective import Objective
from langue.models.taggers.labels import UNKNOWN_TAG

SAMPLE = 1_000  # sentences on which rates are tried
HIGHEST, LOWEST = 4.0, 1e-3  # rates tried, each half of the one before


def descend(
    objective: Objective,
    theta: Float64Array,
    *,
    l2: float,
    epochs: int,
    seed: int,
    after: Callable[[Step], bool] = lambda step: False,
) -> Step:
    """Minimize the loss + l2 ‖θ‖² by passes over all sentences, each in a random order of its own."""
    S = len(objective.batch.offsets) - 1
    shrink = 2 * max(l2, 1e-6) / S
    sample = generator(seed, "rates").permutation(S)[:SAMPLE]
    rates = [HIGHEST * 0.5**power for power in range(int(np.log2(HIGHEST / LOWEST)) + 1)]
    tried = [_pass(objective, theta.copy(), sample, shrink, 1 / (shrink * rate))[1] for rate in rates]
    delay = 1 / (shrink * rates[int(np.nanargmin(tried))])
    step = Step(0, theta, np.inf, 0)
    for epoch in range(epochs):
        order = generator(seed, "epoch", epoch).permutation(S)
        theta, loss = _pass(objective, theta, order, shrink, delay + epoch * S)
        step = Step(epoch + 1, theta, loss + l2 * dot(theta, theta), epoch + 1)
        if after(step):
            break
    return step


def _pass(
    objective: Objective, theta: Float64Array, order: Array, shrink: float, delay: float
) -> tuple[Float64Array, float]:
    """Weights after a step for each sentence of `order`, and the loss of each just before its step."""
    features, batch = objective.features, objective.batch
    P = len(features.labels)
    weights = theta[:P].copy()
    transition = np.zeros_like(objective.fixed.transition)
    transition[tuple(features.transitions.T)] = theta[P:]
    adjustable = np.zeros(transition.shape, np.bool_)
    adjustable[tuple(features.transitions.T)] = True
    loss = _epoch(
        batch,
        features,
        objective.tags,
        order,
        objective.fixed,
        weights,
        transition,
        adjustable,
        shrink,
        delay,
    )
    return np.concatenate([weights, transition[tuple(features.transitions.T)]]), loss


@njit
def _epoch(batch, features, tags, order, fixed, weights, transition, adjustable, shrink, delay):
    """Update `weights` and `transition` in place; returns the loss met on the way."""
    scale, loss = 1.0, 0.0
    bounds, log_z = np.zeros(2, np.int64), np.empty(1)
    for index in range(len(order)):
        begin, stop = batch.offsets[order[index]], batch.offsets[order[index] + 1]
        bounds[1] = stop - begin
        rate = 1.0 / (shrink * (delay + index))
        unary = np.zeros((stop - begin, len(fixed.start)))
        _visit(batch, features, begin, stop, weights, unary, scale, True)
        scores = fixed.transition + scale * transition
        states, given_states = np.empty_like(unary), np.empty_like(unary)
        pairs = _forward_backward(scores, fixed.start, fixed.end, unary, bounds, 0, 1, log_z, states)
        loss += log_z[0]
        _forbid(tags[begin:stop], unary)
        pairs -= _forward_backward(scores, fixed.start, fixed.end, unary, bounds, 0, 1, log_z, given_states)
        loss -= log_z[0]
        scale *= 1.0 - rate * shrink
        _visit(batch, features, begin, stop, weights, states - given_states, -rate / scale, False)
        transition -= np.where(adjustable, pairs, 0.0) * (rate / scale)
    weights *= scale
    transition *= scale
    return loss


@njit
def _forbid(tags, unary):
    """Forbid all but the known tag, in place."""
    for t in range(len(tags)):
        if tags[t] != UNKNOWN_TAG:
            for k in range(unary.shape[1]):
                if k != tags[t]:
                    unary[t, k] = -np.inf


@njit
def _visit(batch, features, begin, stop, weights, rows, factor, reading):
    """Add factor × weights of all attributes to `rows` (reading), or factor × `rows` to the weights."""
    for t in range(begin, stop):
        row = rows[t - begin]
        for group in range(batch.bundles.shape[0]):
            bundle = batch.bundles[group, t]
            for member in range(batch.pointers[bundle], batch.pointers[bundle + 1]):
                _apply(batch.members[member], features, weights, row, factor, reading)
        for template in range(batch.single.shape[0]):
            if batch.single[template, t] >= 0:
                _apply(batch.single[template, t], features, weights, row, factor, reading)


@njit(inline="always")
def _apply(attribute, features, weights, row, factor, reading):
    for p in range(features.pointers[attribute], features.pointers[attribute + 1]):
        if reading:
            row[features.labels[p]] += factor * weights[p]
        else:
            weights[p] += factor * row[features.labels[p]]
