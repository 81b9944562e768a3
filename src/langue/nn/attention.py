"""Attention (Vaswani et al. 2017, section 3.2), causal or under any mask.

Positions are either added to what is read (a family does that), or turn queries and keys (`rope`).
Letters: B batch, T time, S time of the keys, H heads, G heads of keys and values, D head width, C channels.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from langue.nn.cache import Past
from langue.nn.dropout import drop
from langue.nn.fast.choices import use_compiled_attention, use_explicit_attention
from langue.nn.linear import Linear
from langue.nn.mask import Mask, causal_mask, expanded, spans_of
from langue.nn.rope import Rope, rotate


class Attention(nn.Module):
    """Self-attention. Weights have the names of GPT-2's: `c_attn` makes q, k, v; `c_proj` mixes heads.

    Args:
        G: heads of keys and values, each shared by H / G heads of queries (Ainslie et al. 2023).
        qk_norm: epsilon of the norm that gives queries and keys length √D and a gain (Henry et al. 2020).
        dropout: of the attention weights, while training.
    """

    def __init__(
        self, C: int, H: int, G: int, *, bias: bool = True, dropout: float = 0.0, qk_norm: float | None = None
    ) -> None:
        super().__init__()
        self.D = D = C // H
        self.sizes = [C, G * D, G * D]  # of q, k, v
        self.dropout = dropout
        self.c_attn = Linear(C, sum(self.sizes), bias)
        self.c_proj = Linear(C, C, bias)
        self.norms = nn.ModuleList(nn.RMSNorm(D, qk_norm) for _ in range(0 if qk_norm is None else 2))

    def forward(self, x: Tensor, mask: Mask, rope: Rope | None = None, past: Past | None = None) -> Tensor:
        """`(B, T, C)` to `(B, T, C)`; keys and values are added to `past`, which is seen too."""
        q, k, v = self.c_attn(x).split(self.sizes, -1)
        return self.mix(q, k, v, mask, rope, past)

    def mix(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, rope: Rope | None = None, past: Past | None = None
    ) -> Tensor:
        """Queries `(B, T, C)`, keys and values `(B, S, G D)` to `(B, T, C)`."""
        q, k, v = (x.view(*x.shape[:2], -1, self.D).transpose(1, 2) for x in (q, k, v))  # (B, ·, ·, D)
        if self.norms:
            # In float32, as its gains are: of two types torch has no kernel, and says so.
            q, k = self.norms[0](q.float()).to(v.dtype), self.norms[1](k.float()).to(v.dtype)
        if rope is not None:
            q, k = rotate(q, rope), rotate(k, rope)
        if past is not None:
            k, v = past.extend(self, k, v)
        y = attend(q, k, v, mask, self.dropout if self.training else 0.0)  # (B, H, T, D)
        return self.c_proj(y.transpose(1, 2).flatten(2))


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Mask, dropout: float = 0.0) -> Tensor:
    """softmax(q kᵀ / √D) v, `(B, H, T, D)` as q is; k and v are `(B, G, S, D)`, where G divides H.
    The mask is "causal" only where T = S."""
    if not isinstance(mask, Tensor) and use_compiled_attention(q, k, dropout):
        from langue.nn.fast.attention import CompiledAttention  # numba, which bfloat16 and a GPU do without

        spans = spans_of(mask, q, k.shape[2])
        return CompiledAttention.of(q, k, v, spans.begins, spans.ends)
    mask = expanded(mask)
    if k.shape[1] < q.shape[1]:
        k, v = (part.repeat_interleave(q.shape[1] // k.shape[1], 1) for part in (k, v))
    if use_explicit_attention(q):
        return _attend(q, k, v, mask, dropout)
    if isinstance(mask, str):
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(q.dtype)
    return F.scaled_dot_product_attention(q, k, v, mask, dropout_p=dropout)


def _attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | Literal["causal"] | None, dropout: float
) -> Tensor:
    """The formula; each query has a head of keys."""
    if isinstance(mask, str):
        mask = causal_mask(q.shape[2], q.device)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)  # (B, H, T, S)
    if mask is not None:
        if mask.dtype == torch.bool:  # added once for all heads: half the time of filling each
            mask = torch.zeros_like(mask, dtype=q.dtype).masked_fill_(~mask, float("-inf"))
        scores = scores + mask
    return drop(F.softmax(scores, dim=-1, dtype=q.dtype), dropout) @ v
