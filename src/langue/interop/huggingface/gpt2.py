"""GPT-2: `GPT2LMHeadModel` and `GPT2Model`. One with rotary positions is written as a Qwen3."""

from typing import Any

from langue.interop.formats import ImportedModel
from langue.interop.huggingface import qwen3
from langue.interop.huggingface.causal import HEAD, as_folder, read_as_gpt2, refuse_options, with_weights
from langue.interop.huggingface.folder import HFFolder, HFModel
from langue.interop.huggingface.names import Weights
from langue.models.folder import ModelFolder
from langue.models.networks.config import GPT2Config
from langue.models.networks.gpt2 import GPT2
from langue.protocols import Vocabulary

# Their settings → the values that the family computes; one that is missing has the first.
FIXED: dict[str, tuple[object, ...]] = {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}
OPTIONS = {
    "position": "learned", "norm": "layer", "activation": "gelu", "qk_norm": False, "key_value_heads": 0,
    "bias": True,
}  # fmt: skip


def read(folder: HFFolder) -> ImportedModel:
    """The GPT-2 of a folder.

    Raises:
        LangueError: a file is missing or damaged, the model has a part that the family has not, or its
            tokenizer is another's.
    """
    folder.check_fixed(FIXED)
    settings: dict[str, Any] = {
        "layers": folder.integer("n_layer"),
        "width": folder.integer("n_embd"),
        "heads": folder.integer("n_head"),
        "context": folder.integer("n_positions", "n_ctx"),
        "d_ff": folder.integer("n_inner") if folder.table.get("n_inner") is not None else 0,
        "norm_eps": folder.number("layer_norm_epsilon", 1e-5),
        "tied": folder.table.get("tie_word_embeddings", True) is not False,
    }
    weights = {name.removeprefix("transformer."): part for name, part in folder.weights().items()}
    return read_as_gpt2(folder, settings, weights, from_hf)


def from_hf(config: GPT2Config, vocabulary: Vocabulary, weights: Weights) -> GPT2:
    """The model with the weights of a `GPT2LMHeadModel` (or `GPT2Model`).

    Raises:
        LangueError: the weights are of another shape or kind of model.
    """
    short = {name.removeprefix("transformer."): part for name, part in weights.items()}
    kept = {
        name: part.T if _transposed(name) else part
        for name, part in short.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))  # masks, in older files
    }
    return with_weights(config, vocabulary, kept, {})


def to_hf(model: GPT2) -> Weights:
    """The weights as `GPT2LMHeadModel` has them.

    Raises:
        Unsupported: the model has an option that GPT-2 had not.
    """
    refuse_options(model.config, "GPT-2", OPTIONS)
    state = {
        f"transformer.{name}": (part.T if _transposed(name) else part).contiguous()
        for name, part in model.state_dict().items()
        if name != HEAD
    }
    return state | {HEAD: model.head.detach()}


def _transposed(name: str) -> bool:
    """GPT-2 keeps the weights of its linear layers as `(in, out)`."""
    return name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))


def write(source: ModelFolder[Any]) -> HFModel:
    """What a GPT-2 is written as.

    Raises:
        Unsupported: it has an option that neither GPT-2 nor Qwen3 had.
    """
    model: GPT2 = source.model
    if model.config.position == "rotary":
        return qwen3.write(source)
    weights = to_hf(model)
    if model.config.tied:
        del weights[HEAD]  # the embedding once more
    layers, width, heads, context = model.config.shape
    dropout = model.config.dropout
    table = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_positions": context,
        "n_embd": width,
        "n_layer": layers,
        "n_head": heads,
        "n_inner": model.config.inner_width,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": model.config.eps,
        "resid_pdrop": dropout,
        "embd_pdrop": dropout,
        "attn_pdrop": dropout,
    }
    return as_folder(source, table, weights)
