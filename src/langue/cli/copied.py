"""`langue copied`: how much of a text stands verbatim in the training text."""

from pathlib import Path
from typing import Annotated

import langue
from langue.cli.options import MOST, Json, Quiet, TextField, print_json, read_lines
from langue.cli.parameters import Argument, Option


def command(
    model: Annotated[Path, Argument(help="Model folder of the family infinigram.")],
    text: Annotated[Path, Argument(help="One text, or records joined to one; - for standard input.")],
    min_bytes: Annotated[int, Option(min=1, max=MOST, help="Bytes of a piece that counts as copied.")] = 32,
    limit: Annotated[int, Option(min=0, max=MOST, help="Pieces to show, the longest first.")] = 10,
    text_field: TextField = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say how much of a text, such as a generated one, was copied from the training text."""
    copied = langue.InfiniGramModel.load(model).copied(
        "\n".join(read_lines(text, text_field)), min_bytes=min_bytes, limit=limit
    )
    if json:
        print_json(copied.to_json())
    else:
        print(copied)
