"""The folder of a run: what training keeps beside the model it is making, until that is done.

OUTPUT.run/
    run.json            recipe and store, to know what was begun here
    metrics.jsonl       what was measured, a line at a time
    step-00000120/      a checkpoint (`training/checkpoint.py`)
"""

import shutil
from pathlib import Path
from typing import Any

from langue.base.config import with_new_names
from langue.base.errors import LangueError
from langue.base.files import check_free, read_json, write_json
from langue.base.progress import log
from langue.models.registry import RENAMED
from langue.tokens.store import TokenStore
from langue.training.config import TrainingConfig
from langue.training.recipe import Recipe

RUN = "run.json"
METRICS = "metrics.jsonl"
FIXED = ("optimizer", "ema_decay", "batch_tokens", "seed")  # what a checkpoint holds, or means, hangs on


def run_folder(output: Path) -> Path:
    """The folder of the run that makes the model `output`."""
    return output.with_name(output.name + ".run")


def can_resume(run: Path) -> bool:
    """Whether there is a checkpoint to go on from."""
    return (run / RUN).is_file() and any(run.glob("step-*"))


def discard(run: Path) -> None:
    """Remove the folder of a run that failed before anything was measured."""
    metrics = run / METRICS
    if not can_resume(run) and not (metrics.exists() and metrics.stat().st_size):
        shutil.rmtree(run, ignore_errors=True)


def check_no_run(run: Path, *, overwrite: bool) -> None:
    """Raise a `LangueError` unless a run may begin in that folder, or one that has no checkpoint yet."""
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
    now = {"store": store.fingerprint, **recipe.to_table()}
    if resuming:
        before = read_json(run / RUN)
        before["family"] = RENAMED.get(before["family"], before["family"])
        before["model"] = with_new_names(type(recipe.model), before["model"], None)
        before["training"] = with_new_names(TrainingConfig, before["training"], None)
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
    elif run.exists():
        shutil.rmtree(run)
    run.mkdir(parents=True, exist_ok=True)
    for leftover in run.glob(".*"):  # of a process that was killed while it wrote
        shutil.rmtree(leftover, ignore_errors=True)
    write_json(run / RUN, now)


def _difference(before: Any, now: Any) -> str:
    if not isinstance(before, dict):
        return f"{str(before)[:12]}, not {str(now)[:12]}"
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return ", ".join(f"{name} {before.get(name)}, now {now.get(name)}" for name in names)
