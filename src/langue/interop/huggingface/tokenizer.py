"""The tokenizer of an exported folder: langue's ids, and special tokens where the model has them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex
from tokenizers import Tokenizer as HFTokenizer
from tokenizers.pre_tokenizers import Sequence as PreTokenizers
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing

from langue.base.errors import Mismatch
from langue.base.files import write_json
from langue.base.scripts import HAN
from langue.models.folder import ModelFolder
from langue.tokens.store import TOKENIZER

UNKNOWN = ("[UNK]", "<unk>")


@dataclass(frozen=True)
class SpecialTokens:
    """What a model has besides text.

    Attributes:
        ids: by their roles in transformers, `cls_token`, `bos_token`, …
        template: what one text becomes, of those roles and `$A`.
        pair: what two become, or nothing.
        literal: text that looks like a special token is text, as in langue.
        alone: no piece spans two Chinese characters, whatever the vocabulary.
    """

    ids: dict[str, int]
    template: tuple[str, ...]
    pair: tuple[str, ...] = ()
    literal: bool = False
    alone: bool = False


def encoder_tokens(cls: int, sep: int, mask: int) -> SpecialTokens:
    """Of a model that reads `[CLS] text [SEP]`."""
    return SpecialTokens(
        {"cls_token": cls, "sep_token": sep, "mask_token": mask},
        ("cls_token", "$A", "sep_token"),
        ("cls_token", "$A", "sep_token", "$B:1", "sep_token:1"),
    )


def write_tokenizer(
    source: ModelFolder[Any], folder: Path, special: SpecialTokens, window: int
) -> dict[str, int]:
    """Write `tokenizer.json` and `tokenizer_config.json`.

    Returns:
        The ids of special tokens for `config.json`, `{"cls_token_id": 5, …, "pad_token_id": 1}`.

    Raises:
        Mismatch: a special token of the model has no room behind the vocabulary.
    """
    hf = HFTokenizer.from_str((source.path / TOKENIZER).read_text(encoding="utf-8"))
    tokenizer = source.tokenizer
    hf.no_padding()
    hf.no_truncation()
    ids = {"eos_token": tokenizer.eos, "pad_token": tokenizer.pad} | special.ids
    names = {role: _name_at(hf, role, id) for role, id in sorted(ids.items(), key=lambda item: item[1])}
    hf.post_processor = TemplateProcessing(
        single=[_placed(part, names) for part in special.template],
        pair=[_placed(part, names) for part in special.pair] or None,
        special_tokens=[(names[role], id) for role, id in special.ids.items()],
    )
    if special.alone:
        parts = [Split(Regex(f"[{HAN}]"), "isolated"), hf.pre_tokenizer]
        hf.pre_tokenizer = PreTokenizers([part for part in parts if part is not None])
    text = json.dumps(json.loads(hf.to_str()), ensure_ascii=False, indent=2) + "\n"
    (folder / TOKENIZER).write_text(text, encoding="utf-8")
    table: dict[str, object] = {"tokenizer_class": "PreTrainedTokenizerFast", **names}
    if unknown := [name for name in UNKNOWN if hf.token_to_id(name) is not None]:
        table["unk_token"] = unknown[0]
    table |= {"model_max_length": window, "clean_up_tokenization_spaces": False}
    if special.pair:
        table["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    if special.literal:
        table["split_special_tokens"] = True
    write_json(folder / "tokenizer_config.json", table)
    return {f"{role}_id": id for role, id in ids.items()}


def _name_at(hf: HFTokenizer, role: str, id: int) -> str:
    """The name of a special token; one that is new is put behind the vocabulary."""
    name = hf.id_to_token(id)
    if name is None:
        short = role.removesuffix("_token")
        free = (name for name in (f"[{short.upper()}]", f"<|{short}|>") if hf.token_to_id(name) is None)
        name = next(free, f"<|langue-{short}|>")  # text may have tokens of the usual names
    hf.add_special_tokens([AddedToken(name, special=True, normalized=False)])  # keeps the id that it has
    if hf.token_to_id(name) != id:
        raise Mismatch(
            f"the model has {name} at {id}, and its tokenizer would have it at {hf.token_to_id(name)}: "
            "there is no room for it behind the vocabulary"
        )
    return name


def _placed(part: str, names: dict[str, str]) -> str:
    role, colon, type_id = part.partition(":")
    return f"{names.get(role, role)}{colon}{type_id}"
