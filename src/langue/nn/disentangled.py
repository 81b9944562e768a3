"""Attention by content and by position, each with its own vectors (He et al. 2021, section 3.1).

A score is the sum of three: what a query's content asks of a key's content, what it asks of the key's
distance, and what the distance asks of the key's content. Letters: B batch, T time, H heads, D head
width, C channels, K the distance from which on all count as one.
"""

import torch
import torch.nn.functional as F
from torch import nn

from langue.nn.dropout import Dropout
from langue.nn.linear import Linear, linear
from langue.nn.mask import Mask, expanded
from langue.nn.relative import distances


def table_rows(T: int, K: int, device: torch.device) -> torch.Tensor:
    """δ(i, j) of equation 3, `(T, T)`: the row of the table for query i and key j, from 0 to 2 K - 1."""
    return (distances(T, device) + K).clamp(0, 2 * K - 1)


class DisentangledAttention(nn.Module):
    """Self-attention. `c_attn` makes q, k, v of content; `r_attn` makes q and k of distances."""

    def __init__(self, C: int, H: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.H = H
        self.dropout = Dropout(dropout)
        self.c_attn = Linear(C, 3 * C)
        self.r_attn = Linear(C, 2 * C)
        self.c_proj = Linear(C, C)

    def forward(
        self, x: torch.Tensor, mask: Mask, table: torch.Tensor, query: torch.Tensor | None = None
    ) -> torch.Tensor:
        """`(B, T, C)` to `(B, T, C)`.

        Args:
            table: a vector of each distance, `(2 K, C)`.
            query: what asks, where that is not x itself: `(B, T, C)`.
        """
        B, T, C = x.shape
        H, D = self.H, C // self.H
        if query is None:
            q, k, v = self.c_attn(x).chunk(3, -1)
        else:
            q = linear(query, self.c_attn.weight[:C], self.c_attn.bias[:C])
            k, v = linear(x, self.c_attn.weight[C:], self.c_attn.bias[C:]).chunk(2, -1)
        q, k, v = (part.view(B, T, H, D).transpose(1, 2) for part in (q, k, v))  # (B, H, T, D)
        r_q, r_k = (part.view(-1, H, D).transpose(0, 1) for part in self.r_attn(table).chunk(2, -1))

        delta = table_rows(T, len(table) // 2, x.device).expand(B, H, T, T)
        content_to_content = q @ k.transpose(-2, -1)  # (B, H, T, T)
        content_to_position = (q @ r_k.transpose(-2, -1)).gather(-1, delta)
        position_to_content = (k @ r_q.transpose(-2, -1)).gather(-1, delta).transpose(-2, -1)
        scores = (content_to_content + content_to_position + position_to_content) * (3 * D) ** -0.5
        mask = expanded(mask)
        assert not isinstance(mask, str)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        weights = F.softmax(scores, dim=-1, dtype=scores.dtype)
        y = self.dropout(weights) @ v
        return self.c_proj(y.transpose(1, 2).reshape(B, T, C))
