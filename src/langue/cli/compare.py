"""`langue compare`: several models on the same documents, one table."""

from typing import Annotated

import typer

from langue.cli.options import Json, Quiet, SplitName, print_json

NAME = "compare"


def command(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Model folders.")],
    on: Annotated[str, typer.Option("--on", metavar="STORE", help="Token store to measure on.")],
    split: SplitName = "test",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rank models in bits per byte, and say which differences are real."""
    from langue import api

    comparison = api.compare(models, on=on, split=split)
    if json:
        print_json(comparison.to_json())
    else:
        print(comparison)
