"""GGUF: one file that llama.cpp, Ollama and LM Studio run. Written of a GPT-2, and of one shaped as Qwen3.

Weights are float32, as they were trained; `llama-quantize` and Ollama make smaller ones of the file. langue
reads the end of a document before the first token of a text, and the file says that a text begins so. The
tokenizer goes with it where llama.cpp has its like: byte-level BPE cut as GPT-2 cuts, and bytes. The file is
written by the package of llama.cpp's makers.
"""

import json
from io import BufferedWriter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from langue.base.errors import LangueError, MissingExtra, Unsupported
from langue.base.files import atomic_file
from langue.interop.formats import Export, Format
from langue.models.folder import ModelFolder
from langue.tokens.store import TOKENIZER
from langue.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from langue.interop.huggingface.names import Weights
    from langue.models.networks.gpt2 import GPT2

SUFFIX = ".gguf"
# The tokenizers of langue that cut a text as llama.cpp's "gpt-2" does, before they merge.
CUT_LIKE_GPT2 = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
# GGUF wants merges where there are none; what this one makes is no token, so it is taken apart again.
NO_MERGES = ["Ġ Ġ"]
# Tensors by the names of `GPT2LMHeadModel` and `Qwen3ForCausalLM`; those of a layer without its prefix.
NAMES = {
    "transformer.wte": "token_embd", "transformer.wpe": "position_embd", "transformer.ln_f": "output_norm",
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


def write(source: ModelFolder[Any], output: Path, overwrite: bool) -> Export:
    """Write a GPT-2 as a GGUF file.

    Raises:
        MissingExtra: the package gguf is not installed.
        Unsupported: the model has an option that neither GPT-2 nor Qwen3 had, or a tokenizer that llama.cpp
            has not.
        LangueError: the file exists (and not `overwrite`), or the disk refuses.
    """
    try:
        from gguf import GGUFWriter
        from gguf.gguf_writer import WriterState
    except ImportError:
        raise MissingExtra("gguf", "export", "writing GGUF") from None
    if output.exists() and not overwrite:
        raise LangueError(f"{output} already exists; choose another name, or pass --overwrite")
    model: GPT2 = source.model
    rotary = model.config.position == "rotary"
    merges = _merges(source)
    weights = _weights(model)
    writer: Any = GGUFWriter(None, "qwen3" if rotary else "gpt2")
    _add_shape(writer, model)
    _add_tokenizer(writer, source.tokenizer, merges)
    writer.add_name(source.path.name)
    for name, part in weights.items():
        writer.add_tensor(name, part.detach().float().contiguous().cpu().numpy())
    with atomic_file(output) as file:
        writer.fout, writer.state = (
            [cast(BufferedWriter, file)],
            WriterState.EMPTY,
        )  # it would open one of its own
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    return Export(output, "gguf", model.size(), _left_out(source))


def _weights(model: "GPT2") -> "Weights":
    """The tensors by their names in the file; a head that is the embedding is not written twice.

    Raises:
        Unsupported: the model has an option that its architecture has not.
    """
    from langue.interop.huggingface import gpt2, qwen3

    rotary = model.config.position == "rotary"
    weights = {}
    for name, part in (qwen3 if rotary else gpt2).to_hf(model).items():
        stem, kind = name.rsplit(".", 1)
        if stem not in NAMES:  # transformer.h.0.attn.c_attn, model.layers.0.self_attn.q_proj
            _, _, layer, within = stem.split(".", 3)
            transposed = not rotary and part.ndim == 2  # GPT-2's are (in, out) there
            weights[f"blk.{layer}.{NAMES[within]}.{kind}"] = part.T if transposed else part
        elif stem != "lm_head" or not model.config.tied:
            weights[f"{NAMES[stem]}.{kind}"] = part
    return weights


def _add_shape(writer: Any, model: "GPT2") -> None:
    """What the architecture is told of its layers."""
    config = model.config
    layers, width, heads, context = config.shape
    writer.add_vocab_size(model.vocabulary.size)
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(config.inner_width)
    writer.add_block_count(layers)
    writer.add_head_count(heads)
    if config.position == "rotary":
        head = width // heads
        writer.add_head_count_kv(config.groups)
        writer.add_key_length(head)
        writer.add_value_length(head)
        writer.add_rope_dimension_count(head)
        writer.add_rope_freq_base(config.rope_theta)
        writer.add_layer_norm_rms_eps(config.eps)
    else:
        writer.add_layer_norm_eps(config.eps)


def _merges(source: ModelFolder[Any]) -> list[str]:
    """The merges of a tokenizer that llama.cpp can be told.

    Raises:
        Unsupported: it has none that cuts or joins as this one.
    """
    table = json.loads((source.path / TOKENIZER).read_text(encoding="utf-8"))
    model, cut = table["model"], table["pre_tokenizer"] or {}
    merges = [one if isinstance(one, str) else " ".join(one) for one in model.get("merges", ())]
    kind = source.tokenizer.kind
    alike = {name: cut.get(name) for name in CUT_LIKE_GPT2} == CUT_LIKE_GPT2
    if table["normalizer"] is None and (kind == "bytes" or (kind == "bpe" and alike)):
        return merges or NO_MERGES
    what = f"a tokenizer {kind}" if kind != "bpe" else "a BPE that cuts words otherwise than GPT-2"
    raise Unsupported(
        f"llama.cpp has no like of {what}; GGUF is written of models over langue's own bpe and bytes: "
        "langue prepare TEXT -o STORE --tokenizer bpe"
    )


def _add_tokenizer(writer: Any, tokenizer: Tokenizer, merges: list[str]) -> None:
    from gguf import TokenType

    ordinary = set(tokenizer.ordinary.tolist())
    size = tokenizer.vocab_size
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokenizer.names())
    writer.add_token_types([TokenType.NORMAL if id in ordinary else TokenType.CONTROL for id in range(size)])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokenizer.eos)
    writer.add_eos_token_id(tokenizer.eos)
    writer.add_pad_token_id(tokenizer.pad)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)


def _left_out(source: ModelFolder[Any]) -> tuple[str, ...]:
    changed = {name: value for name, value in (source.description.normalization or {}).items() if value}
    if not changed:
        return ()
    told = ", ".join(f"{name} = {value}" for name, value in changed.items())
    return (f"the normalization of its training text ({told}): llama.cpp reads a text as it is",)


FORMAT = Format(
    name="gguf",
    summary="a file that llama.cpp and Ollama run",
    families=("gpt2",),
    recognizes=lambda path: False,  # none is read
    write=write,
    suffix=SUFFIX,
)
