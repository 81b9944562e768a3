"""`langue inspect`: what a tagger has learned."""

from typing import Annotated

from langue.cli.options import MOST, Json, Quiet, print_json
from langue.cli.parameters import Argument, Option


def command(
    model: Annotated[str, Argument(help="Folder of a tagger.")],
    top: Annotated[int, Option(min=1, max=MOST, help="How many features to show.")] = 40,
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
