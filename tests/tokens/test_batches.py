"""Batches: every token once an epoch, rows that continue, and no work beyond what a batch holds."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langue.tokens.batch import Batch
from langue.tokens.batches import Batches, StreamBatches, WholeDocuments, permute
from langue.tokens.store import Split

EOS = 0


def split_of(documents: Sequence[Sequence[int]]) -> Split:
    """A split in memory; each document is closed by `<eos>`."""
    closed = [[*ids, EOS] for ids in documents]
    offsets = np.cumsum([0, *map(len, closed)]).astype(np.uint64)
    sizes = np.diff(offsets).astype(np.uint64)
    return Split("train", np.concatenate(closed).astype(np.uint16), offsets, sizes, sizes)


def numbered(documents: int, length: int) -> Split:
    """Documents whose tokens are all different, so that a token tells its place."""
    ids = iter(range(1, 60_000))
    return split_of([[next(ids) for _ in range(length)] for _ in range(documents)])


@given(total=st.integers(1, 3000), key=st.integers(0, 2**64 - 1))
def test_shuffled_is_a_permutation(total: int, key: int) -> None:
    assert sorted(permute(np.arange(total), total, key)) == list(range(total))


def test_shuffled_depends_on_the_key_and_not_on_who_asks() -> None:
    everything = permute(np.arange(1000), 1000, 7)
    assert np.array_equal(permute(np.array([3, 999]), 1000, 7), everything[[3, 999]])
    assert (everything != permute(np.arange(1000), 1000, 8)).mean() > 0.98
    assert abs(np.corrcoef(everything[:-1], everything[1:])[0, 1]) < 0.1


def test_an_epoch_shows_each_row_once_and_the_next_in_another_order() -> None:
    batches = Batches(numbered(1, 997), rows=4, context=10, eos=EOS, seed=1)
    epochs = [
        np.concatenate([batches.batch(epoch * batches.per_epoch + k).targets for k in range(24)])
        for epoch in (0, 1)
    ]
    for rows in epochs:
        seen = rows[rows > 0]
        assert len(set(seen.tolist())) == len(seen)
    assert not np.array_equal(*epochs)


def test_a_batch_is_a_function_of_its_number_alone() -> None:
    split = numbered(40, 50)
    one, other = (Batches(split, rows=3, context=16, eos=EOS, seed=5) for _ in range(2))
    for number in (30, 2, 200):
        for part, same in zip(one.batch(number), other.batch(number), strict=True):
            assert np.array_equal(part, same)


@given(
    lengths=st.lists(st.integers(0, 20), min_size=1, max_size=30),
    rows=st.integers(1, 5),
    context=st.integers(1, 17),
    number=st.integers(0, 40),
)
def test_every_position_tells_what_it_is(lengths: list[int], rows: int, context: int, number: int) -> None:
    ids = iter(range(1, 10_000))
    split = split_of([[next(ids) for _ in range(length)] for length in lengths])
    packed = Batches(split, rows=rows, context=context, eos=EOS, seed=0)
    streams = StreamBatches(split, rows=rows, context=context, eos=EOS)
    for source in (packed, streams):
        batch = source.batch(number)
        assert batch.targets_count == batch.rows * source.context
        for read, target, position, segment in zip(*(part.ravel() for part in batch), strict=True):
            document = [EOS, *split.document(segment)]
            if target != EOS:
                place = document.index(target, 1)
                assert document[place - 1] == read
                if source is streams:
                    assert position == place - 1
            elif len(document) == 2:
                assert read == EOS and position == 0


@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=20), rows=st.integers(1, 4), k=st.integers(0, 50)
)
def test_streams_continue_for_ever(lengths: list[int], rows: int, k: int) -> None:
    ids = iter(range(1, 10_000))
    split = split_of([[next(ids) for _ in range(length)] for length in lengths])
    streams = StreamBatches(split, rows=rows, context=4, eos=EOS)
    now, then = streams.batch(k), streams.batch(k + 1)
    for row in range(now.rows):
        if then.positions[row, 0] > 0:
            assert then.inputs[row, 0] == now.targets[row, -1]
            assert then.segments[row, 0] == now.segments[row, -1]
            assert then.positions[row, 0] == now.positions[row, -1] + 1
        else:
            assert then.inputs[row, 0] == EOS


@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=40), number=st.integers(0, 30))
def test_whole_documents_begin_their_rows(lengths: list[int], number: int) -> None:
    ids = iter(range(1, 10_000))
    split = split_of([[next(ids) for _ in range(length)] for length in lengths])
    source = WholeDocuments(split, rows=3, context=12, eos=EOS, seed=0)
    batch = source.batch(number)
    for inputs, targets, segments in zip(batch.inputs, batch.targets, batch.segments, strict=True):
        assert inputs[0] == EOS
        assert targets[0] == split.document(segments[0])[0]


def test_whole_documents_show_every_document_whole_in_most_epochs() -> None:
    split = numbered(60, 5)
    source = WholeDocuments(split, rows=4, context=24, eos=EOS, seed=0)
    whole: set[int] = set()
    for number in range(6 * source.per_epoch):
        batch = source.batch(number)
        whole |= {int(batch.segments[place]) for place in zip(*np.where(batch.targets == EOS), strict=True)}
    assert whole >= set(range(59))  # the last needs luck: its row must begin with it


def test_cutting_and_first() -> None:
    split = numbered(5, 100)
    for source in (
        Batches(split, rows=6, context=8, eos=EOS, seed=0),
        StreamBatches(split, rows=6, context=8, eos=EOS),
    ):
        batch = source.batch(3)
        pieces = [batch.cut(0, 4), batch.cut(4, 6)]
        for part, *halves in zip(batch, *pieces, strict=True):
            assert np.array_equal(part, np.concatenate(halves))
        assert [piece.rows for piece in pieces] == [4, 2]
        assert np.array_equal(source.first(10).targets, source.first(10).targets)
        assert source.first(10).targets_count == 80


def test_a_store_smaller_than_a_row_makes_shorter_rows() -> None:
    batch: Batch = Batches(split_of([[1, 2]]), rows=4, context=64, eos=EOS, seed=0).batch(9)
    assert batch.targets.tolist() == [[1, 2, EOS]]
    assert batch.inputs.tolist() == [[EOS, 1, 2]]


@pytest.mark.parametrize("kind", ["packed", "stream"])
def test_memory_does_not_grow_with_the_store(
    kind: str, memory_of: Callable[..., int], tmp_path: Path
) -> None:
    """A store of 400 MB and 4 million documents: a batch must copy neither tokens nor offsets."""
    tokens, documents = 200_000_000, 4_000_000
    with (tmp_path / "tokens").open("wb") as file:
        file.truncate(2 * tokens)  # sparse: zeros that take no disk
    offsets = np.memmap(tmp_path / "offsets", np.uint64, "w+", shape=(documents + 1,))
    step = tokens // documents
    for begin in range(0, documents + 1, 1_000_000):
        offsets[begin : begin + 1_000_000] = np.arange(begin, min(begin + 1_000_000, documents + 1)) * step
    stream = np.memmap(tmp_path / "tokens", np.uint16, "r")
    split = Split("train", stream, offsets, offsets, offsets)

    def make() -> None:
        source = (
            Batches(split, rows=64, context=512, eos=EOS, seed=0)
            if kind == "packed"
            else StreamBatches(split, rows=64, context=512, eos=EOS)
        )
        for number in (0, 10_000, 1_000_000):
            source.batch(number)

    assert memory_of(make) < 16e6
