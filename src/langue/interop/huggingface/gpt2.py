"""GPT-2: `GPT2LMHeadModel` and `GPT2Model`.

langue reads the end of a document before the first token of a text. The exported tokenizer puts it there, so
that a text encoded as usual is scored and continued as here. A GPT-2 of others may begin a text with another
token than the one that ends it (`<s>`, `[CLS]`): then the embedding of that one takes the place of the end's,
which nothing reads but the first token; the output matrix stays as it was, and is one of its own.
"""

from typing import Any

import torch

from langue.base.config import decode
from langue.base.errors import Damaged, Mismatch, Unsupported
from langue.base.progress import log
from langue.interop.formats import ImportedModel
from langue.interop.huggingface.folder import CONFIG, HFFolder, HFModel
from langue.interop.huggingface.names import Weights, check_whole
from langue.interop.huggingface.tokenizer import SpecialTokens
from langue.models.folder import ModelFolder
from langue.models.networks.config import GPT2Config
from langue.models.networks.gpt2 import FAMILY, GPT2
from langue.protocols import Vocabulary

# Their settings → the values that the family computes; one that is missing has the first.
FIXED: dict[str, tuple[object, ...]] = {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "layer_norm_epsilon": (1e-5,),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}
OPTIONS = ("position", "norm", "activation", "qk_norm", "key_value_heads", "d_ff", "bias")  # it has none
EMBEDDING, HEAD = "wte.weight", "lm_head.weight"


def read(folder: HFFolder) -> ImportedModel:
    """The GPT-2 of a folder.

    Raises:
        LangueError: a file is missing or damaged, the model has a part that the family has not, or its
            tokenizer is another's.
    """
    C = folder.integer("n_embd")
    folder.check_fixed(FIXED | {"n_inner": (None, 4 * C)})
    rows = folder.integer("vocab_size")
    settings: dict[str, Any] = {
        "layers": folder.integer("n_layer"),
        "width": C,
        "heads": folder.integer("n_head"),
        "context": folder.integer("n_positions", "n_ctx"),
    }
    folder.check_rows(rows)
    weights = {name.removeprefix("transformer."): part for name, part in folder.weights().items()}
    if settings["layers"] > len(weights):
        raise Damaged(f"{folder.config_path} says {settings['layers']:,} layers; the file has fewer tensors")
    tokenizer = folder.tokenizer
    begin, end = _begin_and_end(folder)
    if end != tokenizer.eos:
        raise Mismatch(
            f"{folder.path}: texts end with {_name(folder, end)}, and langue would end them with "
            f"{_name(folder, tokenizer.eos)}; rename the one to <|endoftext|> in tokenizer.json"
        )
    if tokenizer.vocab_size < rows:
        log.warning("%d rows of the embedding are no token's; they are left out", rows - tokenizer.vocab_size)
        for name in (EMBEDDING, HEAD):
            if name in weights and len(weights[name]) == rows:
                weights[name] = weights[name][: tokenizer.vocab_size]
    settings["tied"] = folder.table.get("tie_word_embeddings", True) is not False
    if HEAD in weights and EMBEDDING in weights and not torch.equal(weights[HEAD], weights[EMBEDDING]):
        settings["tied"] = False  # as transformers does, whatever the configuration says
    if begin != end and EMBEDDING in weights:
        log.warning("texts begin with %s, as this model has it", _name(folder, begin))
        weights.setdefault(HEAD, weights[EMBEDDING])
        settings["tied"] = False
        weights[EMBEDDING] = weights[EMBEDDING].clone()
        weights[EMBEDDING][end] = weights[EMBEDDING][begin]
    config = decode(GPT2Config, settings, str(folder.path / CONFIG))
    with folder.named():
        model = from_hf(config, Vocabulary(tokenizer.vocab_size, tokenizer.eos), weights).eval()
    return ImportedModel(
        family=FAMILY,
        config=config,
        model=model,
        tokenizer_json=folder.tokenizer_json,
        fingerprint=tokenizer.fingerprint,
    )


def _begin_and_end(folder: HFFolder) -> tuple[int, int]:
    """The tokens before and after a text: those that the tokenizer puts there, else the configuration's."""
    size, eos = folder.tokenizer.vocab_size, folder.tokenizer.eos
    template = _template(folder.tokenizer_table.get("post_processor") or {})

    def of_config(key: str, otherwise: int) -> int:
        id = folder.table.get(key)
        if isinstance(id, list) and len(id) == 1:
            id = id[0]
        # Of a vocabulary that was changed, the configuration often keeps GPT-2's 50256.
        return id if isinstance(id, int) and not isinstance(id, bool) and 0 <= id < size else otherwise

    end = of_config("eos_token_id", eos)
    if len(template) > 1 and template[-1] is not None:
        end = template[-1]
    begin = template[0] if template and template[0] is not None else of_config("bos_token_id", end)
    return begin, end


def _template(processor: dict[str, Any]) -> list[int | None]:
    """What a tokenizer makes of one text: ids of special tokens, and None for the text."""
    for part in processor.get("processors", []):
        if template := _template(part):
            return template
    if processor.get("type") in ("BertProcessing", "RobertaProcessing"):
        return [processor["cls"][1], None, processor["sep"][1]]
    special = processor.get("special_tokens", {})
    return [
        special[item["SpecialToken"]["id"]]["ids"][0] if "SpecialToken" in item else None
        for item in processor.get("single", [])
    ]


def _name(folder: HFFolder, id: int) -> str:
    return folder.tokenizer.names()[id]


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
    if config.tied and HEAD in kept and EMBEDDING in kept:
        if not torch.equal(kept[HEAD], kept[EMBEDDING]):
            raise Unsupported(f"{HEAD} differs from {EMBEDDING}: read it with tied = false")
        del kept[HEAD]
    with torch.device("meta"):  # so that no memory is asked for that the file has no tensors for
        check_whole(GPT2(config, vocabulary).state_dict(), kept, {})
    model = GPT2(config, vocabulary)
    model.load_state_dict(kept)
    return model


def to_hf(model: GPT2) -> Weights:
    """The weights as `GPT2LMHeadModel` has them.

    Raises:
        Unsupported: the model has an option that GPT-2 had not.
    """
    plain = GPT2Config()
    for option in (*OPTIONS, "norm_eps"):
        if getattr(model.config, option) != getattr(plain, option):
            raise Unsupported(f"GPT-2 has no {option} = {getattr(model.config, option)}; train without it")
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
        Unsupported: it has an option that GPT-2 had not.
    """
    model: GPT2 = source.model
    weights = to_hf(model)
    if model.config.tied:
        del weights[HEAD]  # the embedding once more
    layers, width, heads, context = model.config.shape
    dropout = model.config.dropout
    eos = source.tokenizer.eos
    config = {
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
        "tie_word_embeddings": model.config.tied,
    }
    return HFModel(
        config=config,
        weights=weights,
        special=SpecialTokens({"bos_token": eos, "eos_token": eos}, ("bos_token", "$A"), literal=True),
        window=context,
        use='transformers.pipeline("text-generation", FOLDER)("…")',
    )
