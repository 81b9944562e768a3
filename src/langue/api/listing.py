"""What there is to train and to set: families, recipes, and every setting with its default and reason."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from langue.base.config import Config
from langue.base.errors import NEURAL, MissingExtra
from langue.base.options import Option, options_of
from langue.models.family import Family
from langue.models.registry import MODULES, names
from langue.models.registry import family as lookup
from langue.protocols import SentenceRanker, Tagger


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
    return [_entry_or_need(one) for one in names()]


def _entry_or_need(name: str) -> FamilyEntry:
    """An entry; of a family of networks where torch is not installed, one that says so."""
    try:
        return _entry(lookup(name), {})
    except MissingExtra:
        return FamilyEntry(name, f"a network: pip install 'langue[{NEURAL}]'", "", "", "", {})


def _entry(family: Family[Any], options: dict[str, list[Option]]) -> FamilyEntry:
    if family.estimate is None and family.build is None:
        learns_from = "an encoder (langue finetune)"
    else:
        files = {Tagger: "a labelled file", SentenceRanker: "documents and summaries"}
        learns_from = files.get(family.makes, "a token store")
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


def settings_page() -> str:
    """docs/settings.md: every setting there is, from the fields and the comments of the source."""
    return "\n".join(_page_lines()) + "\n"


def _page_lines() -> Iterator[str]:
    yield from _INTRODUCTION
    for title, config in _sections_of_all().items():
        yield from ["", f"## {title}", "", f"`langue.configs.{config.__name__}`. {_summary(config)}".rstrip()]
        yield from _table(options_of(config))
    yield from ["", "# Families: `[model]`"]
    for family in map(lookup, MODULES):
        config = family.config
        yield from ["", f"## {family.name}", "", f"`langue.configs.{config.__name__}`: {family.summary}."]
        if family.estimate is None and family.build is None:
            yield "`langue finetune` makes one; what can be set stands under fine-tuning."
        else:
            yield from _table(options_of(config))


_INTRODUCTION = (
    "# What can be set? Every setting, its default and the reason for it",
    "",
    "Written by `langue.api.listing.settings_page()` from the source; `langue families NAME` prints the",
    "part of a family. Each table is a section: of a recipe (`[training]`), of the command line",
    "(`--set training.steps=100`, or `--set steps=100` where only one section has it), and an object in",
    "Python: `langue.configs.TrainingConfig(steps=100)`. Where the reason is empty, the name says it all.",
)


def _sections_of_all() -> dict[str, type[Config]]:
    """The sections that are not of one family, by what they are for."""
    from langue.corpus.config import DataConfig
    from langue.corpus.normalize import Normalization
    from langue.corpus.summary_pairs import SummaryDataConfig
    from langue.corpus.tagged import TaggedConfig
    from langue.generation.masked import MaskedSampling
    from langue.generation.sample import Sampling
    from langue.tasks.classify import ClassifyConfig
    from langue.tasks.simcse import SimCSEConfig
    from langue.tasks.span import SpanConfig
    from langue.tasks.tag import TagConfig
    from langue.tokens.train import TokenizerConfig
    from langue.training.config import TaggerRunConfig, TrainingConfig

    return {
        "Reading text: `[data]`": DataConfig,
        "`normalization` of `[data]`": Normalization,
        "The vocabulary: `[tokenizer]`": TokenizerConfig,
        "Training by gradient: `[training]`": TrainingConfig,
        "Training a neural tagger: `[training]`": TaggerRunConfig,
        "Reading a labeled file: `[data]` of a tagger": TaggedConfig,
        "Reading documents and summaries: `[data]` of a ranker": SummaryDataConfig,
        "Fine-tuning: `langue finetune`": ClassifyConfig,
        "Fine-tuning a tagger: `langue finetune --task tag`": TagConfig,
        "Fine-tuning on questions: `langue finetune --task span`": SpanConfig,
        "Vectors from texts without labels: `langue finetune --task simcse`": SimCSEConfig,
        "Sampling: `langue generate`": Sampling,
        "Writing with a masked model: `langue generate`": MaskedSampling,
    }


def _summary(config: type[Config]) -> str:
    return (config.__doc__ or "").strip().splitlines()[0] if config.__doc__ else ""


def _table(options: list[Option]) -> Iterator[str]:
    if not options:
        yield from ["", "It has no settings."]
        return
    yield from ["", "| setting | type | default | reason |", "|---|---|---|---|"]
    for option in options:
        default = "must be given" if option.required else f"`{_spell(option.default)}`"
        cells = (f"`{option.name}`", option.type, default, option.reason)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _spell(default: Any) -> str:
    """A default as TOML has it."""
    value = msgspec.to_builtins(default)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_spell(one)}" for name, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
