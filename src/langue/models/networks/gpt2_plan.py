"""A `gpt2` as the compiled step of `nn/compiled` reads it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch

from langue.nn.compiled.plan import Block, Plan
from langue.nn.rope import rope_angles

if TYPE_CHECKING:
    from langue.models.networks.gpt2 import GPT2


def plan_of(model: "GPT2") -> Plan:
    config = model.config
    _, _, H, T = config.shape
    if model.wpe is None:
        cos, sin = rope_angles(torch.arange(T, device=model.device), model.D, config.rope_theta)
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
