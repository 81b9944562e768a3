"""Disentangled attention against the formula of the paper, a score at a time."""

import math

import pytest
import torch

from langue.nn.disentangled import DisentangledAttention, table_rows

B, T, C, H, K = 2, 6, 12, 3, 4
D = C // H


def delta(i: int, j: int) -> int:
    """Equation 3."""
    if i - j <= -K:
        return 0
    if i - j >= K:
        return 2 * K - 1
    return i - j + K


def by_loops(
    module: DisentangledAttention,
    x: torch.Tensor,
    mask: torch.Tensor,
    table: torch.Tensor,
    query: torch.Tensor,
) -> torch.Tensor:
    """Equation 4, and the softmax over what may be seen."""
    w_q, w_k, w_v = module.c_attn.weight.chunk(3)
    b_q, b_k, b_v = module.c_attn.bias.chunk(3)
    u_q, u_k = module.r_attn.weight.chunk(2)
    a_q, a_k = module.r_attn.bias.chunk(2)
    made = torch.zeros(B, T, C)
    for b in range(B):
        for h in range(H):
            part = slice(h * D, (h + 1) * D)
            q = [(w_q @ query[b, i] + b_q)[part] for i in range(T)]
            k = [(w_k @ x[b, i] + b_k)[part] for i in range(T)]
            v = [(w_v @ x[b, i] + b_v)[part] for i in range(T)]
            r_q = [(u_q @ row + a_q)[part] for row in table]
            r_k = [(u_k @ row + a_k)[part] for row in table]
            for i in range(T):
                seen = [j for j in range(T) if mask[b, 0, i, j]]
                scores = [
                    float(q[i] @ k[j] + q[i] @ r_k[delta(i, j)] + k[j] @ r_q[delta(j, i)]) / math.sqrt(3 * D)
                    for j in seen
                ]
                total = sum(map(math.exp, scores))
                for j, score in zip(seen, scores, strict=True):
                    made[b, i, part] += math.exp(score) / total * v[j]
    return made @ module.c_proj.weight.T + module.c_proj.bias


@pytest.mark.parametrize("decoding", [False, True])
def test_is_the_formula(decoding: bool) -> None:
    torch.manual_seed(0)
    module = DisentangledAttention(C, H).eval()
    x, table = torch.randn(B, T, C), torch.randn(2 * K, C)
    query = torch.randn(B, T, C) if decoding else x
    mask = torch.rand(B, 1, T, T) > 0.3
    mask[..., 0] = True
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
        found = module(x, mask, table, query if decoding else None)
        torch.testing.assert_close(found, by_loops(module, x, mask, table, query), rtol=0, atol=1e-5)
        everything = torch.ones_like(mask)
        open_ = module(x, None, table, query if decoding else None)
        torch.testing.assert_close(open_, by_loops(module, x, everything, table, query), rtol=0, atol=1e-5)


def test_places_by_enumeration() -> None:
    found = table_rows(11, K, torch.device("cpu"))
    for i in range(11):
        for j in range(11):
            assert found[i, j] == delta(i, j)
    assert set(found.flatten().tolist()) == set(range(2 * K))
