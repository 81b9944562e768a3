"""Recipes: an experiment as TOML. `[model]`, `[training]`, `[data]` and `[tokenizer]`, all strict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langue.base.config import Config, decode, encode, nearest, override, read_toml
from langue.base.errors import LangueError
from langue.corpus.config import DataConfig
from langue.corpus.tagged import TaggedConfig
from langue.models.registry import MODULES, ClassifierFamily, Family, TaggerFamily, lookup
from langue.tokens.train import TokenizerConfig
from langue.training.config import TrainingConfig

CHECKOUT = Path(__file__).parents[3] / "recipes"
INSTALLED = Path(__file__).parents[1] / "recipes"  # where the wheel puts them
SECTIONS = ("model", "training", "data", "tokenizer")


@dataclass(frozen=True)
class Recipe:
    """What language model to train, resolved: every default written out."""

    family: Family
    model: Config
    training: TrainingConfig | None  # None: the family is estimated by counts

    def to_table(self) -> dict[str, Any]:
        """The recipe as it is saved with the model."""
        tables = {"family": self.family.name, "model": encode(self.model)}
        return tables | ({"training": encode(self.training)} if self.training else {})


@dataclass(frozen=True)
class TaggerRecipe:
    """What tagger to train, and how to read the labelled file it learns from."""

    family: TaggerFamily
    model: Config
    data: TaggedConfig

    def to_table(self) -> dict[str, Any]:
        """The recipe as it is saved with the model."""
        return {"family": self.family.name, "model": encode(self.model), "data": encode(self.data)}


def read_recipe(
    name: str, assignments: Sequence[str] = (), settings: Mapping[str, Any] | None = None
) -> Recipe:
    """The recipe of a language model; arguments and errors as those of `read_any_recipe`."""
    recipe = read_any_recipe(name, assignments, settings)
    if isinstance(recipe, TaggerRecipe):
        raise LangueError(f"{recipe.family.name} is a tagger, and learns from a labelled file, not a store")
    return recipe


def read_any_recipe(
    name: str, assignments: Sequence[str] = (), settings: Mapping[str, Any] | None = None
) -> Recipe | TaggerRecipe:
    """A recipe with settings changed.

    Args:
        name: of a family, of a recipe that comes with langue, or of a TOML file.
        assignments: as `--set` has them.
        settings: values by name, `order` or `training.minutes`.

    Raises:
        LangueError: no such family or file, an unknown key (the nearest is named), a bad value.
    """
    tables = {} if name in MODULES else _tables(name)
    kind = lookup(str(tables.get("family", name)))
    if isinstance(kind, ClassifierFamily):
        raise LangueError(f"a {kind.name} is made of a trained encoder: langue finetune MODEL DATA")
    if isinstance(kind, TaggerFamily) and kind.fit is None and kind.create is None:
        raise LangueError(f"{kind.name} is made of a trained encoder: langue finetune MODEL DATA --task tag")
    sections: dict[str, type[Config]] = {"model": kind.config}
    if isinstance(kind, TaggerFamily):
        sections["data"] = TaggedConfig
    elif kind.estimated_by == "gradient":
        sections["training"] = TrainingConfig
    if "training" in tables and "training" not in sections:
        raise LangueError(f"{name}: {kind.name} has no [training]; its settings stand in [model]")
    chosen = override(
        {section: tables.get(section, {}) for section in sections}, assignments, sections, settings
    )
    decoded = {section: decode(form, chosen.get(section, {}), section) for section, form in sections.items()}
    if isinstance(kind, TaggerFamily):
        data = decoded["data"]
        assert isinstance(data, TaggedConfig)
        return TaggerRecipe(kind, decoded["model"], data)
    training = decoded.get("training")
    assert training is None or isinstance(training, TrainingConfig)
    return Recipe(kind, decoded["model"], training)


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


def own_recipes() -> dict[str, Path]:
    """The recipes that come with langue, by name."""
    folder = INSTALLED if INSTALLED.is_dir() else CHECKOUT
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def _tables(name: str) -> dict[str, Any]:
    """The tables of a TOML file, those of its `base` below them."""
    path = Path(name)
    if path.suffix != ".toml" and not path.exists():
        known = own_recipes()
        if name not in known:
            raise LangueError(f"no family and no recipe {name}{nearest(name, [*MODULES, *known])}")
        path = known[name]
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
