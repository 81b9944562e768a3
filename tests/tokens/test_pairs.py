"""Batches of pairs: every pair once an epoch, cut and padded as they say."""

from pathlib import Path

import numpy as np
import pytest

from langue.tokens.pairs import PairBatch, PairBatches
from langue.tokens.store import Split, StoreWriter, TokenStore

EOS, SEP = 0, 9


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Pair k has k tokens in its source, and k % 3 in its target."""
    with StoreWriter(tmp_path, vocabulary_size=10, eos=EOS, sep=SEP) as writer:
        for name in ("train", "valid", "test"):
            for k in range(1, 40):
                writer.add(name, np.array([*[1 + k % 8] * k, SEP, *[2] * (k % 3)]), bytes=1, words=1)
        (tmp_path / "tokenizer.json").write_text("{}")
        writer.finish(tokenizer={"fingerprint": "none"}, normalization={})
    return TokenStore(tmp_path).split("train")


def batches(split: Split, longest: int = 50) -> PairBatches:
    return PairBatches(split, tokens=100, longest=longest, eos=EOS, sep=SEP, seed=1)


def lengths(batch: PairBatch) -> list[int]:
    return [int(length) - 2 for length in batch.source_lengths]


def test_an_epoch_has_every_pair_once_and_another_order_each(split: Split) -> None:
    source = batches(split)
    assert source.rows == 4 and source.per_epoch == 9
    epochs = [[lengths(source.batch(epoch * 9 + number)) for number in range(9)] for epoch in range(2)]
    for epoch in epochs:
        drawn = [length for batch in epoch for length in batch]
        assert len(set(drawn)) == len(drawn) == 36  # the last three do not fill a batch
    assert epochs[0] != epochs[1]
    assert [lengths(batches(split).batch(number)) for number in range(9)] == epochs[0]
    assert max(max(batch) - min(batch) for batch in epochs[0]) < 12  # pairs of nearly one length


def test_a_batch_spells_its_pairs(split: Split) -> None:
    for batch in (batches(split).batch(3), batches(split).first(5)):
        for row in range(batch.rows):
            k = lengths(batch)[row]
            size = int(batch.source_lengths[row])
            assert batch.sources[row, :size].tolist() == [EOS, *[1 + k % 8] * k, SEP]
            assert not batch.sources[row, size:].any()
            target = [2] * (k % 3)
            end = int(batch.target_lengths[row])
            assert batch.targets[row, :end].tolist() == [*target, EOS]
            assert batch.inputs[row, :end].tolist() == [SEP, *target]
    assert batches(split).first(5).rows == 5


def test_the_beginning_of_a_long_one_is_shown(split: Split) -> None:
    batch = batches(split, longest=4).first(39)
    assert lengths(batch) == [min(k, 4) for k in range(1, 40)]
    assert {int(batch.sources[row, size - 1]) for row, size in enumerate(batch.source_lengths)} == {SEP}
