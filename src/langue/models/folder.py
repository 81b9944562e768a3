"""The model folder: one model of any family on disk, with all that is needed to use it again.

model.json       family, configuration, fingerprints, what was measured; size and hash of the rest
tokenizer.json   the tokenizer it was trained with; a tagger reads words and has none
README.md        a model card, written above this layer from what is in model.json
metrics.jsonl    what was measured while it was trained by gradient, a line at a time
…                weights or tables, written by the family itself
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from langue.base.config import Config, decode, encode
from langue.base.errors import LangueError
from langue.base.files import atomic_folder, describe_files, read_json, verify_files, write_json
from langue.models.registry import AnyFamily, ClassifierFamily, Family, TaggerFamily, lookup
from langue.protocols import Causal, Masked, Tagger, Vocabulary
from langue.tokens.store import TOKENIZER

FORMAT = 1
DESCRIPTION = "model.json"


@dataclass(frozen=True)
class Loaded:
    """What a model folder holds."""

    path: Path
    family: Family
    config: Config
    model: Causal | Masked
    description: dict[str, Any]  # model.json, whole

    @property
    def causal(self) -> Causal:
        """The model, which reads from left to right.

        Raises:
            LangueError: it does not.
        """
        if not isinstance(self.model, Causal):
            raise LangueError(
                f"{self.path} ({self.family.name}) reads in both directions, so no text has a probability "
                f"from left to right: no bits per byte, no next token; see langue fill, embed and evaluate"
            )
        return self.model

    @property
    def masked(self) -> Masked:
        """The model, which predicts hidden tokens from both sides.

        Raises:
            LangueError: it does not.
        """
        if not isinstance(self.model, Masked):
            raise LangueError(
                f"{self.path} ({self.family.name}) reads from left to right and sees nothing after a gap; "
                f"train a model that does: langue train bert STORE"
            )
        return self.model


@dataclass(frozen=True)
class LoadedTagger:
    """What the folder of a tagger holds."""

    path: Path
    family: TaggerFamily
    config: Config
    model: Tagger
    description: dict[str, Any]  # model.json, whole


@dataclass(frozen=True)
class LoadedClassifier:
    """What the folder of a classifier holds."""

    path: Path
    config: Config
    model: Any  # `models.classifier.Classifier`
    description: dict[str, Any]  # model.json, whole


class Description(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of `model.json`."""

    format: int
    family: str
    config: dict[str, Any]
    recipe: dict[str, Any]
    measured: dict[str, Any]  # training seconds, steps, validation figures
    size: dict[str, int]
    files: dict[str, dict[str, Any]]
    # Of a language model:
    vocabulary: dict[str, int] | None = None
    tokenizer: str | None = None  # fingerprint
    normalisation: dict[str, Any] | None = None
    store: str | None = None  # fingerprint of the token store it was trained on
    # Of a tagger or classifier:
    data: dict[str, Any] | None = None  # the labelled file it was trained on: its form and fingerprint


def save(
    path: Path,
    *,
    family: Family,
    config: Config,
    model: Causal | Masked,
    store: Path,
    manifest: Mapping[str, Any],
    recipe: Mapping[str, Any],
    measured: Mapping[str, Any],
    card: str,
    metrics: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Write a model folder, whole or not at all.

    Args:
        store: folder of the token store the model was trained on; its tokenizer is copied.
        manifest: the manifest of that store.
        card: text of `README.md`.
        metrics: the JSON lines of its training, which are copied.

    Raises:
        LangueError: the folder exists (and not `overwrite`), or the disk refuses.
    """
    with atomic_folder(path, marker=DESCRIPTION, overwrite=overwrite) as folder:
        model.save(folder)
        shutil.copyfile(store / TOKENIZER, folder / TOKENIZER)
        if metrics is not None:
            shutil.copyfile(metrics, folder / metrics.name)
        (folder / "README.md").write_text(card, encoding="utf-8")
        _describe(
            folder,
            family=family.name,
            config=encode(config),
            recipe=dict(recipe),
            measured=dict(measured),
            size=model.size(),
            vocabulary={"size": model.vocabulary.size, "eos": model.vocabulary.eos},
            tokenizer=manifest["tokenizer"]["fingerprint"],
            normalisation=manifest["normalisation"],
            store=manifest["fingerprint"],
        )


def save_tagger(
    path: Path,
    *,
    family: TaggerFamily,
    config: Config,
    model: Tagger,
    data: Mapping[str, Any],
    recipe: Mapping[str, Any],
    measured: Mapping[str, Any],
    card: str,
    overwrite: bool = False,
) -> None:
    """`save` for a tagger, which has no tokenizer and no store; `data` says what file it learned from."""
    with atomic_folder(path, marker=DESCRIPTION, overwrite=overwrite) as folder:
        model.save(folder)
        (folder / "README.md").write_text(card, encoding="utf-8")
        _describe(
            folder,
            family=family.name,
            config=encode(config),
            recipe=dict(recipe),
            measured=dict(measured),
            size=model.size(),
            data=dict(data),
        )


def save_classifier(
    path: Path,
    *,
    config: Config,
    model: Any,
    encoder: Loaded,
    data: Mapping[str, Any],
    recipe: Mapping[str, Any],
    measured: Mapping[str, Any],
    card: str,
    overwrite: bool = False,
) -> None:
    """`save` for a classifier; its tokenizer and normalisation are those of the encoder it comes from."""
    with atomic_folder(path, marker=DESCRIPTION, overwrite=overwrite) as folder:
        model.save(folder)
        shutil.copyfile(encoder.path / TOKENIZER, folder / TOKENIZER)
        (folder / "README.md").write_text(card, encoding="utf-8")
        _describe(
            folder,
            family="classifier",
            config=encode(config),
            recipe=dict(recipe),
            measured=dict(measured),
            size=model.size(),
            data=dict(data),
            **{name: encoder.description[name] for name in ("vocabulary", "tokenizer", "normalisation")},
        )


def _describe(folder: Path, **fields: Any) -> None:
    description = Description(format=FORMAT, files=describe_files(folder), **fields)
    write_json(folder / DESCRIPTION, msgspec.to_builtins(description))


def load(path: Path | str, *, verify: bool = True) -> Loaded:
    """Read the folder of a language model.

    Args:
        verify: read every file whole and compare its hash. Without it, only sizes are compared, and
            a model of mapped tables opens at once whatever its size.

    Raises:
        LangueError: no model is there, a file is missing or damaged, the format is another, or it is a
            tagger, which has no probability of a text.
    """
    path, description, kind, config = _open(path, verify=verify)
    if isinstance(kind, TaggerFamily):
        raise LangueError(
            f"{path} is a tagger ({kind.name}): it says which tags a text has, not how likely the text is, "
            f"so it has no bits per byte and continues no text; use langue tag {path} TEXT"
        )
    if isinstance(kind, ClassifierFamily):
        raise LangueError(f"{path} is a classifier, not a language model; use langue classify {path} TEXT")
    model = kind.load(path, config, _vocabulary(description))
    return Loaded(path, kind, config, model, msgspec.to_builtins(description))


def load_classifier(path: Path | str) -> LoadedClassifier:
    """Read the folder of a classifier.

    Raises:
        LangueError: as `load`, or it is no classifier.
    """
    path, description, kind, config = _open(path)
    if not isinstance(kind, ClassifierFamily):
        raise LangueError(
            f"{path} is no classifier ({kind.name}); make one of an encoder: "
            "langue finetune MODEL DATA --task classify -o FOLDER"
        )
    model = kind.load(path, config, _vocabulary(description))
    return LoadedClassifier(path, config, model, msgspec.to_builtins(description))


def _vocabulary(description: Description) -> Vocabulary:
    assert description.vocabulary is not None
    return Vocabulary(description.vocabulary["size"], description.vocabulary["eos"])


def load_tagger(path: Path | str) -> LoadedTagger:
    """Read the folder of a tagger.

    Raises:
        LangueError: as `load`, or it is a language model.
    """
    path, description, kind, config = _open(path)
    if not isinstance(kind, TaggerFamily):
        raise LangueError(
            f"{path} is of the family {kind.name}, not a tagger; train one: langue train crf TAGGED -o MODEL"
        )
    return LoadedTagger(path, kind, config, kind.load(path, config), msgspec.to_builtins(description))


def is_tagger(path: Path | str) -> bool:
    """Whether the model in a folder is a tagger."""
    return isinstance(lookup(describe(Path(path)).family), TaggerFamily)


def is_classifier(path: Path | str) -> bool:
    """Whether the model in a folder is a classifier."""
    return isinstance(lookup(describe(Path(path)).family), ClassifierFamily)


def _open(path: Path | str, *, verify: bool = True) -> tuple[Path, Description, AnyFamily, Config]:
    path = Path(path)
    description = describe(path)
    verify_files(path, description.files, hashes=verify)
    kind = lookup(description.family)
    return path, description, kind, decode(kind.config, description.config, f"{path / DESCRIPTION}: config")


def describe(path: Path) -> Description:
    """`model.json` of a model folder, without loading the model."""
    if not (path / DESCRIPTION).is_file():
        how = f"make one: langue train FAMILY STORE -o {path}"
        if (path / "config.json").is_file():
            how = f"it looks like one of Hugging Face: langue import {path} -o FOLDER"
        raise LangueError(f"{path} is not a model folder (no {DESCRIPTION}); {how}")
    table = read_json(path / DESCRIPTION)
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise LangueError(
            f"{path / DESCRIPTION} is not of format {FORMAT}, which this langue reads; train it again"
        )
    try:
        return msgspec.convert(table, Description)
    except msgspec.ValidationError as error:
        raise LangueError(f"{path / DESCRIPTION} is damaged: {error}") from None
