"""What encoders do with attention: they see both sides, and their last layer is made only where it is used.

A masked language model predicts 15 % of its tokens: of the last layer, queries, the feed-forward part and all
that follows are computed at these positions, keys and values at all. Letters: B batch, T time, C channels,
N positions asked for, at most M in a row.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from langue.nn.attention import Attention
from langue.nn.linear import linear
from langue.nn.mask import Mask, Spans


class Gather(NamedTuple):
    """Where the positions asked for stand."""

    columns: Tensor  # (B, M) in each row of the batch, padded with 0
    order: Tensor  # (N,) and each of them in (B M,)


def gather(positions: Tensor, x: Tensor) -> Gather:
    """Positions `(N,)` of the `(B T,)` of x, row by row; on the CPU, so that no GPU is waited for."""
    B, T, _ = x.shape
    rows, columns = positions // T, positions % T
    by_row = rows.argsort(stable=True)
    counts = rows.bincount(minlength=B)
    M = max(int(counts.max()), 1)
    rank = torch.empty_like(positions)  # of a position within its row
    rank[by_row] = torch.arange(len(positions)) - (counts.cumsum(0) - counts)[rows[by_row]]
    order = rows * M + rank
    padded = torch.zeros(B * M, dtype=torch.int64)
    padded[order] = columns
    return Gather(padded.view(B, M).to(x.device), order.to(x.device))


def attend_at(attention: Attention, x: Tensor, mask: Mask, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Self-attention of `(B, T, C)` at positions of `(B T,)`: x and the output there, `(N, C)` each."""
    assert not isinstance(mask, str)
    columns, order = gather(positions, x)
    query = torch.take_along_dim(x, columns[..., None], 1)  # (B, M, C)
    if isinstance(mask, Spans):
        mask = mask.at(columns)
    elif mask is not None:
        mask = torch.take_along_dim(mask, columns[:, None, :, None], 2)  # (B, ·, M, T)
    C, weight, bias = x.shape[-1], attention.c_attn.weight, attention.c_attn.bias
    q, (k, v) = linear(query, weight[:C], bias[:C]), linear(x, weight[C:], bias[C:]).chunk(2, -1)
    y = attention.mix(q, k, v, mask)
    return query.flatten(0, 1)[order], y.flatten(0, 1)[order]
