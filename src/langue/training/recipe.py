"""Recipes: an experiment as TOML. `[model]`, `[training]`, `[data]` and `[tokenizer]`, all strict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langue.base.config import Config, decode, encode, nearest, override, read_toml
from langue.base.errors import LangueError
from langue.corpus.config import DataConfig
from langue.corpus.tagged import TaggedConfig
from langue.models.registry import MODULES, Family, TaggerFamily, family
from langue.tokens.train import TokenizerConfig
from langue.training.config import TrainingConfig

SECTIONS = ("model", "training", "data", "tokenizer")


@dataclass(frozen=True)
class Recipe:
    """What to train, resolved: every default written out."""

    family: Family | TaggerFamily
    model: Config
    training: TrainingConfig | None = None  # None: the family is estimated by counts
    data: TaggedConfig | None = None  # None: the family learns from a token store

    def to_table(self) -> dict[str, Any]:
        """The recipe as it is saved with the model."""
        sections = {"model": self.model, "training": self.training, "data": self.data}
        tables = {name: encode(section) for name, section in sections.items() if section is not None}
        return {"family": self.family.name, **tables}


def read_recipe(
    name: str, assignments: Sequence[str] = (), settings: Mapping[str, Any] | None = None
) -> Recipe:
    """A recipe from the name of a family or a TOML file, with settings changed.

    Args:
        assignments: as `--set` has them.
        settings: values by name, `order` or `training.minutes`.

    Raises:
        LangueError: no such family or file, an unknown key (the nearest is named), a bad value.
    """
    tables = {} if name in MODULES else _tables(name)
    kind = family(str(tables.get("family", name)))
    sections = _sections(kind)
    if "training" in tables and "training" not in sections:
        raise LangueError(f"{name}: {kind.name} has its settings in [model]; remove [training]")
    chosen = override(
        {section: tables.get(section, {}) for section in sections}, assignments, sections, settings
    )
    decoded = {section: decode(form, chosen.get(section, {}), section) for section, form in sections.items()}
    training, data = decoded.get("training"), decoded.get("data")
    assert training is None or isinstance(training, TrainingConfig)
    assert data is None or isinstance(data, TaggedConfig)
    return Recipe(kind, decoded["model"], training, data)


def _sections(kind: Family | TaggerFamily) -> dict[str, type[Config]]:
    """What a recipe of that family consists of, when it trains."""
    if isinstance(kind, TaggerFamily):
        return {"model": kind.config, "data": TaggedConfig}
    if kind.estimated_by == "gradient":
        return {"model": kind.config, "training": TrainingConfig}
    return {"model": kind.config}


def read_data(
    path: Path | str | None, assignments: Sequence[str] = (), settings: Mapping[str, Any] | None = None
) -> tuple[DataConfig, TokenizerConfig]:
    """The sections of a recipe that `prepare` reads."""
    sections: dict[str, type[Config]] = {"data": DataConfig, "tokenizer": TokenizerConfig}
    tables = _tables(str(path)) if path is not None else {}
    chosen = override({name: tables.get(name, {}) for name in sections}, assignments, sections, settings)
    return decode(DataConfig, chosen["data"], "data"), decode(
        TokenizerConfig, chosen["tokenizer"], "tokenizer"
    )


def _tables(name: str) -> dict[str, Any]:
    """The tables of a TOML file, those of its `base` below them."""
    path = Path(name)
    if not path.exists() and path.suffix != ".toml":
        raise LangueError(f"no family and no recipe file {name}{nearest(name, list(MODULES))}")
    tables = read_toml(path)
    base = _tables(str(path.parent / str(tables.pop("base")))) if "base" in tables else {}
    for key, value in tables.items():
        if key == "family":
            base[key] = value
        elif key in SECTIONS and isinstance(value, dict):
            base[key] = {**base.get(key, {}), **value}
        else:
            raise LangueError(f"{path}: unknown section {key}{nearest(key, ['family', 'base', *SECTIONS])}")
    if "family" not in base:
        raise LangueError(f'{path} names no family; write family = "gpt2" at the top')
    return base
