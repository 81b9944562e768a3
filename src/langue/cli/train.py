"""`langue train`: a recipe or a family, a store or a labeled file in, a model folder out."""

from pathlib import Path
from typing import Annotated

import langue
from langue.base.errors import LangueError
from langue.base.progress import is_first
from langue.cli.options import (
    Json,
    On,
    Overwrite,
    Quiet,
    Resume,
    Scratch,
    Settings,
    Workers,
    print_json,
    read_settings,
)
from langue.cli.parameters import Argument, Option


def command(
    recipe: Annotated[
        str,
        Argument(
            metavar="RECIPE|FAMILY",
            help="A family (ngram, rnn, gpt2, crf), a recipe of ours (shakespeare-gpt2), or a TOML file.",
        ),
    ],
    data: Annotated[
        str,
        Argument(
            metavar="STORE|TAGGED", help="Folder that langue prepare wrote; a labeled file for a tagger."
        ),
    ],
    output: Annotated[Path | None, Option("-o", "--output", help="Folder to write.")] = None,
    valid: Annotated[
        str | None,
        Option(metavar="FILE", help="Labeled file that a tagger is measured on."),
    ] = None,
    settings: Settings = None,
    memory: Annotated[
        int | None,
        Option(metavar="MB", help="Ceiling of memory for ngram: what is larger goes to disk."),
    ] = None,
    workers: Workers = None,
    on: On = None,
    scratch: Scratch = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Say what it would take (parameters, memory, time), and leave.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a language model on a store, or a tagger on a labeled file.

    Ctrl-C writes a checkpoint and the best model so far.
    """
    assignments = [*(settings or ()), *([f"memory={memory}"] if memory is not None else [])]
    chosen = read_settings(assignments, langue.train)
    if dry_run:
        estimate = langue.estimate(recipe, data, **chosen)
        print_json(estimate.to_json()) if json else print(estimate)
        return
    if output is None:
        raise LangueError("name the folder to write: -o MODEL")
    model = langue.train(
        recipe,
        data,
        output,
        valid=valid,
        overwrite=overwrite,
        resume=resume,
        workers=workers,
        on=on,
        scratch=scratch,
        **chosen,
    )
    if not is_first():  # of the processes of torchrun one speaks
        return
    if json:
        print_json(model.info())
    elif not quiet:
        print(f"{output}: {model.summary()}")
