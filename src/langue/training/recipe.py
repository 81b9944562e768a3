"""Recipes: an experiment as TOML. `[model]`, `[training]`, `[data]` and `[tokenizer]`, all strict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from langue.base.config import Config, decode, encode, nearest, override, read_assignments, read_toml
from langue.base.deprecated import warn_renamed
from langue.base.errors import InvalidSetting, LangueError, Unsupported
from langue.corpus.config import DataConfig
from langue.corpus.summary_pairs import SummaryDataConfig
from langue.corpus.tagged import TaggedConfig
from langue.models.family import BUDGETS, Circumstances, Family
from langue.models.networks.rule import Rung
from langue.models.registry import RENAMED, is_family, names
from langue.models.registry import family as lookup
from langue.protocols import Classifier, SentenceRanker, Tagger
from langue.tokens.train import TokenizerConfig
from langue.training.config import RunConfig, TaggerRunConfig, TrainingConfig

Tables = dict[str, dict[str, Any]]  # by section
CHECKOUT = Path(__file__).parents[3] / "recipes"
INSTALLED = Path(__file__).parents[1] / "recipes"  # where the wheel puts them
SECTIONS = ("model", "training", "data", "tokenizer")


class Chosen(msgspec.Struct, frozen=True):
    """By what settings were chosen that a user left out, and why."""

    circumstances: Circumstances
    reason: str


@dataclass(frozen=True)
class Recipe:
    """What model to train, resolved: every default written out."""

    family: Family[Any]
    model: Config
    training: RunConfig | None = None  # of what learns by gradient; of a language model a `TrainingConfig`
    data: TaggedConfig | SummaryDataConfig | None = None  # of a tagger, a ranker: how its file is read
    initialize: Callable[[Any], None] | None = None  # gives a new model the weights that it begins with
    chosen: Chosen | None = None  # of what its user left out

    def to_table(self) -> dict[str, Any]:
        """The recipe as it is saved with the model."""
        sections = {"model": self.model, "training": self.training, "data": self.data}
        table = {"family": self.family.name} | {
            name: encode(section) for name, section in sections.items() if section is not None
        }
        return table | ({"chosen": msgspec.to_builtins(self.chosen)} if self.chosen is not None else {})


def read_recipe(
    name: str,
    assignments: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    *,
    complete: Callable[[Family[Any], Tables], Tables] | None = None,
) -> Recipe:
    """A recipe with settings changed.

    Args:
        name: of a family, of a recipe that comes with langue, or of a TOML file.
        assignments: as `--set` has them.
        settings: values by name, `order` or `training.minutes`.
        complete: adds to the tables what their user left out.

    Raises:
        LangueError: no such family or file, an unknown key (the nearest is named), a bad value.
    """
    tables = {} if is_family(name) else read_tables(name)
    named = str(tables.get("family", name))
    if named in RENAMED:
        warn_renamed(f"the family {named}", RENAMED[named])
    family = lookup(named)
    if (family.estimate is None and family.build is None) or family.makes is Classifier:
        task = " --task tag" if family.makes is Tagger else ""
        raise Unsupported(f"a {family.name} is made of a trained encoder: langue finetune MODEL DATA{task}")
    sections = sections_of(family)
    if "training" in tables and "training" not in sections:
        raise InvalidSetting(f"{name}: {family.name} has no [training]; its settings stand in [model]")
    shape = tables.get("model", {})
    if family.choose is not None and shape.keys() & set(Rung._fields) and "init_from" not in shape:
        # A file that gives numbers of a network means a published one: there was no rule when it was written.
        tables["model"] = {"size": encode(family.config())["size"], **shape}
    if sections.get("training") is TrainingConfig:
        asked = read_assignments(assignments) | dict(settings or {})
        given = {name.removeprefix("training."): value for name, value in asked.items()}
        tables["training"] = _beneath(given, tables.get("training", {}))
    chosen = override(
        {section: tables.get(section, {}) for section in sections}, assignments, sections, settings
    )
    if complete is not None:
        chosen = complete(family, chosen)
    decoded = {section: decode(form, chosen.get(section, {}), section) for section, form in sections.items()}
    return Recipe(family, **decoded)  # type: ignore[arg-type]  # each is decoded as what its field says


def sections_of(family: Family[Any]) -> dict[str, type[Config]]:
    """The sections that a recipe of a family has, by name."""
    sections: dict[str, type[Config]] = {"model": family.config}
    if family.makes is Tagger:
        sections["data"] = TaggedConfig
    if family.makes is SentenceRanker:
        sections["data"] = SummaryDataConfig
    if family.build is not None or family.composition is not None:  # whose parts may learn by gradient
        sections["training"] = TaggerRunConfig if family.makes is Tagger else TrainingConfig
    return sections


def read_data(
    path: Path | str | None, assignments: Sequence[str] = (), settings: Mapping[str, Any] | None = None
) -> tuple[DataConfig, TokenizerConfig]:
    """The sections of a recipe that `prepare` reads."""
    sections: dict[str, type[Config]] = {"data": DataConfig, "tokenizer": TokenizerConfig}
    tables = read_tables(str(path)) if path is not None else {}
    chosen = override({name: tables.get(name, {}) for name in sections}, assignments, sections, settings)
    return decode(DataConfig, chosen["data"], "data"), decode(
        TokenizerConfig, chosen["tokenizer"], "tokenizer"
    )


def own_recipes() -> dict[str, Path]:
    """The recipes that come with langue, by name."""
    folder = INSTALLED if INSTALLED.is_dir() else CHECKOUT
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def _beneath(given: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """A `[training]` table for what is given above it: a budget that is given takes the place of its own."""
    if any(given.get(budget) for budget in BUDGETS):
        return {key: value for key, value in table.items() if key not in BUDGETS}
    return dict(table)


def read_tables(name: str, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The tables of a TOML file, those of its `base` below them.

    Args:
        above: the files whose base this is.
    """
    path = Path(name)
    if path.suffix != ".toml" and not path.exists():
        known = own_recipes()
        if name not in known:
            raise LangueError(f"no family and no recipe {name}{nearest(name, [*names(), *known])}")
        path = known[name]
    if path.resolve() in above:
        raise LangueError(f"{path} is its own base, by way of {above[-1]}; a recipe must end somewhere")
    tables = read_toml(path)
    base: dict[str, Any] = {}
    if "base" in tables:
        base = read_tables(str(path.parent / str(tables.pop("base"))), (*above, path.resolve()))
    for key, value in tables.items():
        if key == "family":
            base[key] = value
        elif key in SECTIONS and isinstance(value, dict):
            below = base.get(key, {})
            base[key] = {**(_beneath(value, below) if key == "training" else below), **value}
        else:
            raise LangueError(f"{path}: unknown section {key}{nearest(key, ['family', 'base', *SECTIONS])}")
    if "family" not in base:
        raise LangueError(f'{path} names no family; write family = "gpt2" at the top')
    return base
