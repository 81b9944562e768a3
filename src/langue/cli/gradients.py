"""`langue gradients`: how far back a recurrent model learns."""

from typing import Annotated

import langue
from langue.cli.options import MOST, Json, Quiet, SplitName, print_json
from langue.cli.parameters import Argument, Option


def command(
    model: Annotated[str, Argument(help="Model folder of a recurrent family: rnn or charcnn.")],
    on: Annotated[str, Argument(metavar="STORE", help="Token store to measure on.")],
    split: SplitName = "test",
    distance: Annotated[int, Option(min=1, max=MOST, help="How many tokens back to look.")] = 100,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the gradient of a token's loss by distance in time: the vanishing gradient, measured."""
    gradients = langue.gradients(model, on, split=split, distance=distance)
    if json:
        print_json(gradients.to_json())
    else:
        print(gradients)
