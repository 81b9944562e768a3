"""Attention that knows how far apart two positions are, and not where they stand.

    RelativeBias   a number for each head and distance, added to the scores (Raffel et al. 2020, section 2.1)

Near distances have a bucket each; farther ones share buckets that grow with the distance. Letters: T
time, H heads.
"""

import math

import torch
from torch import nn

from langue.nn.mask import Mask, expanded


def distances(T: int, device: torch.device) -> torch.Tensor:
    """How far each key lies behind each query, `(T, T)`: positive to the left."""
    positions = torch.arange(T, device=device)
    return positions[:, None] - positions


def buckets(distance: torch.Tensor, count: int, longest: int) -> torch.Tensor:
    """The bucket of each distance, from 0 to `count` - 1.

    Half of them for each direction. Of each half, half hold one distance, the others grow as powers up
    to `longest`, and the last holds all beyond (Raffel et al. 2020, released code).

    Args:
        count: a multiple of 4.
        longest: more than `count` / 4.
    """
    half, exact = count // 2, count // 4
    far = distance.abs()
    # Powers between exact and longest; below exact the logarithm is not used.
    grown = torch.log(far.clamp(min=exact) / exact) / math.log(longest / exact) * (half - exact)
    within = torch.where(far < exact, far, (exact + grown.long()).clamp(max=half - 1))
    return within + half * (distance < 0)


class RelativeBias(nn.Module):
    """Learned, one table for all layers."""

    def __init__(self, H: int, longest: int, count: int = 32) -> None:
        super().__init__()
        self.longest = longest
        self.table = nn.Embedding(count, H)

    def forward(self, T: int, mask: Mask) -> torch.Tensor:
        """What is added to the scores of `T` positions, `(1 or B, H, T, T)`: -∞ where the mask is false."""
        rows = buckets(distances(T, self.table.weight.device), self.table.num_embeddings, self.longest)
        bias: torch.Tensor = self.table(rows).permute(2, 0, 1)[None]  # (1, H, T, T)
        mask = expanded(mask)
        assert not isinstance(mask, str)
        return bias if mask is None else bias.masked_fill(~mask, float("-inf"))
