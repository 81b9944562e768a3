"""Attention (Vaswani et al. 2017, section 3.2): one module, a rule of who sees whom, a rule of places.

Who sees whom is a `Mask`. Places are either added to what is read (the family does that), or turn
queries and keys (`rotation`). Letters: B batch, T time, S time of the keys, H heads, G heads of keys
and values, D head width, C channels.
"""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from langue.nn.dropout import drop
from langue.nn.fast.choices import explicit_attention

# True where a position may look, `(B, 1, T, S)`; "causal": at itself and before; None: everywhere.
# Numbers instead, `(B, H, T, S)`, are added to the scores: -∞ where it may not look.
Mask = torch.Tensor | Literal["causal"] | None
Rotation = tuple[torch.Tensor, torch.Tensor]  # cosines and sines, `(B, 1, T, D / 2)` each
Past = dict[nn.Module, tuple[torch.Tensor, torch.Tensor]]  # keys and values read before, by module


class Attention(nn.Module):
    """Self-attention. Weights have the names of GPT-2's: `c_attn` makes q, k, v; `c_proj` mixes heads.

    Args:
        G: heads of keys and values, each shared by H / G heads of queries (Ainslie et al. 2023).
        qk_norm: queries and keys are given length √D and a gain (Henry et al. 2020).
        dropout: share of the attention weights set to zero while training.
    """

    def __init__(self, C: int, H: int, G: int, *, dropout: float = 0.0, qk_norm: bool = False) -> None:
        super().__init__()
        D = C // H
        self.heads = (H, G, G)
        self.dropout = dropout
        self.c_attn = nn.Linear(C, (H + 2 * G) * D)
        self.c_proj = nn.Linear(C, C)
        self.norms = nn.ModuleList(nn.RMSNorm(D) for _ in range(2 if qk_norm else 0))

    def forward(
        self,
        x: torch.Tensor,
        mask: Mask,
        rotation: Rotation | None = None,
        past: Past | None = None,
        query: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """`(B, T, C)` to `(B, T, C)`; what is read is added to `past`, which is seen too.

        Args:
            query: what asks, where that is not x itself: `(B, M, C)`, with as many rows of the mask.
        """
        B, _, C = x.shape
        D = C // self.heads[0]
        if query is None:
            parts = self.c_attn(x).split([heads * D for heads in self.heads], -1)
        else:
            weight, bias = self.c_attn.weight, self.c_attn.bias
            keys = F.linear(x, weight[C:], bias[C:]).chunk(2, -1)
            parts = F.linear(query, weight[:C], bias[:C]), *keys
        q, k, v = (part.view(B, part.shape[1], -1, D).transpose(1, 2) for part in parts)  # (B, H or G, T, D)
        if self.norms:
            # In float32, as its gains are: of two types torch has no kernel, and says so.
            q, k = self.norms[0](q.float()).to(v.dtype), self.norms[1](k.float()).to(v.dtype)
        if rotation:
            q, k = rotate(q, rotation), rotate(k, rotation)
        if past is not None:
            if self in past:
                k, v = (torch.cat(both, 2) for both in zip(past[self], (k, v), strict=True))
            past[self] = k, v
        y = attend(q, k, v, mask, self.dropout if self.training else 0.0)  # (B, H, T, D)
        return self.c_proj(y.transpose(1, 2).reshape(B, -1, C))  # type: ignore[no-any-return]


class GatheredPositions(NamedTuple):
    """Places of a batch at which alone a last layer is worth computing: N of all, at most M in a row."""

    slots: torch.Tensor  # (B, M), rows with fewer filled up with 0
    order: torch.Tensor  # (N,): where each place is in (B M,)

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        """Of `(B, T, C)`, what stands at the places: `(B, M, C)`."""
        return torch.take_along_dim(x, self.slots[..., None], 1)

    def rows_of_mask(self, mask: Mask) -> Mask:
        """Who sees whom, `(B, H, M, S)`, of who asks at the places."""
        assert not isinstance(mask, str)
        return mask if mask is None else torch.take_along_dim(mask, self.slots[:, None, :, None], 2)

    def flat(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, M, C)` as `(N, C)`, in the order of the places."""
        return x.flatten(0, 1)[self.order]


def gather_positions(places: torch.Tensor, x: torch.Tensor) -> GatheredPositions:
    """Places `(N,)` of the `(B T,)` of x, row by row; they are on the CPU, so that no GPU is waited for."""
    B, T, _ = x.shape
    rows, slots = places // T, places % T
    by_row = rows.argsort(stable=True)
    counts = rows.bincount(minlength=B)
    M = max(int(counts.max()), 1)
    column = torch.empty_like(places)
    column[by_row] = torch.arange(len(places)) - (counts.cumsum(0) - counts)[rows[by_row]]
    order = rows * M + column
    filled = torch.zeros(B * M, dtype=torch.int64)
    filled[order] = slots
    return GatheredPositions(filled.view(B, M).to(x.device), order.to(x.device))


def attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: Mask, dropout: float = 0.0
) -> torch.Tensor:
    """softmax(q kᵀ / √D) v.

    Args:
        q: `(B, H, T, D)`; k and v: `(B, G, S, D)`, where G divides H.
        mask: "causal" only where T = S.
        dropout: share of the weights set to zero.

    Returns:
        `(B, H, T, D)`
    """
    shared = q.shape[1] // k.shape[1]
    if shared > 1:
        k, v = k.repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
    if not explicit_attention(q):
        causal = isinstance(mask, str)
        given = None if isinstance(mask, str) else mask
        if given is not None and given.dtype != torch.bool:
            given = given.to(q.dtype)
        return F.scaled_dot_product_attention(q, k, v, given, dropout_p=dropout, is_causal=causal)
    if isinstance(mask, str):
        mask = causal_mask(q.shape[2], q.device)
    weights = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)  # (B, H, T, S)
    if mask is not None:
        if mask.dtype == torch.bool:  # added once for all heads: half the time of filling each
            mask = torch.zeros_like(mask, dtype=q.dtype).masked_fill_(~mask, float("-inf"))
        weights = weights + mask
    weights = F.softmax(weights, dim=-1, dtype=q.dtype)
    return drop(weights, dropout) @ v


def causal_mask(T: int, device: torch.device) -> torch.Tensor:
    """`(T, T)`: a position sees itself and those before."""
    return torch.ones(T, T, dtype=torch.bool, device=device).tril()


def packed_mask(segments: torch.Tensor) -> Mask:
    """Causal, and within one document: `(B, T)` numbers of documents → `(B, 1, T, T)`."""
    if bool((segments[:, :1] == segments[:, -1:]).all()):
        return "causal"  # each row lies in one document; kernels know this rule
    return (segments[:, :, None] == segments[:, None, :]).logical_and_(
        causal_mask(segments.shape[1], segments.device)
    )[:, None]


def document_mask(segments: torch.Tensor) -> Mask:
    """In both directions, within one document: `(B, T)` numbers of documents → `(B, 1, T, T)`."""
    if bool((segments == segments[:, :1]).all()):
        return None
    return (segments[:, :, None] == segments[:, None, :])[:, None]


def rotation(positions: torch.Tensor, D: int, base: float = 10_000.0) -> Rotation:
    """Angles of rotary positions (Su et al. 2021, section 3.2.2), from `(T,)` or `(B, T)` positions."""
    frequencies = base ** -torch.arange(0, 1, 2 / D, device=positions.device)  # (D / 2,)
    angles = (positions[..., None] * frequencies).unsqueeze(-3)  # ([B,] 1, T, D / 2)
    return angles.cos(), angles.sin()


def rotate(x: torch.Tensor, rotation: Rotation) -> torch.Tensor:
    """Turn pair i of a head, channels i and i + D / 2, by the angle of its position."""
    cos, sin = (part.to(x.dtype) for part in rotation)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
