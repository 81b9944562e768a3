"""The folder of a run: what training keeps beside the model it is making, until that is done.

OUTPUT.run/
    run.json            recipe and data, to know what was begun here
    metrics.jsonl       what was measured, a line at a time
    tensorboard/        the same for TensorBoard, if it was asked for
    step-00000120/      a checkpoint (`training/checkpoint.py`)
    model/              the finished model, where it could not be written as OUTPUT
    parts/              the models that this one is made of, each with a run of its own
    seed-0/             metrics and checkpoints of each run, where there are several (`tasks/learn.py`)

Of an output that is a mount point, such as the volume of a container, it is `langue.run` within it.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from langue.base import staging
from langue.base.checksums import verify_files
from langue.base.config import Config, with_new_names
from langue.base.errors import Damaged, LangueError, message_of
from langue.base.files import atomic_folder, check_free, claimed, copy_folder, read_json, write_json
from langue.base.progress import is_first, log, silence
from langue.base.stop import Stop
from langue.models.folder import DESCRIPTION, Description, describe
from langue.models.registry import RENAMED

if TYPE_CHECKING:
    from langue.training.world import World

RUN = "run.json"
METRICS = "metrics.jsonl"
BOARD = "tensorboard"
KEPT = "model"
CHECKPOINTS = ("step-*", "*/step-*", "*/*/step-*")  # of the run, of one of several, of what that came to
# What a checkpoint holds, or means, hangs on these.
FIXED = ("optimizer", "ema_decay", "batch_tokens", "batch_size", "validation_tokens", "seed")


@contextlib.contextmanager
def unfinished(
    run: Path, now: Mapping[str, Any], kinds: Mapping[str, type[Config]], world: "World", *, resuming: bool
) -> Iterator[None]:
    """The folder of a run while the block trains, by all processes; gone if that fails before anything
    was measured. Of the processes, the first speaks.

    Raises:
        LangueError: the run to go on with is another's.
    """
    if world.first:
        start_run(run, now, kinds, resuming=resuming)
    else:
        silence()
    world.wait()
    try:
        yield
    except BaseException:
        if world.first:
            discard(run)
        raise


@contextlib.contextmanager
def only_writer(output: Path) -> Iterator[None]:
    """Keep another training from the same output while the block runs; the first process does so for all.

    Raises:
        LangueError: another process writes there, or nothing can be written there.
    """
    with claimed(output) if is_first() else contextlib.nullcontext():
        yield


def check_output(output: Path, *, overwrite: bool, resume: bool) -> bool:
    """See that a model may be written there, and whether there is a run to go on with.

    Raises:
        LangueError: the output, or an unfinished run, is in the way.
    """
    run = run_folder(output)
    resuming = resume and can_resume(run)
    if is_first():
        if not resuming:
            check_no_run(run, overwrite=overwrite)
        check_free(output, marker=DESCRIPTION, overwrite=overwrite or resuming)
    elif (output / DESCRIPTION).exists() and not (overwrite or resuming):
        raise LangueError(f"{output} already exists; choose another name, or pass --overwrite")
    return resuming


def run_folder(output: Path) -> Path:
    """The folder of the run that makes the model `output`."""
    output = staging.resolve(output)
    if output.is_dir() and staging.cannot_be_renamed(output):
        return output / staging.RUN_WITHIN
    return output.with_name(output.name + ".run")


def can_resume(run: Path) -> bool:
    """Whether there is a checkpoint to go on from."""
    return (run / RUN).is_file() and any(any(run.glob(pattern)) for pattern in CHECKPOINTS)


def discard(run: Path) -> None:
    """Remove the folder of a run that failed before anything was measured."""
    measured = any(path.stat().st_size for path in run.glob(f"**/{METRICS}"))
    if not can_resume(run) and not measured:
        staging.discard(run)


def records(run: Path) -> dict[str, Path]:
    """What was measured in a run, or in several, by the names in its folder: what stays with the model."""
    paths = [
        path for pattern in (METRICS, BOARD) for path in (*run.glob(pattern), *run.glob(f"seed-*/{pattern}"))
    ]
    return {path.relative_to(run).as_posix(): path for path in sorted(paths)}


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
    if can_resume(run) and not overwrite:
        raise LangueError(
            f"{run} holds an unfinished run; go on with --resume, or start anew with --overwrite"
        )


def finish(
    output: Path,
    is_same: Callable[[Description], bool],
    now: Mapping[str, Any],
    *,
    overwrite: bool,
    resume: bool,
) -> bool:
    """Do what was left when the model was trained, and the call was killed or could not write it.

    Args:
        is_same: whether a model is the one that is asked for.
        now: what of `run.json` says that a run is the one that is asked for.

    Returns:
        Whether there is nothing more to do: the model is there, and no more than that is asked for.

    Raises:
        LangueError: the finished model still cannot be written.
    """
    if overwrite and not resume:
        return False
    run = run_folder(output)
    kept, done = _is_done(run / KEPT, is_same), _is_done(output, is_same)
    if is_first():
        staging.sweep(run.parent, run.name)  # a kill while it was removed: all else is done then
        if kept and not done:
            with atomic_folder(output, marker=DESCRIPTION, overwrite=resume) as folder:
                copy_folder(run / KEPT, folder)
            log.info("%s: written from %s", output, run / KEPT)
        if kept or (done and _is_run_of(run, now)):
            staging.discard(run)
    if done and resume:
        log.info("%s is there and whole: nothing is left to do", output)
    return (kept and not done) or (done and resume)


def _is_done(model: Path, is_same: Callable[[Description], bool]) -> bool:
    """Whether the model that is asked for stands in a folder, whole and trained to its end."""
    try:
        description = describe(model)
        if not is_same(description) or description.measured.get("interrupted"):
            return False
        verify_files(model, description.files)
    except (LangueError, OSError):
        return False
    return True


def _is_run_of(run: Path, now: Mapping[str, Any]) -> bool:
    """Whether a folder is that of such a run, and not to be kept."""
    try:
        before = _read(run / RUN)
    except (LangueError, OSError):
        return False
    return all(before.get(part) == now[part] for part in now) and not before["training"].get("keep_run")


def save_or_keep(
    output: Path, save: Callable[..., None], *, overwrite: bool = False, run: Path | None = None
) -> None:
    """Write a trained model; where that fails, write it beside, or where temporary files are.

    Args:
        save: writes the model folder of a name; `overwrite` says whether one may be replaced.
        run: the folder of the run that ends here; with one, `records` says what of it stays with the model.

    Raises:
        LangueError: `output` was not written; the message says where the model is.
    """
    if run is not None:
        save = partial(save, records=records(run))
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
                raise LangueError(f"{message_of(error)}. The model is whole in {folder}: {how}") from error
            raise


def _with_defaults(kind: type[Config], table: Mapping[str, Any]) -> dict[str, Any]:
    """A section as it was written, and all settings that came since with their defaults."""
    fields = [field for field in msgspec.structs.fields(kind) if field.name not in table]
    later = {field.name: field.default for field in fields if field.default is not msgspec.NODEFAULT}
    return {**table, **msgspec.json.decode(msgspec.json.encode(later))}


def start_run(
    run: Path, now: Mapping[str, Any], kinds: Mapping[str, type[Config]], *, resuming: bool
) -> None:
    """Make the folder of a run, or see that the one to go on with is of this model and data.

    Args:
        now: what makes it what it is, by part; of the settings in `training` some may change on the way.
        kinds: of the parts that are sections, some of whose settings had other names.

    Raises:
        LangueError: the one to go on with is another's.
    """
    if resuming:
        before = _read(run / RUN)
        before |= {part: with_new_names(kind, before.get(part, {}), None) for part, kind in kinds.items()}
        before["family"] = RENAMED.get(str(before.get("family")), before.get("family"))
        if before["family"] == now["family"]:  # a setting that the run did not know of yet had its default
            before["model"] = _with_defaults(kinds["model"], before["model"])
        for part in now:
            if part not in ("training", "chosen") and before.get(part) != now[part]:
                raise LangueError(
                    f"{run} is the run of another {part}: {_difference(before.get(part), now[part])}; "
                    "start anew with --overwrite, or choose another output"
                )
        old, new = before["training"], now["training"]
        changed = _difference(old, new)
        if any(old.get(name) != new.get(name) for name in FIXED):
            raise LangueError(f"{run} cannot go on with {changed}; start anew with --overwrite")
        if changed:
            log.warning("going on with other settings: %s", changed)
        staging.sweep(run)
        write_json(run / RUN, dict(now))
        return
    staging.discard(run)
    with atomic_folder(run, marker=RUN) as folder:
        write_json(folder / RUN, dict(now))


def _read(path: Path) -> dict[str, Any]:
    """What a run was begun with, and nothing of it of another type than it was written.

    Raises:
        Damaged: the file is none of langue's.
    """
    table = read_json(path)
    if not isinstance(table, dict) or not isinstance(table.get("training"), dict):
        raise Damaged(f"{path} is damaged: it does not say how the run trains; remove {path.parent}")
    for part, value in table.items():
        if not isinstance(value, dict | str):
            raise Damaged(f"{path} is damaged: {part} is neither a table nor a text; remove {path.parent}")
    return table


def _difference(before: Any, now: Any) -> str:
    if not isinstance(before, dict):
        return f"{str(before)[:12]}, not {str(now)[:12]}"
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return ", ".join(f"{name} {before.get(name)}, now {now.get(name)}" for name in names)
