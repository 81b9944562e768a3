"""Calibration against its definition, and where probabilities are known."""

import numpy as np
import pytest

from langue.tasks.calibration import at_temperature, best_temperature, calibration, expected_error


def drawn(count: int, *, sharper: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities that are too sure by this factor, and labels by the true ones."""
    draw = np.random.default_rng(0)
    true = at_temperature(draw.normal(size=(count, 3)), 0.5)
    answers = (true + draw.gumbel(size=true.shape)).argmax(-1)
    return at_temperature(true, 1 / sharper), answers


def test_the_temperature_undoes_what_was_done() -> None:
    for sharper in (0.5, 1.0, 3.0):
        log_probs, answers = drawn(20_000, sharper=sharper)
        assert best_temperature(log_probs, answers) == pytest.approx(sharper, rel=0.05)


def test_the_error_is_as_defined_and_small_of_true_probabilities() -> None:
    log_probs, answers = drawn(20_000, sharper=1.0)
    assert expected_error(log_probs, answers) < 0.02
    sure, answers = drawn(5_000, sharper=4.0)
    probability, right = np.exp(sure.max(-1)), sure.argmax(-1) == answers
    expected = 0.0
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        inside = (probability >= low) & (probability < high if number < 14 else probability <= high)
        if inside.any():
            expected += inside.mean() * abs(probability[inside].mean() - right[inside].mean())
    assert expected_error(sure, answers) == pytest.approx(expected) and expected > 0.1
    told = calibration(at_temperature(sure, 4.0), answers, 4.0)
    assert told.ece < 0.03 < told.ece_before == pytest.approx(expected)


def test_few_examples_that_are_all_right_make_nothing_certain() -> None:
    log_probs = np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]))
    assert 0.2 < best_temperature(log_probs, np.array([0, 1, 0])) < 1
