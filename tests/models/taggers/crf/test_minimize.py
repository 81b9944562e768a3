"""L-BFGS and OWL-QN against SciPy, on losses whose minimum is known."""

import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize

from langue.models.taggers.crf.minimize import Step, minimize

RNG = np.random.default_rng(0)
A = RNG.normal(size=(60, 12))
Y = RNG.choice([-1.0, 1.0], 60)


def logistic(theta: np.ndarray) -> tuple[float, np.ndarray]:
    margins = Y * (A @ theta)
    value = np.logaddexp(0, -margins).sum()
    return float(value), -A.T @ (Y / (1 + np.exp(margins)))


def penalized(theta: np.ndarray) -> tuple[float, np.ndarray]:
    value, gradient = logistic(theta)
    return value + 0.1 * float(theta @ theta), gradient + 0.2 * theta


def rosenbrock(x: np.ndarray) -> tuple[float, np.ndarray]:
    value = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    return float(value), np.array(
        [-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)]
    )


def test_smooth_minima_are_scipys() -> None:
    expected = scipy_minimize(penalized, np.zeros(12), jac=True, method="L-BFGS-B", options={"ftol": 1e-15})
    found = minimize(penalized, np.zeros(12), steps=200, tolerance=0.0)
    assert found.loss == pytest.approx(expected.fun, rel=1e-9)
    assert found.theta == pytest.approx(expected.x, abs=1e-4)


def test_a_crooked_valley() -> None:
    found = minimize(rosenbrock, np.array([-1.2, 1.0]), steps=200, tolerance=0.0)
    assert found.theta == pytest.approx(np.ones(2), abs=1e-5)


@pytest.mark.parametrize("l1", [0.5, 3.0, 12.0, 1000.0])
def test_l1_minima_are_those_of_the_split_problem(l1: float) -> None:
    """min f(θ) + c‖θ‖₁ is min f(u - v) + c Σ(u + v) over u, v ≥ 0, which is smooth."""

    def split(both: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = logistic(both[:12] - both[12:])
        return value + l1 * both.sum(), np.r_[gradient + l1, -gradient + l1]

    expected = scipy_minimize(
        split, np.zeros(24), jac=True, method="L-BFGS-B", bounds=[(0, None)] * 24, options={"ftol": 1e-15}
    )
    found = minimize(logistic, np.zeros(12), l1=l1, steps=300, tolerance=0.0)
    assert found.loss == pytest.approx(expected.fun, rel=1e-7)
    assert found.theta == pytest.approx(expected.x[:12] - expected.x[12:], abs=1e-3)
    assert np.array_equal(found.theta == 0, np.abs(expected.x[:12] - expected.x[12:]) < 1e-6)


@pytest.mark.parametrize("l1", [0.0, 1.0])
def test_no_step_raises_the_loss(l1: float) -> None:
    steps: list[Step] = []
    minimize(penalized, RNG.normal(size=12), l1=l1, steps=60, tolerance=1e-12, after=steps.append)
    losses = [step.loss for step in steps]
    assert losses == sorted(losses, reverse=True)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))


def test_it_stops_at_a_minimum_and_where_little_is_gained() -> None:
    best = minimize(penalized, np.zeros(12), steps=200, tolerance=0.0)
    assert minimize(penalized, best.theta, steps=50, tolerance=0.0).number <= 2
    assert minimize(penalized, np.zeros(12), steps=200, tolerance=1e-2).number < best.number + 1
