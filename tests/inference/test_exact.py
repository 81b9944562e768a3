"""Every answer about a chain against the enumeration of all its paths, and where numbers are extreme."""

import itertools
import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langue.base.arrays import Array
from langue.inference.chain import MAX_BLOCKS, MIN_BLOCK_POSITIONS, Chain, offsets_of
from langue.inference.maxproduct import n_best, viterbi
from langue.inference.sumproduct import _log_forward, _log_posteriors, log_partition, posteriors

FORBIDDEN = -np.inf
# Ordinary scores, scores far beyond the range of exp, and steps that are not permitted.
SCORE = st.one_of(st.floats(-3, 3), st.floats(-800, 800), st.just(FORBIDDEN))


class Case(NamedTuple):
    chain: Chain
    unary: Array  # (N, K)
    offsets: Array


@st.composite
def cases(draw: st.DrawFn) -> Case:
    K = draw(st.integers(1, 4))
    lengths = draw(st.lists(st.integers(0, 5), min_size=1, max_size=3))
    mild = st.floats(-3, 3) if draw(st.booleans()) else SCORE

    def array(*shape: int) -> Array:
        size = math.prod(shape)
        return np.array(draw(st.lists(mild, min_size=size, max_size=size)), np.float64).reshape(shape)

    return Case(Chain(array(K, K), array(K), array(K)), array(sum(lengths), K), offsets_of(lengths))


class Enumerated(NamedTuple):
    log_z: float
    states: Array
    pairs: Array
    scores: list[float]  # of all permitted paths, best first


def enumerate_paths(chain: Chain, unary: Array) -> Enumerated:
    """The definition: every path, one after another."""
    T, K = unary.shape
    scores = {}
    for path in itertools.product(range(K), repeat=T):
        score = sum(unary[t, state] for t, state in enumerate(path))
        score += sum(chain.transition[pair] for pair in itertools.pairwise(path))
        scores[path] = score + (chain.start[path[0]] + chain.end[path[-1]] if path else 0.0)
    best = max(scores.values())
    states, pairs = np.zeros((T, K)), np.zeros((K, K))
    if best == FORBIDDEN:
        return Enumerated(FORBIDDEN, states, pairs, [])
    log_z = best + math.log(sum(math.exp(score - best) for score in scores.values()))
    for path, score in scores.items():
        for t, state in enumerate(path):
            states[t, state] += math.exp(score - log_z)
        for pair in itertools.pairwise(path):
            pairs[pair] += math.exp(score - log_z)
    permitted = sorted((score for score in scores.values() if score > FORBIDDEN), reverse=True)
    return Enumerated(log_z, states, pairs, permitted)


def each(case: Case) -> list[Enumerated]:
    bounds = itertools.pairwise(case.offsets)
    return [enumerate_paths(case.chain, case.unary[begin:end]) for begin, end in bounds]


def score_of(chain: Chain, unary: Array, path: Array) -> float:
    total = unary[np.arange(len(path)), path].sum() + chain.transition[path[:-1], path[1:]].sum()
    return float(total + (chain.start[path[0]] + chain.end[path[-1]] if len(path) else 0.0))


@given(cases())
def test_sums_are_those_of_all_paths(case: Case) -> None:
    expected = each(case)
    found = posteriors(*case)
    assert found.log_z == pytest.approx(np.array([one.log_z for one in expected]), rel=1e-12, abs=1e-9)
    assert found.states == pytest.approx(np.concatenate([one.states for one in expected]), abs=1e-9)
    assert found.pairs == pytest.approx(sum(one.pairs for one in expected), abs=1e-9)
    assert np.array_equal(log_partition(*case), found.log_z)


@given(cases())
def test_log_space_agrees(case: Case) -> None:
    """The way that is taken where scaling would not be exact, on sequences of every kind."""
    for (begin, end), expected in zip(itertools.pairwise(case.offsets), each(case), strict=True):
        unary = case.unary[begin:end]
        states, pairs = np.empty_like(unary), np.zeros_like(case.chain.transition)
        log_z = _log_posteriors(*case.chain, unary, states, pairs)
        assert log_z == pytest.approx(expected.log_z, rel=1e-12, abs=1e-9)
        assert states == pytest.approx(expected.states, abs=1e-9)
        assert pairs == pytest.approx(expected.pairs, abs=1e-9)


@given(cases(), st.integers(1, 9))
def test_maxima_are_those_of_all_paths(case: Case, n: int) -> None:
    found = viterbi(*case)
    for s, expected in enumerate(each(case)):
        rows = slice(case.offsets[s], case.offsets[s + 1])
        ranked = n_best(case.chain, case.unary[rows], n)
        assert ranked.scores == pytest.approx(expected.scores[:n], rel=1e-12, abs=1e-9)
        assert len({tuple(path) for path in ranked.states}) == len(ranked.states)
        for path, score in zip(ranked.states, ranked.scores, strict=True):
            assert score_of(case.chain, case.unary[rows], path) == pytest.approx(score, abs=1e-9)
        if expected.scores:
            assert found.scores[s] == pytest.approx(expected.scores[0], rel=1e-12, abs=1e-9)
            best = score_of(case.chain, case.unary[rows], found.states[rows])
            assert best == pytest.approx(expected.scores[0], rel=1e-12, abs=1e-9)
        else:
            assert found.scores[s] == FORBIDDEN


@given(cases(), st.randoms())
def test_posteriors_are_the_gradient_of_log_z(case: Case, random: np.random.Generator) -> None:
    mild = Case(
        Chain(*(np.clip(part, -3, 3) for part in case.chain)), np.clip(case.unary, -3, 3), case.offsets
    )
    found = posteriors(*mild)
    step = 1e-5
    for array, gradient in ((mild.unary, found.states), (mild.chain.transition, found.pairs)):
        if array.size == 0:
            continue
        place = np.unravel_index(random.randrange(array.size), array.shape)  # type: ignore[attr-defined]
        value = array[place]
        sums = []
        for moved in (value + step, value - step):
            array[place] = moved
            sums.append(log_partition(*mild).sum())
        array[place] = value
        assert (sums[0] - sums[1]) / (2 * step) == pytest.approx(gradient[place], abs=1e-6)


@pytest.mark.parametrize("size", [1.0, 40.0, 4000.0])
def test_ten_thousand_steps(size: float) -> None:
    rng = np.random.default_rng(0)
    K, T = 5, 10_000
    chain = Chain.of(size * rng.normal(size=(K, K)), rng.normal(size=K), rng.normal(size=K))
    unary = size * rng.normal(size=(T, K))
    found = posteriors(chain, unary, offsets_of([T]))
    alpha = np.empty((T, K))
    assert found.log_z[0] == pytest.approx(_log_forward(*chain, unary, alpha), rel=1e-12)
    assert found.states.sum(1) == pytest.approx(np.ones(T), abs=1e-7)
    assert found.pairs.sum() == pytest.approx(T - 1, rel=1e-9)
    best = viterbi(chain, unary, offsets_of([T]))
    assert score_of(chain, unary, best.states) == pytest.approx(best.scores[0], rel=1e-12)
    assert best.scores[0] <= found.log_z[0]


def test_probabilities_of_1e_minus_300() -> None:
    """The only way through is ten thousand of them: nothing is lost, and nothing is rounded to zero."""
    tiny = -300 * math.log(10)
    chain = Chain.of(np.array([[tiny, FORBIDDEN], [tiny, 0.0]]), np.array([0.0, tiny]))
    unary = np.tile([tiny, 2 * tiny], (10_000, 1))
    unary[-1, 1] = FORBIDDEN
    found = posteriors(chain, unary, offsets_of([10_000]))
    alpha = np.empty((10_000, 2))
    assert found.log_z[0] == pytest.approx(_log_forward(*chain, unary, alpha), rel=1e-13)
    assert np.isfinite(found.log_z[0])
    assert found.states.sum(1) == pytest.approx(np.ones(10_000))


def test_a_state_that_fades_away_and_is_the_only_way_out() -> None:
    """Scaled messages of state 0 sink below any double; at the end it is the only state permitted."""
    T = 5_000
    chain = Chain.of(np.array([[0.0, FORBIDDEN], [FORBIDDEN, 0.0]]), end=np.array([0.0, FORBIDDEN]))
    unary = np.tile([-1.0, 0.0], (T, 1))
    found = posteriors(chain, unary, offsets_of([T]))
    assert found.log_z[0] == pytest.approx(-T)
    assert np.array_equal(found.states, np.tile([1.0, 0.0], (T, 1)))


def test_a_sequence_scores_the_same_alone_and_in_a_batch_of_any_size() -> None:
    rng = np.random.default_rng(1)
    lengths = rng.integers(0, 60, 4 * MAX_BLOCKS * MIN_BLOCK_POSITIONS // 60)
    chain = Chain.of(rng.normal(size=(6, 6)))
    offsets = offsets_of(lengths)
    unary = rng.normal(size=(offsets[-1], 6))
    together, best = posteriors(chain, unary, offsets), viterbi(chain, unary, offsets)
    for s in range(0, len(lengths), 97):
        rows = slice(offsets[s], offsets[s + 1])
        alone = posteriors(chain, unary[rows], offsets_of([lengths[s]]))
        assert alone.log_z[0] == together.log_z[s]
        assert np.array_equal(alone.states, together.states[rows])
        assert np.array_equal(viterbi(chain, unary[rows], offsets_of([lengths[s]])).states, best.states[rows])
    assert together.pairs.sum() == pytest.approx(np.maximum(lengths - 1, 0).sum())
