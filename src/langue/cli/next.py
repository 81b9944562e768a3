"""`langue next`: the likeliest next tokens, as a small bar chart."""

from typing import Annotated

import langue
from langue.cli.options import MOST, Json, Quiet, print_json, text_of
from langue.cli.parameters import Argument, Option

BAR = 40  # columns of a bar of probability 1: leaves room for a long token on 80 columns


def command(
    model: Annotated[str, Argument(help="Model folder.")],
    context: Annotated[
        str, Argument(callback=text_of, help="The text so far; empty for the start of a document.")
    ] = "",
    top: Annotated[int, Option(min=1, max=MOST, help="How many tokens to show.")] = 10,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the likeliest next tokens after a text."""
    from rich.cells import cell_len

    tokens = langue.CausalModel.load(model).next_tokens(context, k=top)
    if json:
        print_json([{"token": token, "probability": probability} for token, probability in tokens])
        return
    width = max(cell_len(token) for token, _ in tokens)
    for token, probability in tokens:
        padding = " " * (width - cell_len(token))  # a Chinese character fills two columns
        print(f"{token}{padding}  {probability:7.2%}  {'█' * round(probability * BAR)}".rstrip())
