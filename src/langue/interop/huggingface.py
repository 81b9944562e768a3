"""A GPT-2 as a folder of Hugging Face, read, and written for transformers, vLLM and their kin to load.

    config.json  model.safetensors  tokenizer.json  tokenizer_config.json

langue reads `<eos>` before the first token of a document. The exported tokenizer puts it there, so that a
text encoded as usual is scored and continued as here. A GPT-2 of others reads its `<|endoftext|>` there,
which is padding too, so its vocabulary stays what it is. Nothing is unpickled.
"""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer as HFTokenizer
from tokenizers.processors import TemplateProcessing

from langue.base.config import decode
from langue.base.errors import LangueError
from langue.base.files import atomic_folder, read_json, write_json
from langue.base.progress import log
from langue.models.encoders.released import CONFIG, WEIGHTS, HFModel, hf_weights
from langue.models.folder import load
from langue.models.networks.config import GPT2Config
from langue.models.networks.gpt2 import FAMILY, GPT2
from langue.nn.weights import load_state, write_tensors
from langue.protocols import Vocabulary
from langue.tokens.store import TOKENIZER
from langue.tokens.tokenizer import Tokenizer

# Their settings → the values that the family computes; one that is missing has the first.
FIXED: dict[str, tuple[object, ...]] = {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "layer_norm_epsilon": (1e-5,),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}


def is_gpt2(folder: Path) -> bool:
    """Whether a folder is a GPT-2 of Hugging Face."""
    table = read_json(folder / CONFIG) if (folder / CONFIG).is_file() else None
    return isinstance(table, dict) and table.get("model_type") == "gpt2"


def read_gpt2(folder: Path) -> HFModel:
    """The GPT-2 of a folder of Hugging Face.

    Raises:
        LangueError: a file is missing or damaged, the model has a part that the family has not, or its
            tokenizer is another's.
    """
    table = read_json(folder / CONFIG)
    weights = hf_weights(folder)
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    config = decode(GPT2Config, _shape(folder, table), str(folder / CONFIG))
    _fit_rows(folder, weights, table["vocab_size"], tokenizer.vocab_size)
    model = from_hf(config, Vocabulary(tokenizer.vocab_size, tokenizer.eos), weights).eval()
    return HFModel(FAMILY, config, model, tokenizer)


def _shape(folder: Path, table: dict[str, Any]) -> dict[str, Any]:
    """The settings of the family; a `LangueError` names what it cannot do."""
    context = "n_positions" if "n_positions" in table else "n_ctx"
    for key in ("n_embd", "n_layer", "n_head", "vocab_size", context):
        if not isinstance(table.get(key), int):
            raise LangueError(f"{folder / CONFIG} is damaged: it has no number for {key}; fetch it again")
    C = table["n_embd"]
    for key, allowed in (FIXED | {"n_inner": (None, 4 * C)}).items():
        if table.get(key, allowed[0]) not in allowed:
            raise LangueError(f"{folder / CONFIG} has {key} = {table[key]}; langue knows {allowed[-1]} only")
    shape = {"layers": table["n_layer"], "width": C, "heads": table["n_head"], "context": table[context]}
    return shape | {"tied": table.get("tie_word_embeddings", True)}


def _fit_rows(folder: Path, weights: dict[str, torch.Tensor], rows: int, tokens: int) -> None:
    """Leave out the rows of the embedding that are no token's, as of a table padded to a round number."""
    if tokens > rows:
        raise LangueError(
            f"{folder / TOKENIZER} has {tokens:,} tokens, and the model rows for {rows:,}: they are not "
            "of one model"
        )
    if tokens < rows:
        log.warning("%d rows of the embedding are no token's; they are left out", rows - tokens)
        for name in ("transformer.wte.weight", "wte.weight", "lm_head.weight"):
            if name in weights:
                weights[name] = weights[name][:tokens]


def export_gpt2(folder: Path, output: Path, *, overwrite: bool = False) -> int:
    """Write a GPT-2 model folder as a folder of Hugging Face.

    Returns:
        How many parameters were written.

    Raises:
        LangueError: it has an option that GPT-2 had not; the output is in the way.
    """
    model = load(folder).model
    if not isinstance(model, GPT2):
        raise LangueError(f"{folder} is no GPT-2; only those have a form at Hugging Face")
    weights = to_hf(model)
    del weights["lm_head.weight"]  # the embedding once more
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    if tokenizer.kind == "words":
        log.warning("langue cuts runs of Chinese into words before the tokenizer; others will not")
    with atomic_folder(output, marker=CONFIG, overwrite=overwrite) as written:
        write_tensors(written / WEIGHTS, weights, {"format": "pt"})
        write_json(written / CONFIG, _config(model))
        (written / TOKENIZER).write_text(_with_start(folder / TOKENIZER, tokenizer.eos), encoding="utf-8")
        names = tokenizer.names()
        special = {"bos_token": names[tokenizer.eos], "eos_token": names[tokenizer.eos]}
        write_json(
            written / "tokenizer_config.json",
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                **special,
                "pad_token": names[tokenizer.pad],
                "model_max_length": model.config.shape.context,
                "clean_up_tokenization_spaces": False,
                "split_special_tokens": True,  # a literal <eos> is text
            },
        )
    return model.size()["parameters"]


def _config(model: GPT2) -> dict[str, object]:
    layers, width, heads, context = model.config.shape
    dropout = model.config.dropout
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": model.vocabulary.size,
        "n_positions": context,
        "n_embd": width,
        "n_layer": layers,
        "n_head": heads,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "resid_pdrop": dropout,
        "embd_pdrop": dropout,
        "attn_pdrop": dropout,
        "bos_token_id": model.vocabulary.eos,
        "eos_token_id": model.vocabulary.eos,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }


def _with_start(path: Path, eos: int) -> str:
    """A tokenizer.json that begins every text with the end of the document before."""
    tokenizer = HFTokenizer.from_str(path.read_text(encoding="utf-8"))
    name = tokenizer.id_to_token(eos)
    tokenizer.post_processor = TemplateProcessing(single=f"{name} $A", special_tokens=[(name, eos)])
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, indent=2)


def from_hf(config: GPT2Config, vocabulary: Vocabulary, weights: dict[str, torch.Tensor]) -> GPT2:
    """The model with the weights of a `GPT2LMHeadModel` (or `GPT2Model`) of Hugging Face.

    Raises:
        LangueError: the weights are of another shape or kind of model.
    """
    names = {name: name.removeprefix("transformer.") for name in weights}
    kept = {
        short: weights[name].T if _transposed(short) else weights[name]
        for name, short in names.items()
        if not short.endswith((".attn.bias", ".attn.masked_bias"))  # masks, in older files
        and not (config.tied and short == "lm_head.weight")
    }
    model = GPT2(config, vocabulary)
    load_state(model, kept, "what was given")
    return model


def to_hf(model: GPT2) -> dict[str, torch.Tensor]:
    """The weights as `GPT2LMHeadModel` of Hugging Face has them.

    Raises:
        LangueError: the model has an option that GPT-2 had not.
    """
    plain = GPT2Config()
    for option in ("position", "norm", "activation", "qk_norm", "key_value_heads", "tied"):
        if getattr(model.config, option) != getattr(plain, option):
            raise LangueError(f"GPT-2 has no {option} = {getattr(model.config, option)}; train without it")
    state = {
        f"transformer.{name}": (tensor.T if _transposed(name) else tensor).contiguous()
        for name, tensor in model.state_dict().items()
    }
    return state | {"lm_head.weight": model.head.detach()}


def _transposed(name: str) -> bool:
    """GPT-2 keeps the weights of its linear layers as `(in, out)`."""
    return name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
