"""Attention against loops, rotary positions against complex numbers, grouped queries against copies."""

import math

import pytest
import torch

from langue.nn.attention import Attention, attend, packed_mask, rotate, rotation


def by_loops(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """The formula, a position at a time: `seen` is `(B, T, S)`."""
    found = torch.zeros_like(q)
    shared = q.shape[1] // k.shape[1]
    for b, h, t in torch.cartesian_prod(*map(torch.arange, q.shape[:3])).tolist():
        places = [s for s in range(k.shape[2]) if seen[b, t, s]]
        scores = [float(q[b, h, t] @ k[b, h // shared, s]) / math.sqrt(q.shape[-1]) for s in places]
        total = sum(map(math.exp, scores))
        for s, score in zip(places, scores, strict=True):
            found[b, h, t] += math.exp(score) / total * v[b, h // shared, s]
    return found


SEGMENTS = torch.tensor([[0, 0, 1, 1, 1], [2, 3, 3, 3, 4]])


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("rule", ["causal", "everything", "packed"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])  # the latter by explicit products
def test_attend_is_the_formula(groups: int, rule: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 4, 5, 6), torch.randn(2, groups, 5, 6), torch.randn(2, groups, 5, 6)
    causal = torch.ones(5, 5, dtype=torch.bool).tril().expand(2, 5, 5)
    same = SEGMENTS[:, :, None] == SEGMENTS[:, None, :]
    seen = {"causal": causal, "everything": torch.ones_like(causal), "packed": causal & same}[rule]
    mask = {"causal": "causal", "everything": None, "packed": packed_mask(SEGMENTS)}[rule]
    found = attend(q.to(dtype), k.to(dtype), v.to(dtype), mask)  # type: ignore[arg-type]
    close = {"atol": 1e-5, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 5e-2, "rtol": 5e-2}
    torch.testing.assert_close(found.float(), by_loops(q, k, v, seen), **close)


def test_rows_of_one_document_need_no_mask() -> None:
    assert packed_mask(torch.tensor([[3, 3, 3], [4, 4, 4]])) == "causal"
    assert packed_mask(torch.tensor([[3, 3, 3], [4, 4, 5]])) != "causal"


def test_rotary_positions_are_complex_multiplication() -> None:
    torch.manual_seed(0)
    x, positions = torch.randn(2, 3, 7, 8), torch.randint(0, 1000, (2, 7))
    pairs = torch.complex(x[..., :4], x[..., 4:])
    angles = positions[:, None, :, None] * 10_000.0 ** -(torch.arange(4) / 4)
    expected = pairs * torch.exp(1j * angles)
    found = rotate(x, rotation(positions, 8))
    torch.testing.assert_close(found, torch.cat([expected.real, expected.imag], -1), rtol=1e-4, atol=1e-4)


def test_rotary_scores_depend_on_distance_alone() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    scores = [
        (rotate(q, rotation(torch.tensor([i]), 8)) * rotate(k, rotation(torch.tensor([i - 3]), 8))).sum()
        for i in (3, 50, 200)
    ]
    torch.testing.assert_close(scores[1:], [scores[0]] * 2, rtol=1e-4, atol=1e-4)


def test_keys_read_before_are_seen() -> None:
    torch.manual_seed(0)
    layer = Attention(16, 4, 2, qk_norm=True).eval()
    x = torch.randn(1, 6, 16)
    turns = rotation(torch.arange(6), 4)
    whole = layer(x, "causal", turns)
    past: dict = {}
    pieces = [layer(x[:, :4], "causal", rotation(torch.arange(4), 4), past)]
    pieces += [layer(x[:, t : t + 1], None, rotation(torch.tensor([t]), 4), past) for t in (4, 5)]
    torch.testing.assert_close(torch.cat(pieces, 1), whole)
