"""The folder of a run: what training keeps beside the model it is making, until that is done.

OUTPUT.run/
    run.json            recipe and store, to know what was begun here
    metrics.jsonl       what was measured, a line at a time
    step-00000120/      a checkpoint (`training/checkpoint.py`)
    model/              the finished model, where it could not be written as OUTPUT

Of an output that is a mount point, such as the volume of a container, it is `langue.run` within it.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langue.base import staging
from langue.base.config import with_new_names
from langue.base.errors import LangueError
from langue.base.files import atomic_folder, check_free, read_json, verify_files, write_json
from langue.base.progress import log
from langue.base.stop import Stop
from langue.models.folder import DESCRIPTION, describe
from langue.models.registry import RENAMED
from langue.tokens.store import TokenStore
from langue.training.config import TrainingConfig
from langue.training.recipe import Recipe

RUN = "run.json"
METRICS = "metrics.jsonl"
KEPT = "model"
FIXED = ("optimizer", "ema_decay", "batch_tokens", "seed")  # what a checkpoint holds, or means, hangs on


def run_folder(output: Path) -> Path:
    """The folder of the run that makes the model `output`."""
    output = staging.resolve(output)
    if output.is_dir() and staging.cannot_be_renamed(output):
        return output / staging.RUN_WITHIN
    return output.with_name(output.name + ".run")


def can_resume(run: Path) -> bool:
    """Whether there is a checkpoint to go on from."""
    return (run / RUN).is_file() and any(run.glob("step-*"))


def discard_unmeasured(run: Path) -> None:
    """Remove the folder of a run that failed before anything was measured."""
    metrics = run / METRICS
    if not can_resume(run) and not (metrics.exists() and metrics.stat().st_size):
        staging.discard(run)


def check_no_run(run: Path, *, overwrite: bool) -> None:
    """Raise a `LangueError` unless a run may begin in that folder, or one that has no checkpoint yet."""
    if (run / KEPT / DESCRIPTION).is_file():
        if not overwrite:
            raise LangueError(
                f"{run / KEPT} is a model that could not be written at its end; move it where you want it, "
                "or start anew with --overwrite"
            )
        return
    check_free(run, marker=RUN, overwrite=True)
    if any(run.glob("step-*")) and not overwrite:
        raise LangueError(
            f"{run} holds an unfinished run; go on with --resume, or start anew with --overwrite"
        )


def start_run(run: Path, recipe: Recipe, store: TokenStore, *, resuming: bool) -> None:
    """Make the folder of a run, or see that the one to go on with is of this model and store.

    Raises:
        LangueError: the one to go on with is another's.
    """
    now = _table(recipe, store)
    if not resuming:
        staging.discard(run)
        with atomic_folder(run, marker=RUN) as folder:
            write_json(folder / RUN, now)
        return
    before = _read(run, recipe)
    for part in ("store", "family", "model"):
        if before[part] != now[part]:
            raise LangueError(
                f"{run} is the run of another {part}: {_difference(before[part], now[part])}; "
                "start anew with --overwrite, or choose another output"
            )
    changed = _difference(before["training"], now["training"])
    if any(before["training"].get(name) != now["training"][name] for name in FIXED):
        raise LangueError(f"{run} cannot go on with {changed}; start anew with --overwrite")
    if changed:
        log.warning("going on with other settings: %s", changed)
    staging.sweep(run)
    write_json(run / RUN, now)


def _read(run: Path, recipe: Recipe) -> dict[str, Any]:
    """What a run was begun with, by today's names."""
    before: dict[str, Any] = read_json(run / RUN)
    before["family"] = RENAMED.get(before["family"], before["family"])
    before["model"] = with_new_names(type(recipe.model), before["model"], None)
    before["training"] = with_new_names(TrainingConfig, before["training"], None)
    return before


def finish(
    run: Path, output: Path, recipe: Recipe, store: TokenStore, *, resume: bool, first: bool = True
) -> bool:
    """Do what was left when the model was trained and the call was killed, or could not write it.

    Args:
        first: of the processes of a run; the others look only.

    Returns:
        Whether there is nothing more to do, as `resume` asks for no more than the model.

    Raises:
        LangueError: the finished model still cannot be written.
    """
    kept, done = _is_done(run / KEPT, recipe, store), _is_done(output, recipe, store)
    keeps_run = recipe.training is not None and recipe.training.keep_run
    if first and kept and not done:
        with atomic_folder(output, marker=DESCRIPTION, overwrite=resume) as folder:
            shutil.copytree(run / KEPT, folder, dirs_exist_ok=True)
        log.info("%s: written from %s", output, run / KEPT)
    if first and (kept or (done and not keeps_run and _is_run_of(run, recipe, store))):
        staging.discard(run)
    if done and resume:
        log.info("%s is there and whole: nothing is left to do", output)
    return (kept and not done) or (done and resume)


def _is_done(model: Path, recipe: Recipe, store: TokenStore) -> bool:
    """Whether the model of this very recipe and store stands in a folder, whole and trained to its end."""
    try:
        description = describe(model)
        if description.recipe != recipe.to_table() or description.store != store.fingerprint:
            return False
        verify_files(model, description.files)
    except (LangueError, OSError):
        return False
    return not description.measured.get("interrupted")


def _is_run_of(run: Path, recipe: Recipe, store: TokenStore) -> bool:
    """Whether a folder is that of a run of this very recipe and store."""
    return (run / RUN).is_file() and _read(run, recipe) == _table(recipe, store)


def save_or_keep(output: Path, save: Callable[..., None], *, overwrite: bool = False) -> None:
    """Write a trained model; where that fails, write it beside, or where temporary files are.

    Args:
        save: writes the model folder of a name; `overwrite` says whether one may be replaced.

    Raises:
        LangueError: `output` was not written; the message says where the model is.
    """
    with Stop():  # whoever stops it now waits for the end
        try:
            save(output, overwrite=overwrite)
        except (LangueError, OSError) as error:
            elsewhere = Path(tempfile.gettempdir()) / f"langue-{staging.resolve(output).name[:50]}"
            for folder in (run_folder(output) / KEPT, elsewhere):
                try:
                    save(folder, overwrite=True)
                except (LangueError, OSError):
                    continue
                how = "move it where you want it"
                raise LangueError(f"{error}. The model is whole in {folder}: {how}") from error
            raise


def _table(recipe: Recipe, store: TokenStore) -> dict[str, Any]:
    return {"store": store.fingerprint, **recipe.to_table()}


def _difference(before: Any, now: Any) -> str:
    if not isinstance(before, dict):
        return f"{str(before)[:12]}, not {str(now)[:12]}"
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return ", ".join(f"{name} {before.get(name)}, now {now.get(name)}" for name in names)
