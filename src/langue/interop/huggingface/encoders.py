"""What BERT, ALBERT and ELECTRA have in common as folders of Hugging Face.

A head is read whole or not at all: without the one that predicts hidden tokens a model embeds and is
fine-tuned, and fills no gaps; nothing that was drawn at random ever answers.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import torch

from langue.base.config import decode
from langue.base.errors import Damaged
from langue.interop.formats import ImportedModel
from langue.interop.huggingface.folder import HFFolder, HFModel
from langue.interop.huggingface.names import (
    Names,
    Weights,
    check_tied,
    check_whole,
    normalize_names,
    rename_from_hf,
    rename_to_hf,
)
from langue.interop.huggingface.tokenizer import encoder_tokens
from langue.models.encoders.base import MaskedModel
from langue.models.encoders.config import MaskedConfig
from langue.models.family import Family
from langue.models.folder import ModelFolder
from langue.protocols import Vocabulary

# Theirs → the only values that a family here computes; a key that is missing has the first.
FIXED: dict[str, tuple[object, ...]] = {
    "position_embedding_type": ("absolute",),
    "type_vocab_size": (2,),
    "layer_norm_eps": (1e-12,),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
}
ROLES = _, _, MASK = ("[CLS]", "[SEP]", "[MASK]")
AS_TEXT = (
    f"the reading as text of {MASK}, <eos> and other tokens' names where no gap is to be filled: give "
    "split_special_tokens=True"
)
FOREIGN = ("classifier.", "qa_outputs.")  # heads of fine-tuned models
# langue's parts of the two heads that an encoder is trained with
MASKED_HEAD, PAIR_HEAD, POOLER = HEADS = "prediction.", "relation.", "pooler."


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """One architecture."""

    prefix: str  # of its tensors, as `bert.`
    family: Family[Any]
    model: Callable[[Any, Vocabulary], Any]  # its class
    fixed: dict[str, tuple[object, ...]]
    names: Callable[[Any], Names]  # of a configuration
    heads: tuple[str, ...]  # prefixes of the tensors of its own heads
    tied: tuple[tuple[str, str], ...]  # tensors that are others once more
    sentence_pairs: str = "none"  # its task on pairs of passages, where it has that head


def read(encoder: Encoder, folder: HFFolder, more: dict[str, Any]) -> ImportedModel:
    """The model of a folder.

    Args:
        more: further settings of the family.

    Raises:
        LangueError: a file is missing or damaged, the model is of another kind, or it has a part that the
            family has not.
    """
    folder.check_fixed(encoder.fixed)
    rows = folder.integer("vocab_size")
    settings: dict[str, Any] = {
        "layers": folder.integer("num_hidden_layers"),
        "width": folder.integer("hidden_size"),
        "heads": folder.integer("num_attention_heads"),
        "d_ff": folder.integer("intermediate_size"),
        "context": folder.integer("max_position_embeddings"),
        "dropout": folder.table.get("hidden_dropout_prob", 0.0),  # by which it is fine-tuned
        "padded_vocab_size": rows,
        "special_ids": _special_ids(folder, rows),
        **more,
    }
    folder.check_rows(rows)
    with folder.named():
        weights, foreign = split_weights(encoder, folder.weights())
        if settings["layers"] > len(weights):
            raise Damaged(f"config.json says {settings['layers']:,} layers, and the file has fewer tensors")
        probe = decode(encoder.family.config, {**settings, "sentence_pairs": "none"}, str(folder.config_path))
        whole, broken = _heads(encoder.names(probe), weights)
        left_out = [f"{name}, a head of another task" for name in foreign]
        left_out += [f"{name}, as the rest of its head is missing" for name in broken]
        settings["no_mlm_head"] = MASKED_HEAD not in whole
        settings["sentence_pairs"] = encoder.sentence_pairs if {PAIR_HEAD, POOLER} <= whole else "none"
        if POOLER in whole and settings["sentence_pairs"] == "none":
            settings["pooler"] = True
        if PAIR_HEAD in whole and POOLER not in whole:
            raise Damaged("the model has a head for pairs of passages, and no pooler, which that head reads")
        config = decode(encoder.family.config, settings, str(folder.config_path))
        assert isinstance(config, MaskedConfig)
        tokenizer = folder.tokenizer
        kept = {name: part for name, part in weights.items() if name not in broken}
        model = from_hf(encoder, config, Vocabulary(tokenizer.vocab_size, tokenizer.eos), kept)
    if settings["no_mlm_head"]:
        left_out.append("there is no head for hidden tokens: it embeds and is fine-tuned, and fills no gaps")
    return ImportedModel(
        family=encoder.family,
        config=config,
        model=model.eval(),
        tokenizer_json=folder.tokenizer_json,
        fingerprint=tokenizer.fingerprint,
        normalization=folder.normalization,
        left_out=tuple(left_out),
    )


def split_weights(encoder: Encoder, weights: Weights) -> tuple[Weights, list[str]]:
    """The weights by the names of today, ties checked; and the names of tensors of other tasks, left out."""
    weights = normalize_names(weights, encoder.prefix, (*encoder.heads, *FOREIGN))
    for name, twin in encoder.tied:
        check_tied(weights, name, twin)
    foreign = sorted(name for name in weights if name.startswith(FOREIGN))
    return {name: part for name, part in weights.items() if name not in foreign}, foreign


def _heads(names: Names, weights: Weights) -> tuple[set[str], list[str]]:
    """The heads that are there whole, and the tensors of those that are there in part."""
    whole, broken = set(), []
    for head in HEADS:
        wanted = [name for target, group in names.items() if target.startswith(head) for name in group]
        given = [name for name in wanted if name in weights]
        if wanted and len(given) == len(wanted):
            whole.add(head)
        else:
            broken += given
    return whole, broken


def from_hf(
    encoder: Encoder, config: MaskedConfig, vocabulary: Vocabulary, weights: Weights, seed: int = 0
) -> Any:
    """The model with the weights of an encoder of Hugging Face.

    A head that is not among them, as `BertModel` has none, keeps the random weights of `seed`; `config` says
    that there is none.

    Raises:
        LangueError: the weights are of another shape or kind of model.
    """
    weights, _ = split_weights(encoder, weights)
    names = encoder.names(config)
    given = rename_from_hf(names, weights)
    with torch.device("meta"):  # so that no memory is asked for that the file has no tensors for
        expected = encoder.model(config, vocabulary).state_dict()
    heads = {name: part for name, part in expected.items() if name.startswith(HEADS)}
    # A head that the configuration is without is not loaded.
    given = {name: part for name, part in given.items() if name in expected or not name.startswith(HEADS)}
    check_whole(expected, heads | given, names)
    assert encoder.family.build is not None
    model = encoder.family.build(config, vocabulary, seed)
    model.load_state_dict({**model.state_dict(), **given})
    return model


def to_hf(
    encoder: Encoder, model: MaskedModel, name: str, settings: dict[str, Any], *, epsilon: float
) -> tuple[dict[str, Any], Weights]:
    """The configuration and the weights of an encoder with its heads; without one that is not trained.

    Args:
        name: of the architecture, as `Bert`.
        settings: what only its `config.json` has.
    """
    config, state = model.config, model.state_dict()
    if model.no_mlm_head:
        use = "Model"
        state = {key: part for key, part in state.items() if not key.startswith((MASKED_HEAD, PAIR_HEAD))}
    else:
        use = "ForMaskedLM" if model.relation is None else "ForPreTraining"
    table = {"architectures": [name + use], **settings, **config_table(model, config, epsilon=epsilon)}
    weights = rename_to_hf(encoder.names(config), state)
    if not model.no_mlm_head:
        weights |= {tied: weights[twin] for tied, twin in encoder.tied}
    return table, weights


def encoder_to_hf(module: str, model: MaskedModel, *, pooler: bool) -> tuple[dict[str, Any], Weights]:
    """The configuration and the weights of an encoder that another head stands on, without its own.

    Args:
        module: of its kind, with `to_hf` and `ENCODER`.
        pooler: whether the layer behind `[CLS]` is a part of it.
    """
    kind = import_module(module)
    table, weights = kind.to_hf(model)
    prefix: str = kind.ENCODER.prefix
    kept = {
        name: part
        for name, part in weights.items()
        if name.startswith(prefix) and (pooler or not name.startswith(f"{prefix}pooler."))
    }
    return table, kept


def use_of(model: MaskedModel) -> str:
    """What a user of transformers writes first."""
    task = "feature-extraction" if model.no_mlm_head else "fill-mask"
    text = "…" if model.no_mlm_head else f"… {MASK} …"
    return f'transformers.pipeline("{task}", FOLDER)("{text}")'


def config_table(model: MaskedModel, config: Any, *, epsilon: float) -> dict[str, Any]:
    """What the `config.json` of every encoder has."""
    L, C, H, T = config.shape
    return {
        "vocab_size": len(model.output[0]),
        "hidden_size": C,
        "num_hidden_layers": L,
        "num_attention_heads": H,
        "intermediate_size": config.d_ff or 4 * C,
        "max_position_embeddings": T,
        "type_vocab_size": 2,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
        "layer_norm_eps": epsilon,
    }


def folder_of(
    source: ModelFolder[Any],
    table: dict[str, Any],
    weights: Weights,
    use: str,
    left_out: tuple[str, ...] = (),
) -> HFModel:
    """What an encoder, or what is made of it, is written as."""
    gaps = MASK in use
    return HFModel(
        config=table,
        weights=weights,
        special=replace(encoder_tokens(*source.model.specials), literal=not gaps),
        window=source.model.window,
        use=use,
        left_out=left_out + ((AS_TEXT,) if gaps else ()),
    )


def _special_ids(folder: HFFolder, rows: int) -> list[int]:
    """`[CLS]`, `[SEP]` and `[MASK]`: by what langue wrote, else by their names in the vocabulary."""
    ids = [folder.table.get(f"{name}_token_id") for name in ("cls", "sep", "mask")]
    if not all(isinstance(id, int) for id in ids):
        added = folder.tokenizer_table.get("added_tokens", [])
        by_name = {token["content"]: token["id"] for token in added}
        missing = [name for name in ROLES if name not in by_name]
        if missing:
            raise Damaged(f"{folder.path}: its tokenizer has no token {missing[0]}, which an encoder reads")
        ids = [by_name[name] for name in ROLES]
    special = [int(id) for id in ids if isinstance(id, int)]
    if len(set(special)) != 3 or not all(0 <= id < rows for id in special):
        raise Damaged(f"{folder.config_path} is damaged: {special} are no ids of {', '.join(ROLES)}")
    return special
