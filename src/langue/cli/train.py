"""`langue train`: a recipe or a family, a store in, a model folder out."""

from typing import Annotated

import typer

from langue.cli.options import Json, Output, Overwrite, Quiet, Settings, print_json

NAME = "train"


def command(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE|FAMILY", help="A TOML file, or ngram, gpt2.")],
    store: Annotated[str, typer.Argument(help="Folder that langue prepare wrote.")],
    output: Output,
    settings: Settings = None,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint, if there is one.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a model of any family on a store. Ctrl-C writes a checkpoint and the best model so far."""
    from langue import api

    model = api.train(recipe, store, output, assignments=settings or (), overwrite=overwrite, resume=resume)
    if json:
        print_json(model.info())
    elif not quiet:
        print(f"{output}: {model.summary()}")
