"""The suffix array against sorting, and the unbounded n-gram against searching by hand."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langue.models.counts.infinigram import InfiniGramConfig, estimate, load
from langue.models.counts.suffix_array import matching_statistics, suffix_array
from langue.protocols import Vocabulary
from langue.tokens.store import TokenStore

V = 5
CORPUS = st.lists(st.lists(st.integers(1, 3), max_size=12), min_size=1, max_size=8)


@given(stream=st.lists(st.integers(0, 3), min_size=1, max_size=60), repeat=st.integers(1, 4))
def test_the_suffix_array_is_sorting(stream: list[int], repeat: int) -> None:
    tokens = stream * repeat
    expected = sorted(range(len(tokens)), key=lambda place: tokens[place:])
    assert suffix_array(np.array(tokens, np.uint32)).tolist() == expected


def test_one_token_repeated_is_sorted_in_a_moment() -> None:
    assert suffix_array(np.zeros(100_000, np.uint32)).tolist() == list(range(99_999, -1, -1))


def by_hand(corpus: list[list[int]], context: list[int], alpha: float) -> list[float]:
    """The distribution after a context, by looking at every place of every document."""
    documents = [[V, *document, 0] for document in corpus]
    for begin in range(len(context) + 1):
        end = context[begin:]
        counts = [0] * V
        for document in documents:
            for place in range(len(document) - len(end)):
                if document[place : place + len(end)] == end and document[place + len(end)] != V:
                    counts[document[place + len(end)]] += 1
        if sum(counts):
            return [(count + alpha) / (sum(counts) + alpha * V) for count in counts]
    raise AssertionError("every corpus has an end of document")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corpus=CORPUS, text=st.lists(st.integers(0, 4), max_size=8), alpha=st.sampled_from([0.0, 0.5]))
def test_equals_searching_by_hand(
    make_store: Callable[..., TokenStore], corpus: list[list[int]], text: list[int], alpha: float
) -> None:
    model = estimate(InfiniGramConfig(alpha=alpha), make_store(corpus, vocabulary=V))
    scores = model.log_probs([np.array([*text, 0])])[0]
    rows = model.next_log_probs([np.array(text[:place], np.uint32) for place in range(len(text) + 1)])
    decoder = model.decoder([np.array([], np.uint32)])
    for place, word in enumerate([*text, 0]):
        expected = by_hand(corpus, [V, *text[:place]], alpha)
        assert sum(expected) == pytest.approx(1)
        assert np.exp(rows[place]) == pytest.approx(expected, abs=1e-6)
        assert np.exp(decoder.log_probs()[0]) == pytest.approx(expected, abs=1e-6)
        assert math.exp(scores[place]) == pytest.approx(expected[word], abs=1e-6)
        decoder.extend(np.array([word])[:, None])


def test_keeps_its_documents(make_store: Callable[..., TokenStore]) -> None:
    documents = [[1, 2, 1, 2], [3], [2, 1, 2]]
    model = estimate(InfiniGramConfig(), make_store(documents, vocabulary=V))
    assert [ids.tolist() for ids in model.documents()] == documents


@settings(max_examples=100)
@given(st.lists(st.integers(0, 2), max_size=30), st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_matching_statistics_are_those_of_trying_every_place(before: list[int], text: list[int]) -> None:
    between = 3  # in no text
    stream = np.array([*before, between, *text], np.uint32)
    lengths, positions = matching_statistics(stream, len(before) + 1)

    def occurs(piece: list[int]) -> bool:
        return any(before[begin : begin + len(piece)] == piece for begin in range(len(before)))

    for begin in range(len(text)):
        most = max(
            size for size in range(len(text) - begin + 1) if size == 0 or occurs(text[begin : begin + size])
        )
        assert lengths[begin] == most
        if most:
            here = positions[begin]
            assert stream[here : here + most].tolist() == text[begin : begin + most]


def test_save_and_load_are_exact(make_store: Callable[..., TokenStore], tmp_path: Path) -> None:
    config = InfiniGramConfig(alpha=0.1)
    model = estimate(config, make_store([[1, 2, 3], [1, 2, 2]], vocabulary=V))
    model.save(tmp_path)
    loaded = load(tmp_path, config, Vocabulary(V, 0))
    text = [np.array([1, 2, 3, 0]), np.array([3, 3, 0]), np.array([], np.uint32)]
    for one, other in zip(model.log_probs(text), loaded.log_probs(text), strict=True):
        assert np.array_equal(one, other)
    assert loaded.size() == model.size()
