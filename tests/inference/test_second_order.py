"""Chains of the second order against the enumeration of all paths."""

import itertools
import math
import resource
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langue.inference.chain import offsets_of
from langue.inference.second_order import Chain2, n_best2, posteriors2, viterbi2

SCORE = st.one_of(st.floats(-3, 3), st.floats(-800, 800), st.just(-np.inf))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Chain2, np.ndarray, np.ndarray]:
    K = draw(st.integers(1, 3))
    lengths = draw(st.lists(st.integers(0, 4), min_size=1, max_size=2))

    def array(*shape: int) -> np.ndarray:
        size = math.prod(shape)
        return np.array(draw(st.lists(SCORE, min_size=size, max_size=size)), np.float64).reshape(shape)

    return Chain2(array(K + 1, K + 1, K), array(K + 1, K)), array(sum(lengths), K), offsets_of(lengths)


def scores_of_paths(chain: Chain2, unary: np.ndarray) -> dict[tuple[int, ...], float]:
    T, K = unary.shape
    found = {}
    for path in itertools.product(range(K), repeat=T):
        line = (K, K, *path)
        score = sum(unary[t, state] for t, state in enumerate(path))
        score += sum(chain.transition[line[t : t + 3]] for t in range(T))
        found[path] = score + chain.end[line[-2:]] if T else 0.0
    return found


@given(cases(), st.integers(1, 6))
def test_everything_is_that_of_all_paths(case: tuple[Chain2, np.ndarray, np.ndarray], n: int) -> None:
    chain, unary, offsets = case
    sums, best = posteriors2(chain, unary, offsets), viterbi2(chain, unary, offsets)
    for s, (begin, end) in enumerate(itertools.pairwise(offsets)):
        scores = scores_of_paths(chain, unary[begin:end])
        ranked = sorted((score for score in scores.values() if score > -np.inf), reverse=True)
        found = n_best2(chain, unary[begin:end], n)
        assert found.scores == pytest.approx(ranked[:n], rel=1e-12, abs=1e-9)
        for path, score in zip(found.states, found.scores, strict=True):
            assert scores[tuple(path)] == pytest.approx(score, abs=1e-9)
        assert len({tuple(path) for path in found.states}) == len(found.states)
        if not ranked:
            assert sums.log_z[s] == best.scores[s] == -np.inf
            assert not sums.states[begin:end].any()
            continue
        log_z = ranked[0] + math.log(sum(math.exp(score - ranked[0]) for score in ranked))
        states = np.zeros((end - begin, unary.shape[1]))
        for path, score in scores.items():
            states[np.arange(len(path)), list(path)] += math.exp(score - log_z)
        assert sums.log_z[s] == pytest.approx(log_z, rel=1e-12, abs=1e-9)
        assert sums.states[begin:end] == pytest.approx(states, abs=1e-9)
        assert scores[tuple(best.states[begin:end])] == pytest.approx(ranked[0], abs=1e-9)


def test_ten_thousand_steps() -> None:
    rng = np.random.default_rng(0)
    chain = Chain2(30 * rng.normal(size=(4, 4, 3)), rng.normal(size=(4, 3)))
    found = posteriors2(chain, 30 * rng.normal(size=(10_000, 3)), offsets_of([10_000]))
    assert np.isfinite(found.log_z).all()
    assert found.states.sum(1) == pytest.approx(1, abs=1e-6)


def test_memory_is_that_of_the_states_that_positions_may_have() -> None:
    """A book without blank lines: of every pair of states 3 GB would be kept."""
    rng = np.random.default_rng(0)
    T, K = 50_000, 60
    chain = Chain2(rng.normal(size=(K + 1, K + 1, K)), rng.normal(size=(K + 1, K)))
    unary = np.full((T, K), -np.inf)
    unary[np.arange(T)[:, None], rng.integers(0, K, size=(T, 2))] = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    best, sums = viterbi2(chain, unary, offsets_of([T])), posteriors2(chain, unary, offsets_of([T]))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KB, or bytes on a Mac
    assert grown < 300_000 or sys.platform == "darwin"
    assert best.scores[0] <= sums.log_z[0] and np.isfinite(sums.log_z).all()
    assert (unary[np.arange(T), best.states] == 0.0).all()
