"""`langue find`: where a string stands in the training text."""

from pathlib import Path
from typing import Annotated

import langue
from langue.cli.options import MOST, Json, Quiet, print_json, text_of
from langue.cli.parameters import Argument, Option


def command(
    model: Annotated[Path, Argument(help="Model folder of the family infinigram.")],
    text: Annotated[str, Argument(callback=text_of, help="The string to look for.")],
    limit: Annotated[int, Option(min=0, max=MOST, help="Occurrences to show.")] = 10,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Count a string of any length in the training text (the train split), and show where it stands."""
    matches = langue.InfiniGramModel.load(model).find(text, limit=limit)
    if json:
        print_json(matches.to_json())
    else:
        print(matches)
