"""Buckets of distances by enumeration, and that attention by distance knows nothing else."""

import math

import pytest
import torch

from langue.nn.attention import attend
from langue.nn.relative import RelativeBias, buckets, distances


def by_hand(distance: int, count: int, longest: int) -> int:
    """The rule in words: half for each side; near ones alone; far ones by the logarithm."""
    half, exact = count // 2, count // 4
    far = abs(distance)
    if far < exact:
        within = far
    else:
        within = exact + int(math.log(far / exact) / math.log(longest / exact) * (half - exact) + 1e-6)
        within = min(within, half - 1)
    return within + (half if distance < 0 else 0)


@pytest.mark.parametrize(("count", "longest"), [(32, 128), (8, 16), (32, 512), (12, 100)])
def test_buckets_by_enumeration(count: int, longest: int) -> None:
    every = torch.arange(-2 * longest, 2 * longest + 1)
    found = buckets(every, count, longest).tolist()
    assert found == [by_hand(distance, count, longest) for distance in every.tolist()]
    left = [bucket for distance, bucket in zip(every.tolist(), found, strict=True) if distance >= 0]
    assert left == sorted(left)  # farther is never nearer
    assert set(found) == set(range(count)) - {count // 2}  # -0 is 0: that bucket stays empty
    assert left[: count // 4] == list(range(count // 4))  # near distances alone
    assert left[longest:] == [count // 2 - 1] * (longest + 1)  # all beyond together


def test_distances_count_to_the_left() -> None:
    assert distances(3, torch.device("cpu")).tolist() == [[0, -1, -2], [1, 0, -1], [2, 1, 0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_numbers_in_a_mask_are_added_to_the_scores(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 4, 5, 6) for _ in range(3))
    bias = RelativeBias(4, longest=16)
    torch.nn.init.normal_(bias.table.weight)
    mask = torch.rand(2, 1, 5, 5) > 0.3
    mask[..., 0] = True
    with torch.no_grad():
        found = attend(q.to(dtype), k.to(dtype), v.to(dtype), bias(5, mask)).float()
        scores = q @ k.transpose(-2, -1) / math.sqrt(6)
        for h, t, s in torch.cartesian_prod(torch.arange(4), torch.arange(5), torch.arange(5)).tolist():
            scores[:, h, t, s] += bias.table.weight[by_hand(t - s, 32, 16), h]
        expected = scores.masked_fill(~mask, float("-inf")).softmax(-1) @ v
    close = {"atol": 1e-5, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 5e-2, "rtol": 5e-2}
    torch.testing.assert_close(found, expected, **close)
