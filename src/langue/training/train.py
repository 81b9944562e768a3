"""Training a model of any family, and writing its folder."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from langue.base.config import Config, encode_changes
from langue.base.errors import Interrupted, InvalidSetting
from langue.base.executors import Distribution
from langue.base.progress import bar
from langue.base.staging import discard
from langue.base.stop import Stop
from langue.models.family import Part
from langue.models.folder import DESCRIPTION, Description, save
from langue.models.registry import family as lookup
from langue.protocols import Causal, Masked
from langue.tokens.batches import BatchSource
from langue.tokens.store import TokenStore
from langue.training.config import TrainingConfig
from langue.training.defaults import recipe_for
from langue.training.recipe import Recipe, read_recipe
from langue.training.run_folder import (
    KEPT,
    RUN,
    check_output,
    finish,
    only_writer,
    run_folder,
    save_or_keep,
    start_run,
    unfinished,
)
from langue.training.schedule import DEFAULT_MINUTES

if TYPE_CHECKING:
    from langue.training.trainer import Trainer
    from langue.training.validation import Validation
    from langue.training.world import World

PARTS = "parts"  # of a run: the models that the one it makes is made of
NETWORK_SHARE = 0.9  # of a budget in minutes, where a model is made of networks and counts


def train(
    recipe: Recipe,
    store: TokenStore,
    output: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    distribution: Distribution | None = None,
) -> None:
    """Train and save.

    Args:
        distribution: of a family that is estimated by stages, who does their tasks.
        resume: go on from the last checkpoint of the run that was to make `output`, if there is one; where
            the model of this recipe and store is there already, there is nothing to do.

    Raises:
        LangueError: the output folder or an unfinished run is in the way, another process writes there, the
            run to resume is of another model or store, the store has nothing to train on, the loss is not
            finite, or the model cannot be written (the message says where it was kept).
        Interrupted: Ctrl-C, SIGTERM or SIGHUP, after a checkpoint of a run by gradient.
    """
    with only_writer(output):
        _train(recipe, store, output, overwrite=overwrite, resume=resume, distribution=distribution)


def _train(
    recipe: Recipe,
    store: TokenStore,
    output: Path,
    *,
    overwrite: bool,
    resume: bool,
    distribution: Distribution | None = None,
) -> None:
    now = identity(recipe, store)

    def is_same(model: Description) -> bool:
        return {"store": model.store, **model.recipe} == now

    if finish(output, is_same, now, overwrite=overwrite, resume=resume):
        return
    run, resuming = run_folder(output), check_output(output, overwrite=overwrite, resume=resume)
    if parts := _parts_of(recipe):
        _by_parts(recipe, store, output, parts, overwrite=overwrite, resume=resume)
        return
    if recipe.family.build is None:
        interrupted = _estimate(recipe, store, output, distribution, overwrite=overwrite)
        if (run / KEPT).exists():  # of an earlier call
            discard(run)
        if interrupted:  # of families that estimate in passes
            raise Interrupted(f"interrupted; the best model so far is in {output}")
        return
    from langue.training import distributed  # torch, which families by counts do without

    training = training_of(recipe)
    with distributed.world(fsdp=training.fsdp) as world:
        with unfinished(run, now, kinds_of(recipe), world, resuming=resuming):
            model, measured = _by_gradient(recipe, store, run, world, resume=resuming)
        if world.first:
            _save(recipe, store, output, model, measured, overwrite=overwrite or resuming, run=run)
        world.wait()  # the others may want to read what was saved
    if measured["interrupted"]:
        raise Interrupted(
            f"interrupted after {measured['steps']:,} steps; the same command with --resume goes on. "
            f"The best model so far is in {output}"
        )
    if world.first and not training.keep_run:
        discard(run)


def _parts_of(recipe: Recipe) -> Sequence[Part]:
    """The models that are to be trained before the one that is made of them; mostly there are none."""
    composition = recipe.family.composition
    parts = composition.parts(recipe.model) if composition else ()
    if composition and not parts and recipe.training != TrainingConfig():
        raise InvalidSetting("the models are trained already: leave the settings of training out")
    return parts


def _by_parts(
    recipe: Recipe, store: TokenStore, output: Path, parts: Sequence[Part], *, overwrite: bool, resume: bool
) -> None:
    """Train what a model is made of in the folder of its run, and make it of that.

    Of a budget in minutes, a share is left for what is counted and tuned: it is known beforehand, so that a
    run that is resumed, or repeated, trains alike.
    """
    assert recipe.family.composition is not None
    now, run = identity(recipe, store), run_folder(output)
    start_run(run, now, kinds_of(recipe), resuming=resume and (run / RUN).is_file())
    started, stopped = time.perf_counter(), None
    for part in parts:
        made = run / PARTS / part.name
        own = _recipe_of(part, training_of(recipe), store, made, resume=resume)
        try:
            _train(own, store, made, overwrite=not resume, resume=resume)
        except Interrupted as error:  # what there is of it, is mixed
            stopped = error
            if not (run / PARTS / part.name / DESCRIPTION).is_file() or part is not parts[-1]:
                raise
    models = [str(run / PARTS / part.name) for part in parts]
    composed = replace(recipe, model=recipe.family.composition.compose(recipe.model, models))
    model, measured = _by_counts(composed, store)
    measured |= {"seconds": round(time.perf_counter() - started, 3), "interrupted": stopped is not None}
    names = recipe.family.composition.compose(recipe.model, [part.name for part in parts])
    _save(recipe, store, output, model, measured, overwrite=overwrite or resume, config=names)
    if stopped is not None:
        raise Interrupted(
            f"interrupted; the same command with --resume goes on. The best model so far is in {output}"
        ) from stopped
    if not training_of(recipe).keep_run:
        discard(run)


def _recipe_of(
    part: Part, training: TrainingConfig, store: TokenStore, output: Path, *, resume: bool
) -> Recipe:
    """The recipe of a part: its own settings, what the user of the whole wants otherwise, and what suits."""
    kind = lookup(part.family)
    settings = dict(part.settings)
    if kind.build is None:
        return read_recipe(part.family, settings=settings)
    settings |= {f"training.{name}": value for name, value in encode_changes(training).items()}
    minutes = NETWORK_SHARE * (training.minutes or DEFAULT_MINUTES)
    if training.minutes and not (training.steps or training.tokens or training.epochs):
        settings["training.minutes"] = minutes
    return recipe_for(part.family, store, output, settings, resume=resume, minutes=minutes)


def identity(recipe: Recipe, store: TokenStore) -> dict[str, Any]:
    """What makes a run what it is."""
    return {"store": store.fingerprint, **recipe.to_table()}


def kinds_of(recipe: Recipe) -> dict[str, type[Config]]:
    """The sections of that."""
    return {"model": type(recipe.model), "training": type(training_of(recipe))}


def training_of(recipe: Recipe) -> TrainingConfig:
    """How a language model is trained by gradient."""
    assert isinstance(recipe.training, TrainingConfig)
    return recipe.training


def _save(
    recipe: Recipe,
    store: TokenStore,
    output: Path,
    model: Causal | Masked,
    measured: dict[str, Any],
    *,
    overwrite: bool,
    run: Path | None = None,
    config: Config | None = None,
) -> None:
    """Write the folder of a model; `config` where it is not that of the recipe."""
    write = partial(
        save,
        model=model,
        family=recipe.family,
        config=config or recipe.model,
        preprocessing=store.preprocessing,
        vocabulary=model.vocabulary,
        store=store.fingerprint,
        recipe=recipe.to_table(),
        measured=measured,
        card=_card(recipe, model, store, measured),
    )
    save_or_keep(output, write, overwrite=overwrite, run=run)


def _estimate(
    recipe: Recipe, store: TokenStore, output: Path, distribution: Distribution | None, *, overwrite: bool
) -> bool:
    """Estimate and save; returns whether it was interrupted.

    By tasks over files, it is saved while the folder of these files is there.
    """
    if distribution is None:
        model, measured = _by_counts(recipe, store)
        _save(recipe, store, output, model, measured, overwrite=overwrite)
        return bool(measured["interrupted"])
    assert recipe.family.by_stages is not None
    started = time.perf_counter()
    job = msgspec.msgpack.encode(identity(recipe, store))
    needed = recipe.family.by_stages.needed(recipe.model, store.manifest["splits"]["train"]["tokens"])
    with distribution.begin(output, job, needed) as (folder, executor):
        model = recipe.family.by_stages.estimate(recipe.model, store, folder, executor)
        _save(recipe, store, output, model, _measured(model, started), overwrite=overwrite)
    return False


def _by_counts(recipe: Recipe, store: TokenStore) -> tuple[Causal | Masked, dict[str, Any]]:
    assert recipe.family.estimate is not None
    started = time.perf_counter()
    with bar(f"estimating ({recipe.family.name})"), Stop(listen=False) as stop:
        model = recipe.family.estimate(recipe.model, store)
    return model, _measured(model, started, interrupted=stop.asked)


def _measured(model: Causal | Masked, started: float, *, interrupted: bool = False) -> dict[str, Any]:
    """What the folder of an estimated model tells of its training."""
    seconds = round(time.perf_counter() - started, 3)
    return {"seconds": seconds, "interrupted": interrupted} | dict(model.learned)


def _by_gradient(
    recipe: Recipe, store: TokenStore, run: Path, world: "World", *, resume: bool
) -> tuple[Causal | Masked, dict[str, Any]]:
    from langue.training.distributed import unsharded
    from langue.training.fit import fit
    from langue.training.metrics import figures_for

    model = new_model(recipe, store)
    trainer = trainer_of(recipe, model, store, world)
    figures = figures_for(model, store.manifest, trainer.config.precision, world.size)
    measured = fit(trainer, validation_of(recipe, model, store), run, figures, resume=resume)
    return unsharded(model, new_model(recipe, store)) if world.sharded else model, measured


def new_model(recipe: Recipe, store: TokenStore) -> Any:
    """A model with random weights, for the vocabulary of a store."""
    from langue.nn.device import best_device

    assert recipe.family.build is not None
    model = recipe.family.build(recipe.model, recipe.family.vocabulary(store), training_of(recipe).seed)
    if recipe.initialize:
        recipe.initialize(model)
    if recipe.family.begin:
        recipe.family.begin(model, store)
    return model.to(best_device())


def trainer_of(recipe: Recipe, model: Any, store: TokenStore, world: "World") -> "Trainer":
    """The trainer of a language model on the training split of a store.

    Raises:
        LangueError: the store has nothing to train on, or a batch cannot be shared by the processes.
    """
    from langue.training.distributed import check_shared
    from langue.training.trainer import Trainer

    config = training_of(recipe)
    source = _batches(recipe, model, store, "train", max(config.batch_tokens // model.context, 1))
    check_shared(source.rows, world)
    return Trainer(config, model, source, world)


def validation_of(recipe: Recipe, model: Any, store: TokenStore) -> "Validation":
    """The loss on the validation split of a store, the same tokens every time."""
    from langue.training.validation import validation_loss

    config = training_of(recipe)
    source = _batches(recipe, model, store, "valid", 1)
    batch = source.first(max(config.validation_tokens // source.context, 1))
    context = _batches(recipe, model, store, "train", 1).context
    return validation_loss(model, batch, context, config.precision)


def _batches(recipe: Recipe, model: Any, store: TokenStore, split: str, rows: int) -> BatchSource:
    seed = training_of(recipe).seed
    return recipe.family.batches(
        store.split(split), model.vocabulary, recipe.model, rows, model.context, seed
    )


def _card(recipe: Recipe, model: Causal | Masked, store: TokenStore, measured: dict[str, Any]) -> str:
    """The README of a model folder."""
    train = store.manifest["splits"]["train"]
    size = ", ".join(f"{count:,} {what}" for what, count in model.size().items())
    text = f"{train['documents']:,} documents: {train['tokens']:,} tokens, {train['bytes']:,} bytes"
    if "steps" in measured:
        seen = f"{measured['steps']:,} steps, {measured['tokens']:,} tokens"
        text = f"{seen} of a text of {text}"
    else:
        text = f"all of {text}"
    lines = [
        f"# {recipe.family.name}: {recipe.family.summary}",
        "",
        f"{size}. Trained in {measured['seconds']:,.1f} s: {text}.",
        "",
        "Made with langue. Measure it: `langue evaluate MODEL STORE`; use it: `langue generate MODEL`.",
    ]
    return "\n".join(lines) + "\n"
