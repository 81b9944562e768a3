"""What the compiled step has to know of a network, and how it is read off one with the modules of GPT-2."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from langue.nn.linear import Linear
from langue.nn.recurrent import Recurrent
from langue.nn.rope import rope_angles


class GPT2Modules(Protocol):
    """A network that is named and configured as `models.networks.gpt2` is."""

    config: Any
    wte: nn.Embedding
    wpe: nn.Embedding | None
    h: nn.ModuleList
    ln_f: nn.Module

    @property
    def head(self) -> Tensor: ...


class RecurrentModules(Protocol):
    """A network that is named as `models.networks.rnn` is."""

    embedding: nn.Module
    recurrent: Recurrent
    head: Linear


class FeedForwardModules(Protocol):
    """A network that is named as `models.networks.nplm` is."""

    embedding: nn.Embedding
    hidden: Linear
    head: Linear


class Block(NamedTuple):
    """Modules of a layer: norms and linear layers."""

    ln_1: Any
    c_attn: Any
    c_proj: Any
    ln_2: Any
    up: Any  # of the MLP
    down: Any
    qk_norms: Sequence[Any]  # of queries and keys, or none


class CrossBlock(NamedTuple):
    """Modules of a layer of a decoder that looks at a memory: norms and linear layers."""

    norms: Sequence[Any]  # of attention, of that to the memory, of the MLP
    c_attn: Any
    c_proj: Any
    query: Any  # of the attention to the memory
    project: Any
    key_value: Any
    up: Any  # of the MLP
    down: Any


class DecoderPlan(NamedTuple):
    """The decoder of an encoder–decoder with post- or pre-layer norm."""

    table: Tensor  # (V, C)
    positions: Callable[[int], Tensor]  # (T, C), of the first T
    first: Mapping[int, int]  # what an id is read as at the beginning of a part, where it is not itself
    embedding_norm: Any  # or None
    heads: int
    pre: bool
    activation: str
    eps: float
    blocks: Sequence[CrossBlock]
    prediction: Any  # a linear layer before the last norm, or None
    last: Any  # a norm, or None
    head: Tensor
    bias: Tensor | None  # of the head


class Plan(NamedTuple):
    """A causal Transformer with pre-layer norm."""

    table: Tensor  # (V, C)
    positions: Tensor  # (T, C), or angles (T, D): cosines, then sines
    rotary: bool
    heads: int
    groups: int
    window: int  # tokens
    norm: str
    activation: str
    eps: float
    qk_norm_eps: float | None
    blocks: Sequence[Block]
    last: Any
    head: Tensor


def plan_of(model: GPT2Modules) -> Plan:
    config = model.config
    _, C, H, T = config.shape
    if model.wpe is None:
        cos, sin = rope_angles(torch.arange(T), C // H, config.rope_theta)
        positions = torch.cat([cos[0], sin[0]], -1)
    else:
        positions = model.wpe.weight
    layers: Iterable[Any] = model.h
    return Plan(
        table=model.wte.weight,
        positions=positions,
        rotary=model.wpe is None,
        heads=H,
        groups=config.key_value_heads or H,
        window=T,
        norm=config.norm,
        activation=config.activation,
        eps=config.eps,
        qk_norm_eps=config.qk_norm_eps,
        blocks=[
            Block(
                ln_1=block.ln_1,
                c_attn=block.attn.c_attn,
                c_proj=block.attn.c_proj,
                ln_2=block.ln_2,
                up=block.mlp.c_fc,
                down=block.mlp.c_proj,
                qk_norms=block.attn.norms,
            )
            for block in layers
        ],
        last=model.ln_f,
        head=model.head,
    )
