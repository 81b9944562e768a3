"""The model folder: one model of any family on disk, with all that is needed to use it again.

model.json       family, configuration, fingerprints, what was measured; size and hash of the rest
tokenizer.json   the tokenizer it was trained with
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
from langue.models.protocol import Causal, Vocabulary
from langue.models.registry import Family, family
from langue.tokens.store import TOKENIZER

FORMAT = 1
DESCRIPTION = "model.json"


@dataclass(frozen=True)
class Loaded:
    """What a model folder holds."""

    path: Path
    family: Family
    config: Config
    model: Causal
    description: dict[str, Any]  # model.json, whole


class Description(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of `model.json`."""

    format: int
    family: str
    config: dict[str, Any]
    vocabulary: dict[str, int]
    tokenizer: str  # fingerprint
    normalisation: dict[str, Any]
    store: str  # fingerprint of the token store it was trained on
    recipe: dict[str, Any]
    measured: dict[str, Any]  # training seconds, steps, validation figures
    size: dict[str, int]
    files: dict[str, dict[str, Any]]


def save(
    path: Path,
    *,
    family: Family,
    config: Config,
    model: Causal,
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
        description = Description(
            format=FORMAT,
            family=family.name,
            config=encode(config),
            vocabulary=model.vocabulary._asdict(),
            tokenizer=manifest["tokenizer"]["fingerprint"],
            normalisation=manifest["normalisation"],
            store=manifest["fingerprint"],
            recipe=dict(recipe),
            measured=dict(measured),
            size=model.size(),
            files=describe_files(folder),
        )
        write_json(folder / DESCRIPTION, msgspec.to_builtins(description))


def load(path: Path | str) -> Loaded:
    """Read a model folder of any family.

    Raises:
        LangueError: no model is there, a file is missing or damaged, the format is another.
    """
    path = Path(path)
    description = describe(path)
    verify_files(path, description.files)
    kind = family(description.family)
    config = decode(kind.config, description.config, f"{path / DESCRIPTION}: config")
    model = kind.load(path, config, Vocabulary(**description.vocabulary))
    return Loaded(path, kind, config, model, msgspec.to_builtins(description))


def describe(path: Path) -> Description:
    """`model.json` of a model folder, without loading the model."""
    if not (path / DESCRIPTION).is_file():
        raise LangueError(
            f"{path} is not a model folder (no {DESCRIPTION}); make one: langue train FAMILY STORE -o {path}"
        )
    table = read_json(path / DESCRIPTION)
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise LangueError(
            f"{path / DESCRIPTION} is not of format {FORMAT}, which this langue reads; train it again"
        )
    try:
        return msgspec.convert(table, Description)
    except msgspec.ValidationError as error:
        raise LangueError(f"{path / DESCRIPTION} is damaged: {error}") from None
