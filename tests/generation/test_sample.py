"""Sampling against what each setting promises."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langue.base.config import decode
from langue.base.errors import LangueError
from langue.base.seeds import generator
from langue.generation.sample import Sampling, choose
from langue.nn.compiled import choice

PROBABILITIES = np.array([0.5, 0.25, 0.15, 0.07, 0.03])
PLAIN = Sampling(temperature=1.0, top_p=1.0)
DRAWS = 4000


def frequencies(sampling: Sampling, seen: tuple[int, ...] = ()) -> np.ndarray:
    draw = generator(0, "test")
    logs = np.log(PROBABILITIES)
    drawn = [choose(logs, np.array(seen, np.int64), sampling, draw) for _ in range(DRAWS)]
    return np.bincount(drawn, minlength=len(PROBABILITIES)) / DRAWS


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    """Within five standard errors."""
    return bool((np.abs(found - expected) < 5 * np.sqrt(0.25 / DRAWS)).all())


def test_draws_from_the_distribution_as_it_is() -> None:
    assert close(frequencies(PLAIN), PROBABILITIES)


def test_temperature_raises_probabilities_to_a_power() -> None:
    expected = PROBABILITIES**2
    assert close(frequencies(Sampling(temperature=0.5, top_p=1.0)), expected / expected.sum())
    for next_to_nothing in (0.0, 1e-5, 1e-40, 1e-320):  # by which no difference of logits can be divided
        assert frequencies(Sampling(temperature=next_to_nothing))[0] == 1


@pytest.mark.parametrize(
    ("sampling", "kept"),
    [
        (Sampling(temperature=1.0, top_p=1.0, top_k=2), 2),
        (Sampling(temperature=1.0, top_p=0.75), 2),  # 0.5 + 0.25 reach it
        (Sampling(temperature=1.0, top_p=0.76), 3),
        (Sampling(temperature=1.0, top_p=0.0), 1),
        (Sampling(temperature=1.0, top_p=1.0, min_p=0.29), 3),  # 0.15 is 0.3 of 0.5
        (Sampling(temperature=1.0, top_p=0.66, top_k=2), 1),  # 0.5 is two thirds of what k leaves
        (Sampling(temperature=1.0, top_p=0.67, top_k=2), 2),
        (Sampling(temperature=1.0, top_p=0.8, top_k=3), 2),  # 0.75 is 0.83 of 0.9
        (Sampling(temperature=1.0, top_p=0.84, top_k=3, min_p=0.4), 2),
    ],
)
def test_truncation_keeps_the_likeliest_and_their_proportions(sampling: Sampling, kept: int) -> None:
    expected = np.where(np.arange(len(PROBABILITIES)) < kept, PROBABILITIES, 0)
    assert close(frequencies(sampling), expected / expected.sum())


def slowly(log_probs: np.ndarray, sampling: Sampling, number: float) -> int:
    """All sorted, in float64."""
    logits = log_probs.astype(float)
    weights = np.exp((logits - logits.max()) / sampling.temperature)
    order = np.argsort(-weights, kind="stable")
    p = weights[order] / weights.sum()
    if sampling.top_k:
        p[sampling.top_k :] = 0
        p /= p.sum()
    keep = (p > 0) & (np.cumsum(p) - p < sampling.top_p) & (p >= sampling.min_p * p[0])
    keep[0] = True
    ids = np.sort(order[keep])
    return int(ids[np.argmin([arrival(number, int(id)) / weights[id] for id in ids])])


def arrival(number: float, id: int) -> float:
    """When a token of weight 1 arrives, in arithmetic of Python."""

    def scrambled(x: int, bits: int, steps: tuple[int, ...], factors: tuple[int, ...]) -> int:
        for step, factor in zip(steps, (*factors, 1), strict=True):
            x = (x ^ x >> step) * factor & 2**bits - 1
        return x

    seed = scrambled(int(number * 2**53), 64, (30, 27, 31), (0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
    mixed = (id * (seed | 1) + (seed >> 32)) & 2**32 - 1
    return -math.log1p(-((scrambled(mixed, 32, (16, 15, 16), (0x7FEB352D, 0x846CA68B)) >> 1) + 0.5) / 2**31)


class Given:
    def __init__(self, number: float) -> None:
        self.number = number

    def random(self) -> float:
        return self.number


def test_draws_what_sorting_all_of_them_would() -> None:
    draw = np.random.default_rng(5)
    for _ in range(1500):
        V = int(draw.integers(1, 300))
        logs = np.log(draw.dirichlet(np.full(V, draw.choice([0.05, 0.5, 5]))) + 1e-30).astype(np.float32)
        logs[draw.integers(V) :: 7] = logs[0]  # equal ones
        sampling = Sampling(
            temperature=float(draw.uniform(0.1, 2)),
            top_k=int(draw.choice([0, 0, 1, 5, 40])),
            top_p=float(draw.choice([1, 0.95, 0.5, 0])),
            min_p=float(draw.choice([0, 0, 0.05])),
        )
        given: Any = Given(float(draw.random()))
        expected = slowly(logs, sampling, given.number)
        assert choose(logs, np.empty(0, np.int64), sampling, given) == expected


def test_k_then_p_keeps_what_transformers_keeps() -> None:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    draw = np.random.default_rng(3)
    for _ in range(40):
        logits = draw.normal(size=12) * 2
        k, p, temperature = int(draw.integers(1, 13)), float(draw.uniform(0.05, 0.99)), draw.uniform(0.4, 2)
        scores = torch.tensor(logits)[None] / temperature
        for step in (transformers.TopKLogitsWarper(k), transformers.TopPLogitsWarper(p)):
            scores = step(None, scores)
        kept = set(np.flatnonzero(np.isfinite(scores[0].numpy())).tolist())
        sampling = Sampling(temperature=float(temperature), top_k=k, top_p=p)
        logs = logits - np.logaddexp.reduce(logits)
        none = np.empty(0, np.int64)
        drawn = {choose(logs, none, sampling, generator(n, "test")) for n in range(150)}
        assert drawn <= kept
        assert len(kept) > 4 or drawn == kept or kept - drawn <= set(np.argsort(logits)[:-2].tolist())


def test_repetition_penalty_makes_what_was_seen_less_likely() -> None:
    penalized = Sampling(temperature=1.0, top_p=1.0, repetition_penalty=2.0)
    expected = np.where(np.arange(len(PROBABILITIES)) == 0, PROBABILITIES**2, PROBABILITIES)
    assert close(frequencies(penalized, seen=(0, 0)), expected / expected.sum())


@given(
    logits=st.lists(st.floats(-50, 50), min_size=1, max_size=20),
    temperature=st.floats(0.05, 3),
    top_k=st.integers(0, 5),
    top_p=st.floats(0, 1),
    min_p=st.floats(0, 1),
    barred=st.integers(0, 19),
)
def test_never_draws_what_has_no_probability(
    logits: list[float], temperature: float, top_k: int, top_p: float, min_p: float, barred: int
) -> None:
    scores = np.array(logits)
    scores -= np.logaddexp.reduce(scores)
    if len(scores) > 1:
        scores[barred % len(scores)] = -np.inf
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    for index in range(5):
        found = choose(scores, np.empty(0, np.int64), sampling, generator(index, "test"))
        assert np.isfinite(scores[found])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_draws_nothing_where_there_is_no_number_or_nothing_is_possible(temperature: float) -> None:
    leads, settings = np.zeros(8, np.uint8), np.array([temperature, 0, 1, 0])
    for nothing in (np.nan, -np.nan, -np.inf):
        assert choice.choose(np.full(8, nothing, np.float32), leads, settings, 0.5) == -1


def test_settings_out_of_bounds_are_refused_by_name() -> None:
    with pytest.raises(LangueError, match=r"sampling\.top_p"):
        decode(Sampling, {"top_p": 1.5}, "sampling")
    with pytest.raises(LangueError, match="did you mean temperature"):
        decode(Sampling, {"temprature": 1.0}, "sampling")


def test_a_stop_string_that_ends_every_text_is_refused() -> None:
    with pytest.raises(LangueError, match="would end every text"):
        Sampling(stop=("a", ""))
