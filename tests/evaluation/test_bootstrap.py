"""The bootstrap against what is known of it."""

import numpy as np
import pytest

from langue.evaluation.bootstrap import interval, resampled_ratios


def test_the_spread_is_that_of_a_ratio_of_sums() -> None:
    draw = np.random.default_rng(0)
    sizes = draw.integers(50, 150, 400)
    bits = sizes * draw.normal(2.0, 0.3, 400)
    ratio = bits.sum() / sizes.sum()
    # The delta method: the variance of Σx/Σy is that of the residuals x - r y.
    expected = np.sqrt(((bits - ratio * sizes) ** 2).sum()) / sizes.sum()
    found = resampled_ratios(bits[None], sizes, draws=4000)[0]
    assert found.std() == pytest.approx(expected, rel=0.06)
    low, high = interval(found)
    assert (low + high) / 2 == pytest.approx(ratio, abs=expected / 4)
    assert (high - low) / expected == pytest.approx(2 * 1.96, rel=0.08)


def test_pairing_removes_what_is_common_to_both_models() -> None:
    draw = np.random.default_rng(0)
    sizes = np.full(200, 100)
    hard = draw.normal(300, 80, 200)  # bits: how hard each document is for anyone
    both = np.stack([hard, hard + draw.normal(5, 1, 200)])
    alone = resampled_ratios(both, sizes)
    low, high = interval(alone[1] - alone[0])
    assert 0.04 < low < 0.05 < high < 0.06
    one = interval(alone[0])
    assert one[1] - one[0] > 10 * (high - low)


def test_same_seed_same_draws() -> None:
    bits, sizes = np.arange(10.0)[None], np.arange(1, 11)
    assert np.array_equal(resampled_ratios(bits, sizes, seed=3), resampled_ratios(bits, sizes, seed=3))
    assert not np.array_equal(resampled_ratios(bits, sizes, seed=3), resampled_ratios(bits, sizes, seed=4))
