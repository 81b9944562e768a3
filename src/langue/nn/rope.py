"""Rotary positions (Su et al. 2021, section 3.2.2): queries and keys are turned by an angle that grows with
their position, so that a score depends on how far apart they are. Letters: B batch, T time, D head width.
"""

import torch
from torch import Tensor

Rope = tuple[Tensor, Tensor]  # cosines and sines, `([B,] 1, T, D / 2)` each


def rope_angles(positions: Tensor, D: int, base: float = 10_000.0) -> Rope:
    """Cosines and sines of the angles of positions, `(T,)` or `(B, T)`."""
    frequencies = base ** -torch.arange(0, 1, 2 / D, device=positions.device)  # (D / 2,)
    angles = (positions[..., None] * frequencies).unsqueeze(-3)  # ([B,] 1, T, D / 2)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rope: Rope) -> Tensor:
    """Turn pair i of a head, channels i and i + D / 2, by the angle of its position."""
    cos, sin = (part.to(x.dtype) for part in rope)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
