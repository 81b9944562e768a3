"""The settings that a user leaves out, where a family has a rule for them (`Family.choose`).

What they are chosen by is recorded with the run, and a run that goes on is held to that: neither a clock nor
another machine chooses anew.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from langue.base.config import convert, decode
from langue.base.errors import LangueError
from langue.base.files import read_json
from langue.base.progress import is_first, log
from langue.models.family import BUDGETS, Choice, Circumstances, Family
from langue.models.folder import describe
from langue.tokens.store import TokenStore
from langue.training.recipe import Chosen, Recipe, Tables, read_recipe, sections_of
from langue.training.run_folder import RUN, run_folder
from langue.training.schedule import DEFAULT_MINUTES


class Defaults:
    """The rule of a family for one run.

    Args:
        store: what it learns from.
        output: the model it makes, where one is made.
        resume: whether it may be a run that goes on.
        minutes: it is to take, where its settings give no budget.
    """

    def __init__(
        self,
        store: Path,
        output: Path | None = None,
        *,
        resume: bool = False,
        minutes: float = DEFAULT_MINUTES,
    ) -> None:
        self.store = store
        self.output = output
        self.resume = resume
        self.minutes = minutes
        self.chosen: Chosen | None = None

    def complete(self, family: Family[Any], tables: Tables) -> Tables:
        """The tables of a recipe, with what its user left out.

        Raises:
            LangueError: a value is not of its type; the store cannot be read.
        """
        if family.choose is None:
            return tables
        for given, kind in sections_of(family).items():
            decode(kind, tables[given], given)  # so that the rule reads numbers, and no text
        training = tables["training"]
        begun = begun_with(self.output) if self.resume and self.output is not None else None
        if begun is not None and "chosen" not in begun:  # of an earlier version, or nothing was left out
            return tables
        circumstances = self._circumstances(training)
        if begun is not None:
            circumstances = convert(Chosen, begun["chosen"], Path(RUN)).circumstances
        choice: Choice = family.choose(tables["model"], training, circumstances)
        if not choice.settings:
            return tables
        self.chosen = Chosen(circumstances, choice.reason)
        if is_first():
            log.info("%s: %s", family.name, choice.reason)
        completed = {name: dict(table) for name, table in tables.items()}
        for name, value in choice.settings.items():
            section, _, key = name.partition(".")
            completed[section].setdefault(key, value)
        return completed

    def _circumstances(self, training: Mapping[str, Any]) -> Circumstances:
        from langue.nn.device import best_device  # torch, which families that count do without
        from langue.nn.machine_class import machine_class

        store = TokenStore(self.store)
        budget = next((name for name in BUDGETS if training.get(name)), None)
        return Circumstances(
            tokens=store.manifest["splits"]["train"]["tokens"],
            vocabulary=store.vocabulary_size,
            minutes=float(training["minutes"]) if budget == "minutes" else self.minutes,
            machine=machine_class(best_device()).value,
            summaries=store.of_summaries,
        )


def begun_with(output: Path) -> dict[str, Any] | None:
    """The recipe of the run that is to make a model, or of the model itself; None: neither is there."""
    try:
        table = read_json(run_folder(output) / RUN)
    except LangueError:
        try:
            return dict(describe(output).recipe)
        except LangueError:
            return None
    return table if isinstance(table, dict) else None


def recipe_for(
    name: str,
    store: TokenStore,
    output: Path,
    settings: Mapping[str, Any],
    *,
    resume: bool = False,
    minutes: float = DEFAULT_MINUTES,
) -> Recipe:
    """A recipe with settings changed, and with what suits the text and the machine where nothing is said.

    Raises:
        LangueError: as `read_recipe`.
    """
    defaults = Defaults(store.path, output, resume=resume, minutes=minutes)
    recipe = read_recipe(name, settings=settings, complete=defaults.complete)
    return replace(recipe, chosen=defaults.chosen)
