"""Contexts of single tokens: right at the edges of documents, every token once an epoch."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from langue.tokens.contexts import ContextBatches, contexts_of
from langue.tokens.store import Split

EOS = 0


def split_of(documents: Sequence[Sequence[int]]) -> Split:
    closed = [[*ids, EOS] for ids in documents]
    offsets = np.cumsum([0, *map(len, closed)]).astype(np.uint64)
    sizes = np.diff(offsets).astype(np.uint64)
    return Split("train", np.concatenate(closed).astype(np.uint16), offsets, sizes, sizes)


@given(
    documents=st.lists(st.lists(st.integers(1, 9), max_size=12), min_size=1, max_size=8),
    rows=st.integers(1, 9),
    order=st.integers(1, 5),
    epoch=st.integers(0, 3),
)
def test_an_epoch_is_every_token_with_those_before_it(
    documents: list[list[int]], rows: int, order: int, epoch: int
) -> None:
    source = ContextBatches(split_of(documents), rows=rows, order=order, eos=EOS, seed=3)
    found = []
    for number in range(epoch * source.per_epoch, (epoch + 1) * source.per_epoch):
        batch = source.batch(number)
        assert batch.rows == batch.targets_count == source.rows
        found += [(*before, target) for before, target in zip(batch.before, batch.targets, strict=True)]
    expected = []
    for ids in documents:
        words = [EOS] * (order - 1) + [*ids, EOS]
        expected += [tuple(words[t : t + order]) for t in range(len(ids) + 1)]
    left_over = len(expected) - source.per_epoch * source.rows  # another few in each epoch
    for gram in found:
        expected.remove(gram)
    assert len(expected) == left_over


@given(ids=st.lists(st.integers(1, 9), max_size=6), order=st.integers(1, 5))
def test_contexts_of_a_document(ids: list[int], order: int) -> None:
    words = [EOS] * (order - 1) + ids
    expected = [words[t : t + order - 1] for t in range(len(ids) + 1)]
    assert contexts_of(np.array(ids, np.uint32), order, EOS).tolist() == expected


def test_cutting_and_first() -> None:
    source = ContextBatches(split_of([range(1, 50)]), rows=10, order=3, eos=EOS, seed=0)
    batch = source.batch(2)
    assert np.array_equal(np.concatenate([batch.cut(0, 3).before, batch.cut(3, 10).before]), batch.before)
    assert np.array_equal(source.first(7).targets, source.first(7).targets)
    assert source.first(7).rows == 7
