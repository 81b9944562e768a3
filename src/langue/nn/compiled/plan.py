"""What a family says of its network to have it compiled."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn


class Block(NamedTuple):
    """Modules of a layer: norms and linear layers."""

    ln_1: Any
    c_attn: Any
    c_proj: Any
    ln_2: Any
    up: Any  # of the MLP
    down: Any
    qk_norms: Sequence[Any]  # of queries and keys, or none


class Plan(NamedTuple):
    """What a family says of its network."""

    table: Tensor  # (V, C)
    positions: Tensor  # (T, C), or angles (T, D): cosines, then sines
    rotary: bool
    heads: int
    groups: int
    window: int  # tokens
    norm: Literal["layer", "rms"]
    activation: str
    eps: float
    qk_norm_eps: float | None
    blocks: Sequence[Block]
    last: nn.Module
    head: Tensor
