"""`langue finetune`: a trained encoder and labeled texts in, a model of a task out."""

from pathlib import Path
from typing import Annotated

import langue
from langue.base.progress import is_first
from langue.cli.options import Json, Output, Overwrite, Quiet, Resume, print_json, read_settings
from langue.cli.parameters import Argument, Option


def command(
    model: Annotated[str, Argument(help="Folder of a model that reads in both directions.")],
    data: Annotated[
        Path,
        Argument(help="text TAB label, or JSON lines; pair: two texts; tag: as train crf; span: as SQuAD."),
    ],
    output: Output,
    task: Annotated[
        str,
        Option(
            help="What is learned: classify: the label of a text; multilabel: its labels; pair: of two "
            "together; tag: of each token; span: what answers a question; simcse: vectors, without labels."
        ),
    ] = "classify",
    valid: Annotated[
        Path | None, Option(help="File that chooses epoch and seed; else a tenth of DATA.")
    ] = None,
    test: Annotated[Path | None, Option(help="File to measure on at the end.")] = None,
    settings: Annotated[
        list[str] | None,
        Option("--set", metavar="KEY=VALUE", help="Change one setting, for example epochs=5."),
    ] = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Teach an encoder to tell texts apart, tag tokens or find answers; the figures are of several seeds."""
    result = langue.finetune(
        model,
        data,
        output,
        task=task,
        valid=valid,
        test=test,
        overwrite=overwrite,
        resume=resume,
        **read_settings(settings, langue.finetune),
    )
    if not is_first():  # of the processes of torchrun one speaks
        return
    print_json(result.to_json()) if json else print(f"{result}\n{output}: written")
