"""The folder of a run: what training keeps beside the model it is making, until that is done.

OUTPUT.run/
    run.json            recipe and data, to know what was begun here
    metrics.jsonl       what was measured, a line at a time
    step-00000120/      a checkpoint (`training/checkpoint.py`)
    seed-0/             the last two of each run, where there are several (`tasks/learn.py`)
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from langue.base.config import Config, with_new_names
from langue.base.errors import Damaged, LangueError
from langue.base.files import check_free, read_json, write_json
from langue.base.progress import log, silence
from langue.models.folder import DESCRIPTION
from langue.models.registry import RENAMED

if TYPE_CHECKING:
    from langue.training.world import World

RUN = "run.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = ("step-*", "*/step-*", "*/*/step-*")  # of the run, of one of several, of what that came to
# What a checkpoint holds, or means, hangs on these.
FIXED = ("optimizer", "ema_decay", "batch_tokens", "batch_size", "seed")


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


def check_output(output: Path, *, overwrite: bool, resume: bool) -> bool:
    """See that a model may be written there, and whether there is a run to go on with.

    Raises:
        LangueError: the output, or an unfinished run, is in the way.
    """
    run = run_folder(output)
    resuming = resume and can_resume(run)
    if not resuming:
        check_no_run(run, overwrite=overwrite)
    check_free(output, marker=DESCRIPTION, overwrite=overwrite or resuming)
    return resuming


def run_folder(output: Path) -> Path:
    """The folder of the run that makes the model `output`."""
    return output.with_name(output.name + ".run")


def can_resume(run: Path) -> bool:
    """Whether there is a checkpoint to go on from."""
    return (run / RUN).is_file() and any(any(run.glob(pattern)) for pattern in CHECKPOINTS)


def discard(run: Path) -> None:
    """Remove the folder of a run that failed before anything was measured."""
    measured = any(path.stat().st_size for path in run.glob(f"**/{METRICS}"))
    if not can_resume(run) and not measured:
        shutil.rmtree(run, ignore_errors=True)


def check_no_run(run: Path, *, overwrite: bool) -> None:
    """Raise a `LangueError` unless a run may begin in that folder, or one that has no checkpoint yet."""
    check_free(run, marker=RUN, overwrite=True)
    if can_resume(run) and not overwrite:
        raise LangueError(
            f"{run} holds an unfinished run; go on with --resume, or start anew with --overwrite"
        )


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
            if part != "training" and before.get(part) != now[part]:
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
    elif run.exists():
        shutil.rmtree(run)
    run.mkdir(parents=True, exist_ok=True)
    for leftover in run.glob(".*"):  # of a process that was killed while it wrote
        shutil.rmtree(leftover, ignore_errors=True)
    write_json(run / RUN, dict(now))


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
