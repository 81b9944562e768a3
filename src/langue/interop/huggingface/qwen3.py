"""Qwen3: `Qwen3ForCausalLM`, the modern shape that most other engines load (Yang et al. 2025).

It is a `gpt2` of langue with the options of `config.QWEN3`: rotary positions, RMSNorm of one epsilon, SwiGLU,
norms of queries and keys, and no biases.
"""

from typing import Any

import torch

from langue.base.errors import Unsupported
from langue.interop.formats import ImportedModel
from langue.interop.huggingface.causal import (
    EMBEDDING,
    HEAD,
    as_folder,
    read_as_gpt2,
    refuse_options,
    with_weights,
)
from langue.interop.huggingface.folder import HFFolder, HFModel
from langue.interop.huggingface.names import Names, Weights, rename_from_hf
from langue.models.folder import ModelFolder
from langue.models.networks.config import QWEN3, GPT2Config
from langue.models.networks.gpt2 import GPT2
from langue.protocols import Vocabulary

FIXED: dict[str, tuple[object, ...]] = {
    "hidden_act": ("silu",),
    "attention_bias": (False,),
    "use_sliding_window": (False,),
    "rope_scaling": (None,),
}
BASE = 10_000.0  # of the angles, where the configuration says none


def names(layers: int) -> Names:
    """langue's tensors by the names of `Qwen3ForCausalLM`."""
    tensors: dict[str, tuple[str, ...]] = {
        EMBEDDING: ("model.embed_tokens.weight",),
        "ln_f.weight": ("model.norm.weight",),
        HEAD: ("lm_head.weight",),
    }
    parts = {
        "ln_1": ("input_layernorm",),
        "attn.c_attn": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "attn.norms.0": ("self_attn.q_norm",),
        "attn.norms.1": ("self_attn.k_norm",),
        "attn.c_proj": ("self_attn.o_proj",),
        "ln_2": ("post_attention_layernorm",),
        "mlp.c_fc": ("mlp.gate_proj", "mlp.up_proj"),
        "mlp.c_proj": ("mlp.down_proj",),
    }
    return tensors | {
        f"h.{layer}.{name}.weight": tuple(f"model.layers.{layer}.{hf_name}.weight" for hf_name in group)
        for layer in range(layers)
        for name, group in parts.items()
    }


def read(folder: HFFolder) -> ImportedModel:
    """The Qwen3 of a folder.

    Raises:
        LangueError: a file is missing or damaged, the model has a part that the family has not, or its
            tokenizer is another's.
    """
    folder.check_fixed(FIXED)
    width, heads = folder.integer("hidden_size"), folder.integer("num_attention_heads")
    if folder.table.get("head_dim", 128) != width / heads:
        raise Unsupported(
            f"{folder.config_path} has head_dim = {folder.table.get('head_dim', 128)}; langue knows "
            f"hidden_size / num_attention_heads = {width / heads:g} only"
        )
    groups = folder.integer("num_key_value_heads")
    settings: dict[str, Any] = QWEN3 | {
        "layers": folder.integer("num_hidden_layers"),
        "width": width,
        "heads": heads,
        "context": folder.integer("max_position_embeddings"),
        "d_ff": folder.integer("intermediate_size"),
        "key_value_heads": groups if groups != heads else 0,
        "norm_eps": folder.number("rms_norm_eps", QWEN3["norm_eps"]),
        "rope_theta": _base(folder),
        "tied": folder.table.get("tie_word_embeddings", False) is True,
    }
    weights = folder.weights()
    ours = {name: hf for name, (hf, *_) in names(0).items() if hf in weights}
    renamed = {name: weights.pop(hf) for name, hf in ours.items()}
    return read_as_gpt2(folder, settings, renamed | weights, _from_hf)


def _base(folder: HFFolder) -> float:
    """Of the angles of positions: a number of its own in older files, in a table in those of today."""
    table = folder.table.get("rope_parameters") or {}
    kind = table.get("rope_type", "default") if isinstance(table, dict) else table
    if kind != "default":
        raise Unsupported(f"{folder.config_path} has rope_type = {kind}; langue knows default only")
    return folder.number("rope_theta", BASE, table)


def _from_hf(config: GPT2Config, vocabulary: Vocabulary, weights: Weights) -> GPT2:
    """The model of weights of which the embedding and the head have langue's names."""
    table = names(config.shape.layers)
    own = {name: part for name, part in weights.items() if name in names(0)}
    theirs = {name: part for name, part in weights.items() if name not in own}
    return with_weights(config, vocabulary, rename_from_hf(table, theirs) | own, table)


def to_hf(model: GPT2) -> Weights:
    """The weights as `Qwen3ForCausalLM` has them.

    Raises:
        Unsupported: the model has an option that Qwen3 has not.
    """
    config, state = model.config, model.state_dict()
    # Any epsilon will do that is one: without the setting, the norms of queries and keys have another.
    refuse_options(config, "Qwen3", QWEN3 | {"norm_eps": config.norm_eps or QWEN3["norm_eps"]})
    layers, C, H, _ = config.shape
    keys = config.groups * C // H
    sizes = {3: [C, keys, keys], 2: [config.inner_width] * 2}  # of q, k, v; of gates and the rest
    weights: Weights = {}
    for name, group in names(layers).items():
        if name in state:
            parts = torch.split(state[name], sizes.get(len(group), len(state[name])))
            weights |= {hf: part.contiguous() for hf, part in zip(group, parts, strict=True)}
    return weights


def write(source: ModelFolder[Any]) -> HFModel:
    """What a GPT-2 with the options of Qwen3 is written as.

    Raises:
        Unsupported: it has not all of them.
    """
    model: GPT2 = source.model
    config = model.config
    layers, width, heads, context = config.shape
    table = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "max_position_embeddings": context,
        "hidden_size": width,
        "intermediate_size": config.inner_width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": config.groups,
        "head_dim": width // heads,
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": config.dropout,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "use_sliding_window": False,
    }
    return as_folder(source, table, to_hf(model))
