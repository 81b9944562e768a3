"""The Markov chain against counting by hand."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langue.models.counts.markov import MarkovConfig, estimate, load
from langue.protocols import Vocabulary
from langue.tokens.store import TokenStore

V = 6
CORPUS = st.lists(st.lists(st.integers(1, 4), max_size=10), min_size=1, max_size=8)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    corpus=CORPUS,
    text=st.lists(st.integers(1, 5), max_size=6),
    order=st.integers(0, 3),
    alpha=st.sampled_from([0.0, 0.5]),
)
def test_equals_counting_by_hand(
    make_store: Callable[..., TokenStore], corpus: list[list[int]], text: list[int], order: int, alpha: float
) -> None:
    model = estimate(MarkovConfig(order=order, alpha=alpha), make_store(corpus, vocabulary=V))
    followed: dict[tuple[int, ...], Counter[int]] = {}
    for document in corpus:
        words = [V, *document, 0]
        for place in range(1, len(words)):
            context = tuple(words[max(0, place - order) : place])
            followed.setdefault(context, Counter())[words[place]] += 1

    def p(context: tuple[int, ...], word: int) -> float:
        counts = followed.get(context, Counter())
        total = sum(counts.values())
        return (counts[word] + alpha) / (total + alpha * V) if total else 1 / V

    words = [V, *text, 0]
    scores = model.log_probs([np.array(words[1:])])[0]
    rows = model.next_log_probs([np.array(words[1:place]) for place in range(1, len(words))])
    decoder = model.decoder([np.array([], np.uint32)])
    for place in range(1, len(words)):
        context = tuple(words[max(0, place - order) : place])
        expected = [p(context, word) for word in range(V)]
        assert sum(expected) == pytest.approx(1)
        assert np.exp(rows[place - 1]) == pytest.approx(expected, abs=1e-6)
        assert np.exp(decoder.log_probs()[0]) == pytest.approx(expected, abs=1e-6)
        assert math.exp(scores[place - 1]) == pytest.approx(expected[words[place]], abs=1e-6)
        decoder.extend(np.array([words[place]])[:, None])


def test_what_never_followed_has_probability_zero(make_store: Callable[..., TokenStore]) -> None:
    store = make_store([[1, 2]], vocabulary=V)
    text = [np.array([1, 1, 0])]
    assert np.isneginf(estimate(MarkovConfig(), store).log_probs(text)[0]).tolist() == [False, True, True]
    assert np.isfinite(estimate(MarkovConfig(alpha=1.0), store).log_probs(text)[0]).all()


def test_save_and_load_are_exact(make_store: Callable[..., TokenStore], tmp_path: Path) -> None:
    config = MarkovConfig(order=2, alpha=0.1)
    model = estimate(config, make_store([[1, 2, 3], [1, 2, 4]], vocabulary=V))
    model.save(tmp_path)
    loaded = load(tmp_path, config, Vocabulary(V, 0))
    text = [np.array([1, 2, 3, 0]), np.array([4, 4, 0]), np.array([], np.uint32)]
    for one, other in zip(model.log_probs(text), loaded.log_probs(text), strict=True):
        assert np.array_equal(one, other)
    assert loaded.size() == model.size()
