"""What folders with a causal Transformer have in common, whichever paper its blocks are of.

langue reads the end of a document before the first token of a text. The exported tokenizer puts it there, so
that a text encoded as usual is scored and continued as here. A model of others may begin a text with another
token than the one that ends it (`<s>`, `[CLS]`): then the embedding of that one takes the place of the end's,
which nothing reads but the first token; the output matrix stays as it was, and is one of its own.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from langue.base.config import decode
from langue.base.errors import Damaged, Mismatch, Unsupported
from langue.base.progress import log
from langue.interop.formats import ImportedModel
from langue.interop.huggingface.folder import CONFIG, HFFolder, HFModel
from langue.interop.huggingface.names import Names, Weights, check_whole
from langue.interop.huggingface.tokenizer import SpecialTokens
from langue.models.folder import ModelFolder
from langue.models.networks.config import GPT2Config
from langue.models.networks.gpt2 import FAMILY, GPT2
from langue.protocols import Vocabulary

EMBEDDING, HEAD = "wte.weight", "lm_head.weight"


def read_as_gpt2(
    folder: HFFolder,
    settings: dict[str, Any],
    weights: Weights,
    build: Callable[[GPT2Config, Vocabulary, Weights], GPT2],
) -> ImportedModel:
    """The model of a folder.

    Args:
        settings: of the family, `tied` as the configuration has it.
        weights: the embedding and the output matrix by langue's names, all others as `build` wants them.
        build: makes the model of its weights.

    Raises:
        LangueError: the weights do not fit the settings, or the tokenizer is another's.
    """
    rows = folder.integer("vocab_size")
    folder.check_rows(rows)
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
        model = build(config, Vocabulary(tokenizer.vocab_size, tokenizer.eos), weights).eval()
    return ImportedModel(
        family=FAMILY,
        config=config,
        model=model,
        tokenizer_json=folder.tokenizer_json,
        fingerprint=tokenizer.fingerprint,
        normalization=folder.normalization,
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


def with_weights(config: GPT2Config, vocabulary: Vocabulary, weights: Weights, names: Names) -> GPT2:
    """A model with weights by langue's names.

    Args:
        names: those that they have in the file.

    Raises:
        LangueError: the weights are of another shape or kind of model.
    """
    if config.tied and HEAD in weights and EMBEDDING in weights:
        if not torch.equal(weights[HEAD], weights[EMBEDDING]):
            raise Unsupported(f"{HEAD} differs from {EMBEDDING}: read it with tied = false")
        del weights[HEAD]
    with torch.device("meta"):  # so that no memory is asked for that the file has no tensors for
        check_whole(GPT2(config, vocabulary).state_dict(), weights, names)
    model = GPT2(config, vocabulary)
    model.load_state_dict(weights)
    return model


def refuse_options(config: GPT2Config, architecture: str, has: Mapping[str, Any]) -> None:
    """Raise `Unsupported` where a setting is not what an architecture has; it names all, and what to set."""
    others = {name: getattr(config, name) for name, value in has.items() if getattr(config, name) != value}
    if others:
        asked = ", ".join(f"{name} = {_toml(value)}" for name, value in others.items())
        train = " ".join(f"{name}={_toml(has[name])}" for name in others)
        raise Unsupported(f"{architecture} has no {asked}; train with --set {train}")


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_folder(source: ModelFolder[Any], table: dict[str, Any], weights: Weights) -> HFModel:
    """What a model is written as, from the `config.json` and the weights of its architecture."""
    model: GPT2 = source.model
    eos = source.tokenizer.eos
    common = {"vocab_size": model.vocabulary.size, "tie_word_embeddings": model.config.tied}
    return HFModel(
        config=table | common,
        weights=weights,
        special=SpecialTokens({"bos_token": eos, "eos_token": eos}, ("bos_token", "$A"), literal=True),
        window=model.config.shape.context,
        use='transformers.pipeline("text-generation", FOLDER)("…")',
    )
