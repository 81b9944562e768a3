"""A GPT-2 as a folder of Hugging Face, which transformers, vLLM and their kin load.

    config.json  model.safetensors  tokenizer.json  tokenizer_config.json

langue reads `<eos>` before the first token of a document. The exported tokenizer puts it there, so that a
text encoded as usual is scored and continued as here.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer as HFTokenizer
from tokenizers.processors import TemplateProcessing

from langue.base.errors import LangueError
from langue.base.files import atomic_folder, write_json
from langue.base.progress import log
from langue.models.folder import load
from langue.models.gpt2 import GPT2, to_released
from langue.models.layers.weights import write_tensors
from langue.tokens.store import TOKENIZER
from langue.tokens.tokenizer import Tokenizer

CONFIG = "config.json"


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
    weights = to_released(model)
    del weights["lm_head.weight"]  # the embedding once more
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    if tokenizer.kind == "words":
        log.warning("langue cuts runs of Chinese into words before the tokenizer; others will not")
    with atomic_folder(output, marker=CONFIG, overwrite=overwrite) as written:
        write_tensors(written / "model.safetensors", weights, {"format": "pt"})
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
