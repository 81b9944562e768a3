"""`langue inspect`: what a tagger has learned."""

from typing import Annotated

import typer

from langue.cli.options import Json, Quiet, print_json

NAME = "inspect"


def command(
    model: Annotated[str, typer.Argument(help="Folder of a tagger.")],
    top: Annotated[int, typer.Option(min=1, help="How many features to show.")] = 40,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the features of the largest weight: what speaks for a tag, and (below 0) what against it."""
    from rich.cells import cell_len

    from langue.api.models.tagger import TaggerModel

    weights = TaggerModel.load(model).weights(k=top)
    if json:
        print_json([weight._asdict() for weight in weights])
        return
    width = max((cell_len(weight.label) for weight in weights), default=0)
    for weight in weights:
        print(
            f"{weight.weight:+9.4f}  {weight.label}{' ' * (width - cell_len(weight.label))}  {weight.feature}"
        )
