"""Attention against loops, in both of its forms; grouped queries; keys and values kept."""

import math

import pytest
import torch

from langue.nn import attention
from langue.nn.attention import Attention, attend
from langue.nn.cache import Cache, Past
from langue.nn.mask import packed_mask
from langue.nn.rope import rope_angles


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


@pytest.mark.parametrize("rule", ["causal", "everything", "packed", "added"])
def test_the_formula_and_torchs_kernel_agree_in_value_and_gradient(
    monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    torch.manual_seed(0)
    given = [torch.randn(2, heads, 5, 6, requires_grad=True) for heads in (4, 2, 2)]
    added = torch.randn(1, 4, 5, 5)
    mask = {"causal": "causal", "everything": None, "packed": packed_mask(SEGMENTS), "added": added}[rule]
    into = torch.randn(2, 4, 5, 6)
    results = []
    for explicit in (True, False):
        monkeypatch.setattr(attention, "use_explicit_attention", lambda q, explicit=explicit: explicit)
        y = attend(*given, mask)  # type: ignore[arg-type]
        results.append((y, *torch.autograd.grad(y, given, into)))
    torch.testing.assert_close(*results)


def test_rows_of_one_document_need_no_mask() -> None:
    assert packed_mask(torch.tensor([[3, 3, 3], [4, 4, 4]])) == "causal"
    assert packed_mask(torch.tensor([[3, 3, 3], [4, 4, 5]])) != "causal"


def test_keys_read_before_are_seen() -> None:
    torch.manual_seed(0)
    layer = Attention(16, 4, 2, qk_norm=1e-6).eval()
    x = torch.randn(1, 6, 16)
    rope = rope_angles(torch.arange(6), 4)
    whole = layer(x, "causal", rope)
    cache = Cache(6)
    cache.add(1)
    pieces = []
    for begin, end in ((0, 4), (4, 5), (5, 6)):
        past = Past(cache, [0], [begin], end - begin, torch.device("cpu"))
        pieces.append(layer(x[:, begin:end], past.mask, rope_angles(torch.arange(begin, end), 4), past))
    torch.testing.assert_close(torch.cat(pieces, 1), whole)
