"""`langue score`: how surprising is each line of a file."""

from pathlib import Path
from typing import Annotated

import typer

from langue.cli.options import Json, Quiet, print_json, read_lines

NAME = "score"


def command(
    model: Annotated[str, typer.Argument(help="Model folder.")],
    text: Annotated[Path, typer.Argument(help="UTF-8 file, one text a line; - for standard input.")],
    per_token: Annotated[bool, typer.Option("--per-token", help="Show the bits of every token too.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score each line as a document of its own: bits, bits per byte, perplexity per token."""
    from langue import api

    scores = api.language_model(model).score_all(read_lines(text))
    if json:
        print_json([score.to_json(per_token=per_token) for score in scores])
        return
    print("bits\tbits/byte\tperplexity\ttext")
    for score in scores:
        print(score.row())
        if per_token:
            print("\n".join(score.token_rows()))
