"""The suffix array against sorting, and the unbounded n-gram against searching by hand."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.executors import Stopping, left_over

import langue
from langue.base import executors
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
@given(
    corpus=CORPUS,
    text=st.lists(st.integers(0, 4), max_size=8),
    alpha=st.sampled_from([0.0, 0.5]),
    shard=st.sampled_from([1, 12, 1000]),
)
def test_equals_searching_by_hand(
    make_store: Callable[..., TokenStore], corpus: list[list[int]], text: list[int], alpha: float, shard: int
) -> None:
    model = estimate(InfiniGramConfig(alpha=alpha, shard=shard), make_store(corpus, vocabulary=V))
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


@pytest.mark.parametrize(("shard", "shards"), [(1, 4), (7, 2), (1000, 1)])
def test_keeps_its_documents(make_store: Callable[..., TokenStore], shard: int, shards: int) -> None:
    documents = [[1, 2, 1, 2], [3], [2, 1, 2], []]
    model = estimate(InfiniGramConfig(shard=shard), make_store(documents, vocabulary=V))
    assert len(model.shards) == shards
    assert [ids.tolist() for ids in model.documents()] == documents
    explained = model.explain(np.array([3, 1]), 2)
    assert (explained.length, explained.count, explained.total) == (1, 3, 3)
    shown = {(passage.document, passage.offset) for passage in explained.passages}
    assert shown == {(0, 0), (0, 2), (2, 1)}


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


@pytest.mark.parametrize("shard", [1, 1000])
def test_save_and_load_are_exact(make_store: Callable[..., TokenStore], tmp_path: Path, shard: int) -> None:
    config = InfiniGramConfig(alpha=0.1, shard=shard)
    model = estimate(config, make_store([[1, 2, 3], [1, 2, 2]], vocabulary=V))
    model.save(tmp_path)
    loaded = load(tmp_path, config, Vocabulary(V, 0))
    text = [np.array([1, 2, 3, 0]), np.array([3, 3, 0]), np.array([], np.uint32)]
    for one, other in zip(model.log_probs(text), loaded.log_probs(text), strict=True):
        assert np.array_equal(one, other)
    assert loaded.size() == model.size()


def test_stages_make_the_same_files(
    make_store: Callable[..., TokenStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(3)
    documents = [generator.integers(1, V, size).tolist() for size in generator.integers(0, 60, 40)]
    store = make_store(documents, vocabulary=V)
    given: Any = {"shard": 200}
    langue.train("infinigram", store.path, tmp_path / "one", **given)
    first, second = Stopping("sorting suffixes"), Stopping()
    running = iter([first, second])
    monkeypatch.setattr(executors, "make_executor", lambda *_: next(running))
    with pytest.raises(langue.Interrupted, match="the same command goes on from there"):
        langue.train("infinigram", store.path, tmp_path / "staged", workers=2, **given)
    langue.train("infinigram", store.path, tmp_path / "staged", workers=2, **given)
    assert (len(first.done), len(second.done)) == (1, 6)
    for file in (tmp_path / "one").glob("*.npy"):
        assert (tmp_path / "staged" / file.name).read_bytes() == file.read_bytes()
    assert len(list((tmp_path / "staged").glob("*.npy"))) == 14
    assert not left_over(tmp_path)


def test_ray_sorts_the_same(make_store: Callable[..., TokenStore], tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: make ray")
    store = make_store([[1, 2, 3, 1, 2]] * 20, vocabulary=V)
    given: Any = {"shard": 30}
    langue.train("infinigram", store.path, tmp_path / "one", **given)
    langue.train("infinigram", store.path, tmp_path / "ray", on="ray", workers=2, scratch=tmp_path, **given)
    for file in (tmp_path / "one").glob("*.npy"):
        assert (tmp_path / "ray" / file.name).read_bytes() == file.read_bytes()
