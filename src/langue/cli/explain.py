"""`langue explain`: why a token of a text is as likely as it is."""

from typing import Annotated

import langue
from langue.cli.options import MOST, Json, Quiet, print_json, text_of
from langue.cli.parameters import Argument, Option


def command(
    model: Annotated[str, Argument(help="Model folder of a language model.")],
    text: Annotated[str, Argument(callback=text_of, help="The text.")],
    token: Annotated[
        int, Option(min=-MOST, max=MOST, help="Which token: 0 is the first, -1 the end of the document.")
    ] = -2,
    top: Annotated[int, Option(min=1, max=MOST, help="How many likeliest tokens to show beside it.")] = 10,
    layer: Annotated[
        int | None, Option(min=0, max=MOST, help="Whose attention to show; the last one.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell why a token of a text is as likely as it is: by counts, states, attention and the like."""
    explained = langue.CausalModel.load(model).explain(text, token, k=top, layer=layer)
    print_json(explained.to_json()) if json else print(explained)
