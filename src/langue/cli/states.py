"""`langue states`: what the hidden states of an HMM have learned."""

from typing import Annotated

import langue
from langue.cli.options import MOST, Json, Quiet, print_json, some_text
from langue.cli.parameters import Argument, Option


def command(
    model: Annotated[str, Argument(help="Model folder of an hmm or a neural-hmm.")],
    text: Annotated[
        str | None, Argument(callback=some_text, help="Show the states behind this text instead.")
    ] = None,
    top: Annotated[int, Option(min=1, max=MOST, help="Words to show of each state.")] = 10,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print the likeliest words of each hidden state and draw transitions, or the states behind a text."""
    hmm = langue.HMMModel.load(model)
    if text is None:
        picture = hmm.states(k=top)
        print_json(picture.to_json()) if json else print(picture)
        return
    rows = hmm.states_of(text)
    if json:
        print_json(rows)
        return
    for row in rows:
        print(f"{row['state']:4} {row['posterior']:7.1%}  {row['token']}")
