"""What is hidden, how often and behind what: rates against what the papers say."""

import numpy as np
import pytest
from scipy import stats

from langue.base.seeds import generator
from langue.tokens.masking import LENGTHS, NONE, mask

MASK, SPECIAL = 1000, 1001
ALPHABET = np.arange(10, 1000, dtype=np.uint32)
ROWS, TIME = 40, 512


def words_of_two_to_four(draw: np.random.Generator) -> np.ndarray:
    """Where words begin in rows of words of two to four tokens."""
    begins = np.zeros((ROWS, TIME), np.bool_)
    for row in begins:
        row[np.cumsum(draw.integers(2, 5, TIME))[:150].clip(max=TIME - 1)] = True
    return begins


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids, which of them are ordinary, which begin a word; a special token now and then."""
    draw = np.random.default_rng(1)
    ids = draw.integers(10, 1000, (ROWS, TIME))
    ids[:, 0] = SPECIAL
    ids[draw.random(ids.shape) < 0.01] = SPECIAL
    return ids, ids != SPECIAL, words_of_two_to_four(draw)


def hide(rows: tuple[np.ndarray, ...], unit: str, number: int, share: float = 0.15) -> tuple[np.ndarray, ...]:
    ids, ordinary, words = rows
    draw = generator(7, "mask", number)
    return mask(
        ids,
        ordinary,
        words,
        masking=unit,
        mlm_probability=share,
        mask_id=MASK,
        alphabet=ALPHABET,
        draw=draw,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("unit", ["token", "whole-word", "n-gram", "span"])
def test_rates_are_those_of_the_paper(rows: tuple[np.ndarray, ...], unit: str) -> None:
    """15 % of ordinary tokens; of these 80 % masked, 10 % random, 10 % as they are; no special token."""
    ids, ordinary, _ = rows
    counts = np.zeros(3, np.int64)
    chosen_total = 0
    runs = 20
    for number in range(runs):
        inputs, targets = hide(rows, unit, number)
        chosen = targets != NONE
        assert not chosen[~ordinary].any()
        assert (targets[chosen] == ids[chosen]).all()
        assert (inputs[~chosen] == ids[~chosen]).all()
        chosen_total += int(chosen.sum())
        masked, kept = inputs[chosen] == MASK, inputs[chosen] == ids[chosen]
        counts += [masked.sum(), (~masked & ~kept).sum(), kept.sum()]
        assert np.isin(inputs[chosen], np.r_[ALPHABET, MASK]).all()
    assert chosen_total / (runs * ordinary.sum()) == pytest.approx(0.15, abs=3e-4)
    if unit == "span":  # the replacement of a span is drawn once: fewer draws, and more spread
        assert counts / counts.sum() == pytest.approx([0.8, 0.1, 0.1], abs=0.01)
    else:  # a random token is the old one once in 990 times
        expected = counts.sum() * np.array([0.8, 0.1 * 989 / 990, 0.1 + 0.1 / 990])
        assert stats.chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize("unit", ["whole-word", "n-gram", "span"])
def test_words_are_hidden_whole(rows: tuple[np.ndarray, ...], unit: str) -> None:
    _, ordinary, words = rows
    chosen = hide(rows, unit, 0)[1] != NONE
    # Within a word, a token is chosen if and only if the one before it is.
    inside = ordinary[:, 1:] & ordinary[:, :-1] & ~words[:, 1:]
    assert (chosen[:, 1:] == chosen[:, :-1])[inside].all()


def test_each_token_is_as_likely_as_any_other(rows: tuple[np.ndarray, ...]) -> None:
    _, ordinary, _ = rows
    for unit in ("token", "whole-word", "n-gram", "span"):
        times = sum((hide(rows, unit, number)[1] != NONE).astype(int) for number in range(200))
        rates = times[ordinary] / 200
        assert rates.mean() == pytest.approx(0.15, abs=1e-3)
        assert rates.std() == pytest.approx(np.sqrt(0.15 * 0.85 / 200), rel=0.05)
        by_place = (times / 200).mean(0)[1:]
        assert np.abs(by_place.reshape(7, 73).mean(1) - 0.15).max() < 0.006


@pytest.mark.parametrize("unit", ["n-gram", "span"])
def test_runs_have_the_lengths_of_the_paper(unit: str) -> None:
    """One long row of one-token words, few of them hidden, so that runs seldom touch."""
    ids = np.arange(10, 10 + 200_000)[None] % 900 + 10
    every = np.ones_like(ids, np.bool_)
    counts = np.zeros(len(LENGTHS[unit]) * 2)
    for number in range(4):
        chosen = hide((ids, every, every), unit, number, share=0.01)[1][0] != NONE
        edges = np.flatnonzero(np.diff(np.r_[0, chosen, 0]))
        counts += np.bincount((edges[1::2] - edges[::2]).clip(max=len(counts)), minlength=len(counts) + 1)[1:]
    found = counts[: len(LENGTHS[unit])] / counts.sum()
    assert found == pytest.approx(LENGTHS[unit], abs=0.02)
    assert LENGTHS["n-gram"] == pytest.approx(np.array([6, 3, 2]) / 11)  # 1/n, n up to 3
    assert LENGTHS["span"][1] / LENGTHS["span"][0] == pytest.approx(0.8)


def test_masks_are_a_pure_function_of_seed_and_step(rows: tuple[np.ndarray, ...]) -> None:
    for one, again in zip(hide(rows, "span", 3), hide(rows, "span", 3), strict=True):
        assert np.array_equal(one, again)
    assert not np.array_equal(hide(rows, "span", 3)[1], hide(rows, "span", 4)[1])


def test_at_least_one_token_is_hidden() -> None:
    ids = np.array([[SPECIAL, 11, 12, SPECIAL]])
    words = np.array([[True, True, False, True]])
    for number in range(20):
        _, targets = hide((ids, ids != SPECIAL, words), "whole-word", number, share=0.01)
        assert targets.tolist() == [[NONE, 11, 12, NONE]]
    nothing = np.array([[SPECIAL, SPECIAL]])
    inputs, targets = hide((nothing, nothing != SPECIAL, nothing > 0), "whole-word", 0)
    assert inputs.tolist() == nothing.tolist()
    assert (targets == NONE).all()
