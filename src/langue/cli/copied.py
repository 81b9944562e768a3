"""`langue copied`: how much of a text stands verbatim in the training text."""

from pathlib import Path
from typing import Annotated

import typer

from langue.cli.options import MOST, Json, Quiet, print_json, read_lines

NAME = "copied"


def command(
    model: Annotated[Path, typer.Argument(help="Model folder of the family infinigram.")],
    text: Annotated[Path, typer.Argument(help="UTF-8 file, one text; - for standard input.")],
    min_tokens: Annotated[
        int, typer.Option(min=1, max=MOST, help="Tokens of a piece that counts as copied.")
    ] = 8,
    limit: Annotated[int, typer.Option(min=0, max=MOST, help="Pieces to show, the longest first.")] = 10,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say how much of a text, such as a generated one, was copied from the training text."""
    from langue import api

    found = api.InfiniGramModel.load(model).copied(
        "\n".join(read_lines(text)), min_tokens=min_tokens, limit=limit
    )
    if json:
        print_json(found.to_json())
    else:
        print(found)
