"""Fine-tuning an encoder on labeled data, whatever the task.

The epoch that is best on the validation file is kept, and every figure is told for several seeds, for
on small data they differ by points.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from langue.base.checksums import sha256
from langue.base.config import Config, encode
from langue.base.errors import Complete, Interrupted
from langue.base.progress import log
from langue.base.staging import discard
from langue.models.encoders.base import MaskedModel
from langue.models.folder import DESCRIPTION, Description, ModelFolder, save
from langue.nn.device import keep_freed_memory
from langue.protocols import Masked
from langue.tasks.examples import held_out, warn_of_leaks
from langue.tasks.learn import Learned, Problem, learn
from langue.tasks.results import FinetuneResult
from langue.tasks.task import BASE_WIDTH, FinetuneConfig, Head, Task, settled
from langue.training.distributed import world as find_world
from langue.training.run_folder import check_output, finish, only_writer, run_folder, save_or_keep, unfinished


def finetune(
    encoder: ModelFolder[Masked],
    data: Path,
    output: Path,
    *,
    task: Task[Any, Any, Any],
    config: FinetuneConfig,
    layout: Config | None = None,
    valid: Path | None = None,
    test: Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> FinetuneResult:
    """Fine-tune an encoder on labeled data, and write the folder of the best model.

    Args:
        layout: how the reader of the task reads the training file.
        valid: chooses the epoch and the seed; without it, a tenth of the training file does.
        test: the kept epoch of every seed is measured on it; nothing is chosen by it.
        resume: go on from the last checkpoint of the run that was to make `output`, if there is one.

    Raises:
        LangueError: a file is not of its format, has a label that the training file has not, the
            model is no encoder, the output folder is in the way, or the run to resume is another's.
        Interrupted: a stop was asked for; a checkpoint, and the best model so far, were written.
        Complete: `resume` was asked for, and the model is there, trained to its end.
    """
    files = {"data": data, "valid": valid, "test": test}
    with only_writer(output):
        return _finetune(encoder, files, output, task, config, layout, overwrite=overwrite, resume=resume)


def _finetune(
    encoder: ModelFolder[Masked],
    files: Mapping[str, Path | None],
    output: Path,
    task: Task[Any, Any, Any],
    config: FinetuneConfig,
    layout: Config | None,
    *,
    overwrite: bool,
    resume: bool,
) -> FinetuneResult:
    data, valid, test = files["data"], files["valid"], files["test"]
    assert data is not None
    known: dict[str, Any] = {
        "encoder": {"path": encoder.path.name, "sha256": sha256(encoder.path / DESCRIPTION)},
        "files": {name: sha256(path) for name, path in files.items() if path and path.is_file()},
        "task": task.name,
        "family": (task.family or encoder.family).name,
        "training": encode(config),
    }

    def is_same(model: Description) -> bool:
        same = model.recipe == {"encoder": encoder.path.name, "task": task.name, **encode(config)}
        return same and (model.data or {}).get("sha256") == known["files"].get("data")

    if finish(output, is_same, known, overwrite=overwrite, resume=resume):
        raise Complete(f"{output} is there and whole: nothing is left to do")
    run, resuming = run_folder(output), check_output(output, overwrite=overwrite, resume=resume)
    started = time.perf_counter()
    keep_freed_memory()
    labeled = task.read(data, layout)
    training = labeled.examples
    if valid:
        watch = task.read(valid, labeled.layout).examples
    else:
        training, watch = held_out(training, task.text, str(data), task.labels)
    tested = task.read(test, labeled.layout).examples if test else []
    warn_of_leaks(labeled.examples, {"valid": watch if valid else [], "test": tested}, task.text)
    head = task.head(encoder, labeled.examples, training, config)
    problem = Problem(
        build=head.build,
        loss=task.loss,
        metric=task.metric,
        figure=head.figure or task.figure,
        targets=task.targets,
        tokens=task.tokens,
        training=head.encode(training),
        validation=head.encode(watch),
        test=head.encode(tested),
        calibrate=task.calibrate,
        by_length=task.by_length,
        all_used=False,  # what an encoder predicts hidden tokens by has no part in it
    )
    if remark := head.remark():
        log.warning("%s", remark)
    width = encoder.model.width if isinstance(encoder.model, MaskedModel) else BASE_WIDTH
    run_by = settled(config, width, len(training))
    log.info("%d epochs at a learning rate of %.1e", run_by.epochs, run_by.learning_rate)
    now = {**known, "model": encode(head.config)}
    kinds = {"model": type(head.config), "training": type(config)}
    with find_world() as world:
        with unfinished(run, now, kinds, world, resuming=resuming):
            learned = learn(problem, run_by, run_by, run, world, resume=resuming)
        if learned.model is None:
            raise Interrupted(
                "interrupted before an epoch was complete, so no model was written; the same command with "
                "--resume goes on"
            )
        result = FinetuneResult.of(
            learned.seeds,
            learned.best,
            truncated=head.truncated(),
            seconds=sum(seed.ledger["seconds"] for seed in learned.seeds) or time.perf_counter() - started,
            unit=head.unit,
        )
        if world.first:
            facts = {"file": data.name, "sha256": sha256(data), **labeled.facts, **head.facts}
            _save(
                output,
                encoder,
                task,
                config,
                head,
                learned,
                result,
                problem.validation,
                facts=facts,
                overwrite=overwrite or resuming,
                run=run,
            )
        world.wait()  # the others may want to read what was saved
    if learned.interrupted:
        raise Interrupted(
            f"interrupted; the same command with --resume goes on. The best model so far is in {output}"
        )
    if world.first and not config.keep_run:
        discard(run)
    return result


def _save(
    output: Path,
    encoder: ModelFolder[Masked],
    task: Task[Any, Any, Any],
    config: FinetuneConfig,
    head: Head[Any, Any, Any],
    learned: Learned[Any],
    result: FinetuneResult,
    validation: Sequence[Any],
    *,
    facts: Mapping[str, Any],
    overwrite: bool,
    run: Path,
) -> None:
    assert learned.model is not None
    family = task.family or encoder.family
    ledgers = {"interrupted": learned.interrupted, "runs": [seed.ledger for seed in learned.seeds]}
    write = partial(
        save,
        model=learned.model,
        family=family,
        config=learned.model.config if task.calibrate is not None else head.config,
        preprocessing=encoder.preprocessing if head.reads_ids else None,
        vocabulary=encoder.model.vocabulary if head.reads_ids else None,
        data=facts,
        recipe={"encoder": encoder.path.name, "task": task.name, **encode(config)},
        measured={"seconds": round(result.seconds, 3)}
        | task.measured(result, learned.model, validation)
        | ledgers,
        card=f"# {family.name}: {encoder.family.name} fine-tuned on {facts['file']}\n\n"
        f"```\n{result}\n```\n\nMade with langue. Use it: `{task.use}`.\n",
    )
    save_or_keep(output, write, overwrite=overwrite, run=run)
