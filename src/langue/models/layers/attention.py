"""Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1) under a mask."""

import torch
import torch.nn.functional as F

from langue.models.layers.device import explicit_attention


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    dropout: float = 0.0,
) -> torch.Tensor:
    """softmax(q kᵀ / √D) v.

    Args:
        query: `(B, H, T, D)`; key and value: `(B, H, S, D)`.
        mask: `(B, 1, T, S)`, true where a position may look; None: all may look everywhere.
        dropout: share of the weights set to zero.

    Returns:
        `(B, H, T, D)`
    """
    if mask is None or not explicit_attention(query):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    weights = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)  # (B, H, T, S)
    weights = F.softmax(weights.masked_fill(~mask, float("-inf")), dim=-1, dtype=query.dtype)
    return F.dropout(weights, dropout, training=dropout > 0) @ value


def packed_mask(segments: torch.Tensor) -> torch.Tensor:
    """Causal, and within one document: `(B, T)` numbers of documents → `(B, 1, T, T)`."""
    T = segments.shape[1]
    causal = torch.ones(T, T, dtype=torch.bool, device=segments.device).tril()
    return ((segments[:, :, None] == segments[:, None, :]) & causal)[:, None]
