"""Folders of Hugging Face: encoders read from them, and written for others to load.

A folder holds `config.json`, `model.safetensors` and `tokenizer.json`. Nothing is unpickled: weights in
another form are refused. What a released configuration says and a family here cannot do is refused too.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from langue.base.config import Config, decode, encode
from langue.base.errors import LangueError
from langue.base.files import atomic_folder, check_free, read_json
from langue.corpus.normalise import Normalisation
from langue.models import albert, bert
from langue.models.folder import DESCRIPTION, load, save
from langue.models.layers.released import Weights
from langue.models.protocol import Vocabulary
from langue.models.registry import Family
from langue.tokens.store import TOKENIZER
from langue.tokens.tokenizer import Tokenizer

CONFIG, WEIGHTS = "config.json", "model.safetensors"
SAME = {"position_embedding_type": "absolute", "type_vocab_size": 2, "layer_norm_eps": bert.EPSILON}
# Theirs → the only value that a family here computes; a key that is missing has it.
FIXED = {
    "bert": {"hidden_act": "gelu", **SAME},
    "albert": {"hidden_act": ("gelu_new", "gelu_pytorch_tanh"), "num_hidden_groups": 1, **SAME},
}
SPECIAL_TOKENS = ("[CLS]", "[SEP]", "[MASK]")


class Released(NamedTuple):
    """An encoder that was read from a folder."""

    family: Family
    config: Config
    model: bert.Bert | albert.Albert
    tokenizer: Tokenizer


def is_released(folder: Path) -> bool:
    """Whether a folder looks like one of Hugging Face."""
    return (folder / CONFIG).is_file()


def read_released(folder: Path) -> Released:
    """The BERT or ALBERT of a folder.

    Raises:
        LangueError: a file is missing or damaged, the model is of another kind, or it has a part that
            the family here has not.
    """
    table = read_json(folder / CONFIG)
    kind = table.get("model_type") if isinstance(table, dict) else None
    if kind not in FIXED:
        raise LangueError(f"{folder / CONFIG} is of a model of type {kind}; langue reads bert and albert")
    _check(folder, table, FIXED[kind])
    weights = _weights(folder)
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    shape = _shape(table, weights, _special_ids(folder))
    vocabulary = Vocabulary(tokenizer.vocab_size, tokenizer.eos)
    if kind == "bert":
        config = decode(bert.BertConfig, shape, str(folder / CONFIG))
        model = bert.from_released(config, vocabulary, weights).eval()
        return Released(bert.FAMILY, config, model, tokenizer)
    shape["embedding"] = table["embedding_size"]
    smaller = decode(albert.AlbertConfig, shape, str(folder / CONFIG))
    small = albert.from_released(smaller, vocabulary, weights).eval()
    return Released(albert.FAMILY, smaller, small, tokenizer)


def import_released(folder: Path, output: Path, *, overwrite: bool = False) -> None:
    """Write the encoder of a folder of Hugging Face as a model folder.

    Raises:
        LangueError: as `read_released`; the output folder is in the way.
    """
    check_free(output, marker=DESCRIPTION, overwrite=overwrite)
    started = time.perf_counter()
    found = read_released(folder)
    size = f"{found.model.size()['parameters']:,} parameters"
    without = " It came without a head: it embeds and is fine-tuned, and fills no gaps."
    save(
        output,
        family=found.family,
        config=found.config,
        model=found.model,
        store=folder,
        manifest={
            "tokenizer": {"fingerprint": found.tokenizer.fingerprint},
            "normalisation": encode(Normalisation()),
            "fingerprint": f"released as {folder.name}",
        },
        recipe={"family": found.family.name, "model": encode(found.config)},
        measured={"seconds": round(time.perf_counter() - started, 3)},
        card=f"# {found.family.name}: {found.family.summary}\n\n{size}, from {folder.name}."
        f"{without if found.model.headless else ''}\n\n"
        "Made with langue.\n",
        overwrite=overwrite,
    )


def export_released(path: Path, output: Path, *, overwrite: bool = False) -> None:
    """Write an encoder as a folder that `transformers` loads.

    Raises:
        LangueError: the family or an option of it is unknown there; the folder is in the way.
    """
    model = load(path).model
    if isinstance(model, bert.Bert):
        table, weights = bert.to_released(model)
    elif isinstance(model, albert.Albert):
        table, weights = albert.to_released(model)
    else:
        raise LangueError("only bert and albert have a form that transformers loads as it is")
    special: dict[str, Any] = dict(
        zip(("cls_token_id", "sep_token_id", "mask_token_id"), model.specials, strict=True)
    )
    with atomic_folder(output, marker=CONFIG, overwrite=overwrite) as folder:
        save_file({name: part.contiguous().clone() for name, part in weights.items()}, folder / WEIGHTS)
        text = json.dumps(table | special, indent=2) + "\n"
        (folder / CONFIG).write_text(text, encoding="utf-8")
        shutil.copyfile(path / TOKENIZER, folder / TOKENIZER)


def _check(folder: Path, table: dict[str, Any], fixed: dict[str, Any]) -> None:
    for key, value in fixed.items():
        allowed = value if isinstance(value, tuple) else (value,)
        if table.get(key, allowed[0]) not in allowed:
            raise LangueError(f"{folder / CONFIG} has {key} = {table[key]}; langue knows {allowed[0]} only")


def _weights(folder: Path) -> Weights:
    if not (folder / WEIGHTS).is_file():
        raise LangueError(f"{folder} has no {WEIGHTS}; other forms are not read, for they can run code")
    try:
        return load_file(folder / WEIGHTS)
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


def _shape(table: dict[str, Any], weights: Weights, special_ids: list[int]) -> dict[str, Any]:
    pooled = any("pooler" in name for name in weights)
    shape = {
        "layers": table["num_hidden_layers"],
        "width": table["hidden_size"],
        "heads": table["num_attention_heads"],
        "inner": table["intermediate_size"],
        "context": table["max_position_embeddings"],
        "vocabulary_rows": table["vocab_size"],
        "special_ids": special_ids,
    }
    headless = not any("predictions.bias" in name for name in weights)
    return shape | {"headless": headless} | ({} if pooled else {"pairs": "none"})
