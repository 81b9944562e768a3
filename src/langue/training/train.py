"""Training a model of any family, and writing its folder."""

import shutil
import time
from pathlib import Path
from typing import Any

from langue.base.errors import Interrupted
from langue.base.files import check_free
from langue.base.progress import bar, silence
from langue.models.folder import DESCRIPTION, save
from langue.protocols import Causal, Masked
from langue.tokens.store import TokenStore
from langue.training.recipe import Recipe
from langue.training.run import METRICS, can_resume, check_no_run, discard, run_folder, start_run


def train(
    recipe: Recipe, store: TokenStore, output: Path, *, overwrite: bool = False, resume: bool = False
) -> None:
    """Train and save.

    Args:
        resume: go on from the last checkpoint of the run that was to make `output`, if there is one.

    Raises:
        LangueError: the output folder or an unfinished run is in the way, the run to resume is of
            another model or store, the store has nothing to train on, the loss is not finite.
        Interrupted: Ctrl-C or SIGTERM during a run by gradient, after a checkpoint.
    """
    run = run_folder(output)
    resuming = resume and can_resume(run)
    if not resuming:
        check_no_run(run, overwrite=overwrite)
    check_free(output, marker=DESCRIPTION, overwrite=overwrite or resuming)
    if recipe.training is None:
        model, measured = _by_counts(recipe, store)
        _save(recipe, store, output, model, measured, overwrite=overwrite)
        if model.interrupted:  # of families that estimate in passes
            raise Interrupted(f"interrupted; the best model so far is in {output}")
        return
    from langue.training.distributed import World  # torch, which families by counts do without

    with World(fsdp=recipe.training.fsdp) as world:
        if world.first:
            start_run(run, recipe, store, resuming=resuming)
        else:
            silence()
        world.wait()
        try:
            model, measured = _by_gradient(recipe, store, run, world, resume=resuming)
        except BaseException:
            if world.first:
                discard(run)
            raise
        if world.first:
            metrics = run / METRICS
            _save(recipe, store, output, model, measured, overwrite=overwrite or resuming, metrics=metrics)
        world.wait()  # the others may want to read what was saved
    if measured["interrupted"]:
        raise Interrupted(
            f"interrupted after {measured['steps']:,} steps; the same command with --resume goes on. "
            f"The best model so far is in {output}"
        )
    if world.first and not recipe.training.keep_run:
        shutil.rmtree(run, ignore_errors=True)


def _save(
    recipe: Recipe,
    store: TokenStore,
    output: Path,
    model: Causal | Masked,
    measured: dict[str, Any],
    *,
    overwrite: bool,
    metrics: Path | None = None,
) -> None:
    save(
        output,
        model,
        family=recipe.family,
        config=recipe.model,
        preprocessing=store.preprocessing,
        vocabulary=model.vocabulary,
        store=store.fingerprint,
        recipe=recipe.to_table(),
        measured=measured,
        card=_card(recipe, model, store, measured),
        metrics=metrics,
        overwrite=overwrite,
    )


def _by_counts(recipe: Recipe, store: TokenStore) -> tuple[Causal | Masked, dict[str, Any]]:
    assert recipe.family.estimate is not None
    started = time.perf_counter()
    with bar(f"estimating ({recipe.family.name})"):
        model = recipe.family.estimate(recipe.model, store)
    return model, {"seconds": round(time.perf_counter() - started, 3)}


def _by_gradient(
    recipe: Recipe, store: TokenStore, run: Path, world: Any, *, resume: bool
) -> tuple[Causal | Masked, dict[str, Any]]:
    from langue.training import session
    from langue.training.distributed import unsharded

    model = new_model(recipe, store)
    measured = session.run(recipe, model, store, run, world, resume=resume)
    return unsharded(model, new_model(recipe, store)) if world.sharded else model, measured


def new_model(recipe: Recipe, store: TokenStore) -> Any:
    """A model with random weights, for the vocabulary of a store."""
    from langue.nn.device import best_device

    assert recipe.family.build is not None and recipe.training is not None
    model = recipe.family.build(recipe.model, recipe.family.vocabulary(store), recipe.training.seed)
    if recipe.family.begin:
        recipe.family.begin(model, store)
    return model.to(best_device())


def _card(recipe: Recipe, model: Causal | Masked, store: TokenStore, measured: dict[str, Any]) -> str:
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
