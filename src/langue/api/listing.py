"""What there is to train and to set: families, recipes, and every setting with its default and reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langue.base.options import Option, options_of
from langue.models.family import Family
from langue.models.registry import family as lookup
from langue.models.registry import names
from langue.protocols import Tagger


@dataclass(frozen=True)
class FamilyEntry:
    """A family and, where they were asked for, its settings by section."""

    name: str
    summary: str
    makes: str  # the protocol of its models: Causal, Masked, Tagger, Classifier
    estimated_by: str
    learns_from: str
    options: dict[str, list[Option]]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "summary": self.summary,
            "makes": self.makes,
            "estimated_by": self.estimated_by,
            "learns_from": self.learns_from,
            "options": {
                section: [option.to_json() for option in options] for section, options in self.options.items()
            },
        }


def families(name: str | None = None) -> list[FamilyEntry]:
    """All families; or the one of that name, with every setting of each section of its recipes.

    Raises:
        InvalidSetting: there is no family of that name.
    """
    if name is not None:
        family = lookup(name)
        return [_entry(family, _sections(family))]
    return [_entry(lookup(one), {}) for one in names()]


def _entry(family: Family[Any], options: dict[str, list[Option]]) -> FamilyEntry:
    if family.estimate is None and family.build is None:
        learns_from = "an encoder (langue finetune)"
    else:
        learns_from = "a labelled file" if family.makes is Tagger else "a token store"
    return FamilyEntry(
        family.name, family.summary, family.makes.__name__, family.estimated_by, learns_from, options
    )


def _sections(family: Family[Any]) -> dict[str, list[Option]]:
    from langue.training.recipe import sections_of

    return {section: options_of(config) for section, config in sections_of(family).items()}


@dataclass(frozen=True)
class RecipeEntry:
    """A recipe that comes with langue: what the head of its file says."""

    name: str
    family: str
    summary: str

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "family": self.family, "summary": self.summary}


def recipes() -> list[RecipeEntry]:
    """The recipes that come with langue, each usable by its name in place of a family's."""
    from langue.training.recipe import own_recipes, read_tables

    entries = []
    for name, path in own_recipes().items():
        head: Sequence[str] = path.read_text(encoding="utf-8").splitlines()
        comment = []
        for line in head:
            if not line.startswith("#"):
                break
            comment.append(line.lstrip("# "))
        entries.append(RecipeEntry(name, str(read_tables(str(path))["family"]), " ".join(comment)))
    return entries
