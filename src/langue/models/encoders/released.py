"""Encoders of other makers: a folder of Hugging Face read as a model of a family here.

A folder holds `config.json`, `model.safetensors` and `tokenizer.json`. Nothing is unpickled: weights in
another form are refused. What a released configuration says and a family here cannot do is refused too.
"""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from langue.base.config import Config, decode
from langue.base.errors import LangueError
from langue.base.files import read_json
from langue.models.family import Family
from langue.models.registry import MODULES, family
from langue.nn.released import Weights
from langue.protocols import Vocabulary
from langue.tokens.store import TOKENIZER
from langue.tokens.tokenizer import Tokenizer

CONFIG, WEIGHTS = "config.json", "model.safetensors"
SAME = {"position_embedding_type": "absolute", "type_vocab_size": 2, "layer_norm_eps": 1e-12}
# Theirs → the only value that a family here computes; a key that is missing has it.
FIXED = {
    "bert": {"hidden_act": "gelu", **SAME},
    "albert": {"hidden_act": ("gelu_new", "gelu_pytorch_tanh"), "num_hidden_groups": 1, **SAME},
}
SPECIAL_TOKENS = ("[CLS]", "[SEP]", "[MASK]")


class HFModel(NamedTuple):
    """A model that was read from a folder."""

    family: Family[Any]
    config: Config
    model: Any  # `Masked`; of GPT-2 (`interop/huggingface.py`) `Causal`
    tokenizer: Tokenizer


def is_hf_folder(folder: Path) -> bool:
    """Whether a folder looks like one of Hugging Face."""
    return (folder / CONFIG).is_file()


def hf_shape(folder: Path) -> tuple[str, dict[str, Any]]:
    """The family of the encoder of a folder, and its settings here.

    Raises:
        LangueError: as `read_hf`.
    """
    table = read_json(folder / CONFIG)
    kind = table.get("model_type") if isinstance(table, dict) else None
    if kind not in FIXED:
        raise LangueError(f"{folder / CONFIG} is of a model of type {kind}; langue reads bert and albert")
    _check(folder, table, FIXED[kind])
    with _opened(folder) as file:
        names = list(file.keys())
    shape = _shape(table, names, _special_ids(folder))
    return kind, shape | ({"embedding_size": table["embedding_size"]} if kind == "albert" else {})


def read_hf(folder: Path) -> HFModel:
    """The BERT or ALBERT of a folder.

    Raises:
        LangueError: a file is missing or damaged, the model is of another kind, or it has a part that
            the family here has not.
    """
    name, shape = hf_shape(folder)
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    kind = family(name)
    config = decode(kind.config, shape, str(folder / CONFIG))
    model = importlib.import_module(MODULES[name]).from_hf(
        config, Vocabulary(tokenizer.vocab_size, tokenizer.eos), hf_weights(folder)
    )
    return HFModel(kind, config, model.eval(), tokenizer)


def _check(folder: Path, table: dict[str, Any], fixed: dict[str, Any]) -> None:
    for key, value in fixed.items():
        allowed = value if isinstance(value, tuple) else (value,)
        if table.get(key, allowed[0]) not in allowed:
            raise LangueError(f"{folder / CONFIG} has {key} = {table[key]}; langue knows {allowed[0]} only")


def hf_weights(folder: Path) -> Weights:
    """The weights of a folder; a `LangueError` if they are missing, damaged or in another form."""
    with _opened(folder) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping


@contextmanager
def _opened(folder: Path) -> Iterator[Any]:
    if not (folder / WEIGHTS).is_file():
        raise LangueError(f"{folder} has no {WEIGHTS}; other forms are not read, for they can run code")
    try:
        with safe_open(str(folder / WEIGHTS), "pt") as file:
            yield file
    except SafetensorError as error:
        raise LangueError(f"{folder / WEIGHTS} is damaged: {error}") from None


def _special_ids(folder: Path) -> list[int]:
    """`[CLS]`, `[SEP]` and `[MASK]`: by what langue wrote, else by their names in the vocabulary."""
    table = read_json(folder / CONFIG)
    written = [table.get(f"{name}_token_id") for name in ("cls", "sep", "mask")]
    if all(isinstance(id, int) for id in written):
        return written
    added = read_json(folder / TOKENIZER).get("added_tokens", [])
    ids = {token["content"]: token["id"] for token in added}
    missing = [name for name in SPECIAL_TOKENS if name not in ids]
    if missing:
        raise LangueError(f"{folder / TOKENIZER} has no token {missing[0]}, which an encoder reads")
    return [ids[name] for name in SPECIAL_TOKENS]


def _shape(table: dict[str, Any], names: Sequence[str], special_ids: list[int]) -> dict[str, Any]:
    pooled = any("pooler" in name for name in names)
    shape = {
        "layers": table["num_hidden_layers"],
        "width": table["hidden_size"],
        "heads": table["num_attention_heads"],
        "d_ff": table["intermediate_size"],
        "context": table["max_position_embeddings"],
        "padded_vocab_size": table["vocab_size"],
        "special_ids": special_ids,
    }
    no_mlm_head = not any("predictions.bias" in name for name in names)
    return shape | {"no_mlm_head": no_mlm_head} | ({} if pooled else {"sentence_pairs": "none"})
