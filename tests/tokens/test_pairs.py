"""Pairs: padded, cut, and every one once an epoch."""

import numpy as np
import pytest

from langue.tokens.pairs import Pair, PairBatches, Pairs

PAIRS: list[Pair] = [(np.arange(1, 1 + n % 5), np.append(np.arange(1, 2 + n % 3), 0)) for n in range(20)]
PAIRS = [(source, np.append(target, n)) for n, (source, target) in enumerate(PAIRS)]  # tells them apart


def test_padding_is_no_target() -> None:
    batch = Pairs.of([(np.array([1, 2]), np.array([5, 0])), (np.array([3]), np.array([6, 7, 0]))])
    assert batch.sources.tolist() == [[1, 2], [3, -1]]
    assert batch.targets.tolist() == [[5, 0, -1], [6, 7, 0]]
    assert batch.targets_count == 5
    assert batch.cut(0, 1).targets_count == 2


@pytest.mark.parametrize("epoch", [0, 3])
def test_an_epoch_is_every_pair_once(epoch: int) -> None:
    source = PairBatches(PAIRS, rows=4, seed=1)
    names = []
    for number in range(epoch * source.per_epoch, (epoch + 1) * source.per_epoch):
        batch = source.batch(number)
        assert batch.rows == 4
        names += [row[row != -1][-1] for row in batch.targets]
        for part, again in zip(batch, source.batch(number), strict=True):
            assert np.array_equal(part, again)
    assert sorted(names) == list(range(20))


def test_like_lengths_stand_together() -> None:
    source = PairBatches(PAIRS, rows=4, seed=1)
    padded = sum(np.count_nonzero(part == -1) for k in range(5) for part in source.batch(k))
    anyhow = sum(
        np.count_nonzero(part == -1) for k in range(5) for part in Pairs.of(PAIRS[4 * k : 4 * k + 4])
    )
    assert padded < anyhow
    assert source.first(3).rows == 3
