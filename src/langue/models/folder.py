"""The model folder: one model of any family on disk, with all that is needed to use it again.

model.json       family, configuration, fingerprints, what was measured; size and hash of the rest
tokenizer.json   the tokenizer it was trained with; a tagger that reads words has none
README.md        a model card, written above this layer from what is in model.json
metrics.jsonl    what was measured while it was trained by gradient, a line at a time
tensorboard/     the same for TensorBoard, if it was asked for
seed-0/          both of each seed, of what was trained from labeled data
…                weights or tables, written by the family itself
"""

import shutil
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar, cast

import msgspec

from langue.base.bounds import NonNegativeFloat, NonNegativeInt, Probability
from langue.base.checksums import FileRecords, check_seal, describe_files, sealed, verify_files
from langue.base.config import Config, convert, decode, encode
from langue.base.deprecated import rename_keys
from langue.base.errors import Damaged, InvalidSetting, NotFound, Unsupported
from langue.base.files import atomic_folder, copy_folder, read_json, write_json
from langue.base.remote import local
from langue.base.verified import verifying
from langue.corpus.normalize import Normalization
from langue.models.family import Family
from langue.models.registry import RENAMED as RENAMED_FAMILIES
from langue.models.registry import family as lookup
from langue.nn.quantized import Quantize, warn
from langue.nn.quantized import quantize as quantize_model
from langue.protocols import (
    Classifier,
    HiddenMarkov,
    Masked,
    Saved,
    Searchable,
    SentenceRanker,
    SpanPredictor,
    Tagger,
    Vocabulary,
)
from langue.tokens.preprocessing import RENAMED_KEYS, Preprocessing
from langue.tokens.store import MOST_IDS, TOKENIZER
from langue.tokens.tokenizer import Tokenizer

FORMAT = 1
DESCRIPTION = "model.json"
WITHOUT_IDS = (Tagger, SentenceRanker)  # what reads words, and need not have a vocabulary
DType = Literal["float32", "bfloat16", "float16"]

M = TypeVar("M", bound=Saved)
P = TypeVar("P", bound=Saved)


class VocabularyRecord(msgspec.Struct, omit_defaults=True):
    """Ids run from 0 to `size` - 1."""

    size: Annotated[int, msgspec.Meta(ge=1, le=MOST_IDS)]
    eos: NonNegativeInt
    sep: NonNegativeInt | None = None  # of a corpus of pairs

    def __post_init__(self) -> None:
        for name, id in (("eos", self.eos), ("sep", self.sep)):
            if id is not None and id >= self.size:
                raise ValueError(f"{name} is {id}, and ids run to {self.size - 1}")


class ValidFigures(msgspec.Struct):
    """Of a tagger on held-out sentences."""

    f1: NonNegativeFloat


class Figures(msgspec.Struct):
    """What all that reads a folder takes from `measured`, where each way of training writes more."""

    seconds: NonNegativeFloat
    share: Probability = 0.0  # of a ranker: sentences that a summary has
    valid: ValidFigures | list[Any] | None = None


class Description(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of `model.json`."""

    format: int
    family: str
    config: dict[str, Any]
    recipe: dict[str, Any]
    measured: dict[str, Any]  # training seconds, steps, validation figures: `Figures` and more
    size: dict[str, int]
    files: FileRecords
    # Of a model that reads token ids:
    vocabulary: VocabularyRecord | None = None
    tokenizer: str | None = None  # fingerprint
    normalization: dict[str, Any] | None = None
    documents: str | None = None  # how its training text was cut into documents
    store: str | None = None  # fingerprint of the token store it was trained on
    # Of a model trained on labeled data:
    data: dict[str, Any] | None = None  # the file: its form and fingerprint
    digest: str | None = None  # of all else that stands here; what earlier versions wrote has none

    def __post_init__(self) -> None:
        try:
            self.figures()
        except msgspec.ValidationError as error:
            raise ValueError(f"measured: {error}") from None

    def figures(self) -> Figures:
        return msgspec.convert(self.measured, Figures)


@dataclass(frozen=True)
class ModelFolder(Generic[M]):
    """What a model folder holds."""

    path: Path
    family: Family[M]
    config: Config
    model: M
    description: Description

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Read when it is first needed: of a large vocabulary, that takes as long as training an n-gram."""
        tokenizer, known = Tokenizer.load(self.path / TOKENIZER), self.description.vocabulary
        if known is not None and tokenizer.vocab_size > known.size:
            raise Damaged(
                f"{self.path / TOKENIZER} has {tokenizer.vocab_size:,} tokens, and the model knows "
                f"{known.size:,}: it is that of another model"
            )
        return tokenizer

    @cached_property
    def normalization(self) -> Normalization:
        return decode(Normalization, self.description.normalization or {}, f"{self.path}: normalization")

    @property
    def preprocessing(self) -> Preprocessing:
        """How texts become the ids it reads, for what is made of this model."""
        known = self.description
        assert known.tokenizer is not None and known.normalization is not None
        return Preprocessing(self.path / TOKENIZER, known.tokenizer, known.normalization, known.documents)

    @property
    def lines(self) -> bool:
        """Whether a text for it is one line, whose end `<eos>` spells: so its words were cut in training."""
        return self.description.documents == "line" and self.tokenizer.closed

    def require(self, protocol: type[P]) -> "ModelFolder[P]":
        """The same, known to hold a model of that protocol.

        Raises:
            Unsupported: it does not; the message says what the model is for.
        """
        if not isinstance(self.model, protocol):
            raise Unsupported(f"{self.path} ({self.family.name}) {_why_not(self.model, protocol)}")
        return cast("ModelFolder[P]", self)


# What is said of a model that reads labeled data, and of another where such a one is wanted.
NO_LANGUAGE_MODELS: dict[type[Any], str] = {
    Classifier: "is a classifier, not a language model; use langue classify",
    SpanPredictor: "finds spans that answer questions, and is no language model; use langue answer --model",
    SentenceRanker: "is a ranker of sentences, not a language model; use langue summarize --model",
}
HOW_TO_MAKE: dict[type[Any], str] = {
    Tagger: "is not a tagger; train one: langue train crf TAGGED -o MODEL",
    Classifier: "is no classifier; make one of an encoder: langue finetune MODEL DATA --task classify",
    SpanPredictor: "marks no answers; make one that does: langue finetune MODEL SQUAD --task span",
    SentenceRanker: "is no ranker of sentences; train one: langue train ranker PAIRS -o MODEL",
}


def _why_not(model: Saved, wanted: type[Any]) -> str:
    """What is to be said of a model that is asked for what it cannot do."""
    if isinstance(model, Tagger):
        return (
            "is a tagger: it says which tags a text has, not how likely the text is, so it has no bits "
            "per byte and continues no text; use langue tag"
        )
    for protocol, what in NO_LANGUAGE_MODELS.items():
        if isinstance(model, protocol):
            return what
    if wanted in HOW_TO_MAKE:
        return HOW_TO_MAKE[wanted]
    if isinstance(model, Masked):
        return (
            "reads in both directions, so no text has a probability from left to right: no bits per byte, "
            "no next token; see langue fill, embed and evaluate"
        )
    if wanted is Masked:
        return (
            "reads from left to right and sees nothing after a gap; train a model that does: "
            "langue train bert STORE"
        )
    if wanted is HiddenMarkov:
        return "has no hidden states; hmm and neural-hmm have"
    if wanted is Searchable:
        return "keeps no training text; train one that does: langue train infinigram STORE -o MODEL"
    return f"is no {wanted.__name__} model"


def save(
    path: Path,
    model: Saved,
    *,
    family: Family[Any],
    config: Config,
    recipe: Mapping[str, Any],
    measured: Mapping[str, Any],
    card: str,
    preprocessing: Preprocessing | None = None,
    vocabulary: Vocabulary | None = None,
    store: str | None = None,
    data: Mapping[str, Any] | None = None,
    records: Mapping[str, Path] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a model folder, whole or not at all.

    Args:
        preprocessing: of a model that reads token ids; its tokenizer is copied.
        vocabulary: of such a model.
        store: fingerprint of the token store it was trained on.
        data: of a model trained on labeled data, what is told of the file.
        card: text of `README.md`.
        records: files and folders that its training wrote, by the name under which each is copied.

    Raises:
        LangueError: the folder exists (and not `overwrite`), or the disk refuses.
    """
    with atomic_folder(path, marker=DESCRIPTION, overwrite=overwrite) as folder:
        model.save(folder)
        if preprocessing is not None:
            shutil.copyfile(preprocessing.tokenizer, folder / TOKENIZER)
        for name, record in (records or {}).items():
            (folder / name).parent.mkdir(exist_ok=True)
            if record.is_dir():
                copy_folder(record, folder / name)
            else:
                shutil.copyfile(record, folder / name)
        (folder / "README.md").write_text(card, encoding="utf-8")
        description = Description(
            format=FORMAT,
            family=family.name,
            config=encode(config),
            recipe=dict(recipe),
            measured=dict(measured),
            size=model.size(),
            files=describe_files(folder, below=True),
            vocabulary=VocabularyRecord(vocabulary.size, vocabulary.eos, vocabulary.sep)
            if vocabulary
            else None,
            tokenizer=preprocessing.fingerprint if preprocessing else None,
            normalization=preprocessing.normalization if preprocessing else None,
            documents=preprocessing.documents if preprocessing else None,
            store=store,
            data=dict(data) if data is not None else None,
        )
        write_json(folder / DESCRIPTION, sealed(msgspec.to_builtins(description)))


def _record(vocabulary: Vocabulary) -> VocabularyRecord:
    return VocabularyRecord(vocabulary.size, vocabulary.eos, vocabulary.sep)


def load(
    path: Path | str,
    *,
    verify: bool | None = None,
    device: str | None = None,
    dtype: DType = "float32",
    quantize: Quantize | None = None,
) -> ModelFolder[Any]:
    """Read the folder of a model of any family.

    Args:
        verify: read every file whole, compare its hash and look at what it holds; None: those that were
            touched since they last were, so that a model of mapped tables opens at once whatever its size.
            False: only sizes are compared.
        device: where a network is put, as torch names it; None: a GPU where there is one.
        dtype: of a network's weights.
        quantize: "int8" reads a network by products of int8, on a processor (`nn/compiled`).

    Raises:
        NotFound: no model is there.
        Damaged: a file is missing, cut or altered, or the format is another.
        Unsupported: it is to be quantized, and cannot be.
        InvalidSetting: the device or type is unknown, or the model is no network and has neither.
    """
    path = local(path)
    table = _read_table(path)
    description = _described(table, path)
    verify_files(path, description.files, hashes=verify)
    family = lookup(description.family)
    config = decode(family.config, description.config, f"{path / DESCRIPTION}: config", stored=True)
    known = description.vocabulary
    vocabulary = Vocabulary(known.size, known.eos, sep=known.sep) if known else Vocabulary(0, 0)
    with verifying("whole") if verify else nullcontext():
        model = family.load(path, config, vocabulary)
    check_seal(table, path / DESCRIPTION)
    if quantize is not None:
        if device not in (None, "cpu") or dtype != "float32":
            raise InvalidSetting(
                f"{quantize} is made of float32 on a processor: leave --device and --dtype out"
            )
        device = "cpu" if "torch" in sys.modules else None
        quantize_model(model, quantize, family=family.name, path=path)
        warn(path, description.digest)
    return ModelFolder(path, family, config, _move(model, device, dtype, path), description)


def _move(model: M, device: str | None, dtype: DType, path: Path) -> M:
    """A network on its device, in its type; anything else as it is."""
    torch = sys.modules.get("torch")  # a network is there only where its module has imported torch
    if torch is None or not isinstance(model, torch.nn.Module):
        if device not in (None, "cpu") or dtype != "float32":
            raise InvalidSetting(f"{path} is no network: leave device and dtype out")
        return model
    from langue.nn.device import best_device

    if dtype not in ("float32", "bfloat16", "float16"):
        raise InvalidSetting(f"unknown dtype {dtype}; known: float32, bfloat16, float16")
    try:
        placed: M = model.to(torch.device(device) if device else best_device(), getattr(torch, dtype)).eval()
    except (RuntimeError, AssertionError) as error:
        raise InvalidSetting(f"device {device}: {str(error).splitlines()[0]}") from None
    return placed


def describe(path: Path) -> Description:
    """`model.json` of a model folder, without loading the model.

    Raises:
        NotFound: no model is there.
        Damaged: the file is not of this format, or something in it is not what it must be; it is named.
    """
    table = _read_table(path)
    description = _described(table, path)
    check_seal(table, path / DESCRIPTION)
    return description


def _read_table(path: Path) -> dict[str, Any]:
    if not (path / DESCRIPTION).is_file():
        make = "make one: langue train FAMILY STORE -o"
        if path.is_file():
            raise NotFound(f"{path} is a file, not a model folder; {make} FOLDER")
        how = f"{make} {path}"
        if (path / "config.json").is_file():
            how = f"it looks like one of Hugging Face: langue import {path} -o FOLDER"
        raise NotFound(f"{path} is not a model folder (no {DESCRIPTION}); {how}")
    table = read_json(path / DESCRIPTION)
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise Damaged(
            f"{path / DESCRIPTION} is not of format {FORMAT}, which this langue reads; train it again"
        )
    return rename_keys(table, RENAMED_KEYS)


def _described(table: dict[str, Any], path: Path) -> Description:
    description = convert(Description, table, path / DESCRIPTION)
    description.family = RENAMED_FAMILIES.get(description.family, description.family)
    reads_ids = description.vocabulary is not None or lookup(description.family).makes not in WITHOUT_IDS
    for name in ("vocabulary", "tokenizer", "normalization"):
        if reads_ids and getattr(description, name) is None:
            raise Damaged(f"{path / DESCRIPTION} is damaged: {name} is missing; make it again")
    return description
