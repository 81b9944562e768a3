"""L-BFGS (Liu and Nocedal 1989), and OWL-QN for an L1 penalty (Andrew and Gao 2007).

Smooth losses are searched along the line until the weak Wolfe conditions hold, by doubling and
bisection; with L1, only until the loss falls enough, each point kept in its orthant. Either way, no
step is taken that raises the loss.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from langue.base.arrays import Float64Array
from langue.base.compiled import njit

Loss = Callable[[Float64Array], tuple[float, Float64Array]]

MEMORY = 6  # pairs of differences kept: more cost time and win few steps
ARMIJO = 1e-4  # share of the promised decrease that a step must reach
WOLFE = 0.9  # share of the slope that must be gone
TRIES = 20  # points on a line before it is given up
PERIOD = 10  # steps over which the loss must still have fallen by `tolerance`


class Step(NamedTuple):
    """State of a minimization after a step."""

    number: int
    theta: Float64Array
    loss: float  # penalties included
    evaluations: int


def minimize(
    loss: Loss,
    theta: Float64Array,
    *,
    l1: float = 0.0,
    steps: int,
    tolerance: float,
    after: Callable[[Step], bool] = lambda step: False,
) -> Step:
    """Minimize loss(θ) + l1 ‖θ‖₁.

    Args:
        loss: returns a value and its gradient; any smooth penalty is part of it.
        steps: at most so many.
        tolerance: stop when the loss fell by less than this share of itself over `PERIOD` steps.
        after: called with every step; true stops.

    Returns:
        The last step.
    """
    value, gradient = loss(theta)
    value += l1 * float(np.abs(theta).sum())
    history: deque[tuple[Float64Array, Float64Array, float]] = deque(maxlen=MEMORY)
    losses = [value]
    step = Step(0, theta, value, 1)
    while step.number < steps:
        slope = _pseudo_gradient(theta, gradient, l1)
        norm = math.sqrt(dot(slope, slope))
        if norm <= 1e-9 * max(1.0, math.sqrt(dot(theta, theta))):
            break
        direction = -_inverse_hessian_times(slope, history)
        if l1:
            direction[direction * slope >= 0.0] = 0.0  # only downhill, in every coordinate
        search = _Line(loss, theta, value, slope, direction, l1)
        first = 1.0 if history else 1.0 / max(1.0, norm)
        point = search.run(first)
        if point is None:
            if not history:
                break  # the slope itself leads nowhere: rounding is all that is left
            history.clear()
            continue
        moved, new_value, new_gradient = point
        difference, change = moved - theta, new_gradient - gradient
        curvature = dot(difference, change)
        if curvature > 1e-12 * dot(change, change):
            history.append((difference, change, curvature))
        theta, value, gradient = moved, new_value, new_gradient
        step = Step(step.number + 1, theta, value, step.evaluations + search.evaluations)
        if after(step):
            break
        losses.append(value)
        if len(losses) > PERIOD and losses[-PERIOD - 1] - value < tolerance * abs(value):
            break
    return step


def _pseudo_gradient(theta: Float64Array, gradient: Float64Array, l1: float) -> Float64Array:
    """The steepest ascent of the penalized loss; at 0 the side on which it falls, if there is one."""
    if not l1:
        return gradient
    right, left = gradient + l1, gradient - l1
    at_zero = np.where(right < 0, right, np.where(left > 0, left, 0.0))
    return np.where(theta > 0, right, np.where(theta < 0, left, at_zero))


def _inverse_hessian_times(
    vector: Float64Array, history: deque[tuple[Float64Array, Float64Array, float]]
) -> Float64Array:
    """The two-loop recursion."""
    result = vector.copy()
    shares = []
    for difference, change, curvature in reversed(history):
        share = dot(difference, result) / curvature
        _add(result, -share, change)
        shares.append(share)
    if history:
        _, change, curvature = history[-1]
        result *= curvature / dot(change, change)
    for (difference, change, curvature), share in zip(history, reversed(shares), strict=True):
        _add(result, share - dot(change, result) / curvature, difference)
    return result


@njit(fastmath=True)
def dot(one, other):
    """one · other, on one thread: a BLAS that wakes others for it takes a hundred times as long on a
    machine that is shared, and its sum depends on their number."""
    total = 0.0
    for i in range(len(one)):
        total += one[i] * other[i]
    return total


@njit
def _add(result, factor, vector):
    """result += factor × vector, in one pass."""
    for i in range(len(result)):
        result[i] += factor * vector[i]


class _Line:
    """The search along one direction."""

    def __init__(
        self,
        loss: Loss,
        theta: Float64Array,
        value: float,
        slope: Float64Array,
        direction: Float64Array,
        l1: float,
    ) -> None:
        self.loss = loss
        self.theta = theta
        self.value = value
        self.slope = slope
        self.direction = direction
        self.l1 = l1
        self.descent = dot(slope, direction)
        self.orthant = np.where(theta != 0, np.sign(theta), -np.sign(slope)) if l1 else None
        self.evaluations = 0

    def run(self, length: float) -> tuple[Float64Array, float, Float64Array] | None:
        """The point found, its loss and the gradient there; None where no point is better."""
        if not self.descent < 0:
            return None
        low, high = 0.0, np.inf
        best: tuple[Float64Array, float, Float64Array] | None = None
        for _ in range(TRIES):
            point = self._at(length)
            value, gradient = self.loss(point)
            value += self.l1 * float(np.abs(point).sum())
            self.evaluations += 1
            if not self._low_enough(point, value, length):
                high = length
            elif self.l1 or dot(gradient, self.direction) >= WOLFE * self.descent:
                return point, value, gradient
            else:
                low, best = length, (point, value, gradient)
            length = 2 * length if high == np.inf else (low + high) / 2
        return best

    def _at(self, length: float) -> Float64Array:
        point = self.theta + length * self.direction
        if self.orthant is not None:
            point[point * self.orthant <= 0] = 0.0
        return point

    def _low_enough(self, point: Float64Array, value: float, length: float) -> bool:
        promised = dot(self.slope, point - self.theta) if self.l1 else length * self.descent
        return bool(value <= self.value + ARMIJO * promised)
