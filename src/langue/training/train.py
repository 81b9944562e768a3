"""Training a model of any family, and writing its folder."""

import time
from pathlib import Path
from typing import Any

from langue.base.errors import Interrupted
from langue.base.files import check_free
from langue.base.progress import bar
from langue.models.folder import DESCRIPTION, save
from langue.models.protocol import Causal, Vocabulary
from langue.tokens.store import TokenStore
from langue.training.recipe import Recipe


def train(recipe: Recipe, store: TokenStore, output: Path, *, overwrite: bool = False) -> None:
    """Train and save.

    Raises:
        LangueError: the output folder is in the way, the store has nothing to train on.
        Interrupted: Ctrl-C during a run by gradient; the best model so far is saved.
    """
    check_free(output, marker=DESCRIPTION, overwrite=overwrite)
    model, measured = _by_gradient(recipe, store) if recipe.training else _by_counts(recipe, store)
    save(
        output,
        family=recipe.family,
        config=recipe.model,
        model=model,
        store=store.path,
        manifest=store.manifest,
        recipe=recipe.to_table(),
        measured=measured,
        card=_card(recipe, model, store, measured),
        overwrite=overwrite,
    )
    if measured.get("interrupted"):
        raise Interrupted(
            f"interrupted after {measured['steps']:,} steps; the best model so far is in {output}"
        )


def _by_counts(recipe: Recipe, store: TokenStore) -> tuple[Causal, dict[str, Any]]:
    assert recipe.family.fit is not None
    started = time.perf_counter()
    with bar(f"counting ({recipe.family.name})"):
        model = recipe.family.fit(recipe.model, store)
    return model, {"seconds": round(time.perf_counter() - started, 3)}


def _by_gradient(recipe: Recipe, store: TokenStore) -> tuple[Causal, dict[str, Any]]:
    from langue.training.loop import run  # torch, which families by counts do without

    assert recipe.family.create is not None
    assert recipe.training is not None
    vocabulary = Vocabulary(store.vocabulary_size, store.eos)
    model = recipe.family.create(recipe.model, vocabulary, recipe.training.seed)
    return model, run(recipe, model, store)


def _card(recipe: Recipe, model: Causal, store: TokenStore, measured: dict[str, Any]) -> str:
    """The README of a model folder."""
    train = store.manifest["splits"]["train"]
    size = ", ".join(f"{count:,} {what}" for what, count in model.size().items())
    lines = [
        f"# {recipe.family.name}: {recipe.family.summary}",
        "",
        f"{size}. Trained in {measured['seconds']:,.1f} s on {train['documents']:,} documents: "
        f"{train['tokens']:,} tokens, {train['bytes']:,} bytes.",
        "",
        "Made with langue. Measure it: `langue evaluate MODEL STORE`; use it: `langue generate MODEL`.",
    ]
    return "\n".join(lines) + "\n"
