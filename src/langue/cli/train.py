"""`langue train`: a recipe or a family, a store or a labelled file in, a model folder out."""

from typing import Annotated

import typer

from langue.cli.options import Json, Output, Overwrite, Quiet, Settings, print_json

NAME = "train"


def command(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE|FAMILY", help="A TOML file, or ngram, gpt2, crf.")],
    data: Annotated[
        str,
        typer.Argument(
            metavar="STORE|TAGGED", help="Folder that langue prepare wrote; a labelled file for a tagger."
        ),
    ],
    output: Output,
    valid: Annotated[
        str | None, typer.Option(metavar="FILE", help="Labelled file that a finished tagger is measured on.")
    ] = None,
    settings: Settings = None,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint, if there is one.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a language model on a store, or a tagger on a labelled file.

    Ctrl-C writes a checkpoint and the best model so far.
    """
    from langue import api

    model = api.train(
        recipe,
        data,
        output,
        valid=valid,
        assignments=settings or (),
        overwrite=overwrite,
        resume=resume,
    )
    if json:
        print_json(model.info())
    elif not quiet:
        print(f"{output}: {model.summary()}")
