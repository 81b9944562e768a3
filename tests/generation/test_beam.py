"""Beam search against every continuation there is, and against taking the likeliest token."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langue.base.arrays import Float64Array, Floats, Ids
from langue.generation.beam import Hypothesis, beam_search, penalty

V, EOS = 4, 0


class Chain:
    """A decoder of p(next | last token): what beam search needs, and nothing else."""

    def __init__(self, seed: int, last: Sequence[int] = (1,)) -> None:
        self.table = np.log(np.random.default_rng(seed).dirichlet(np.full(V, 0.7), V))
        self.last = list(last)

    def log_probs(self) -> Float64Array:
        return self.table[self.last]

    def extend(self, ids: Ids) -> None:
        assert ids.shape == (len(self.last), 1)
        self.last = [int(id) for (id,) in ids]

    def select(self, rows: Sequence[int]) -> None:
        self.last = [self.last[row] for row in rows]


def every_continuation(seed: int, longest: int, alpha: float) -> list[tuple[float, tuple[int, ...]]]:
    """All that end with `<eos>` within `longest` tokens, best first; then those cut short."""
    table = Chain(seed).table
    ended, cut = [], []
    for length in range(1, longest + 1):
        for ids in itertools.product(range(V), repeat=length):
            if EOS in ids[:-1]:
                continue
            log_prob = sum(table[a, b] for a, b in itertools.pairwise([1, *ids]))
            row = (log_prob / penalty(length, alpha), ids)
            if ids[-1] == EOS:
                ended.append(row)
            elif length == longest:
                cut.append(row)
    return [*sorted(ended, reverse=True), *sorted(cut, reverse=True)]


@given(seed=st.integers(0, 10_000), alpha=st.sampled_from([0.0, 0.6, 1.0]))
def test_wide_enough_it_finds_the_best_there_are(seed: int, alpha: float) -> None:
    """81 beams hold all that goes on for 4 tokens, so nothing is lost."""
    found = beam_search(Chain(seed), eos=EOS, num_beams=81, max_tokens=4, length_penalty=alpha)
    expected = every_continuation(seed, 4, alpha)[:81]
    assert [one.score(alpha) for one in found] == pytest.approx([score for score, _ in expected])
    assert found[0].ids == expected[0][1]


@given(seed=st.integers(0, 10_000))
def test_one_beam_without_an_end_takes_the_likeliest(seed: int) -> None:
    (found,) = beam_search(Chain(seed), eos=-1, num_beams=1, max_tokens=6)
    table, last, expected = Chain(seed).table, 1, []
    for _ in range(6):
        last = int(table[last].argmax())
        expected.append(last)
    assert found.ids == tuple(expected)
    assert not found.finished


@given(seed=st.integers(0, 10_000), num_beams=st.integers(1, 5))
def test_log_prob_is_that_of_the_ids_and_no_two_are_alike(seed: int, num_beams: int) -> None:
    table = Chain(seed).table
    found = beam_search(Chain(seed), eos=EOS, num_beams=num_beams, max_tokens=5)
    assert len({one.ids for one in found}) == len(found) == num_beams
    for one in found:
        assert one.log_prob == pytest.approx(sum(table[a, b] for a, b in itertools.pairwise([1, *one.ids])))
        assert one.finished == (one.ids[-1] == EOS)


def test_stopping_early_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from langue.generation.beam import Search

    for seed in range(50):
        early = beam_search(Chain(seed), eos=EOS, num_beams=3, max_tokens=12)
        with monkeypatch.context() as patched:
            patched.setattr(Search, "hopeless", lambda self: False)
            assert beam_search(Chain(seed), eos=EOS, num_beams=3, max_tokens=12) == early


class Narrow:
    """No 3, 2 at even places alone, an end after two tokens; four of them are a whole."""

    def apply(self, ids: tuple[int, ...], log_probs: Floats) -> Floats:
        allowed = [len(ids) >= 2, True, len(ids) % 2 == 0, False]
        return np.where(allowed, log_probs, -np.inf)

    def complete(self, ids: tuple[int, ...]) -> bool:
        return len(ids) == 4


class Nothing(Narrow):
    def apply(self, ids: tuple[int, ...], log_probs: Floats) -> Floats:
        return np.full_like(log_probs, -np.inf)


def test_what_is_not_allowed_is_not_written() -> None:
    for one in beam_search(Chain(3), eos=EOS, num_beams=4, max_tokens=6, constraint=Narrow()):
        assert 3 not in one.ids
        assert 2 not in one.ids[1::2]
        assert 2 < len(one.ids) <= 4
        assert one.finished
    assert beam_search(Chain(3), eos=EOS, constraint=Nothing()) == []


def test_no_tokens_no_continuation() -> None:
    assert beam_search(Chain(0), eos=EOS, max_tokens=0) == [Hypothesis((), 0.0, False)]
