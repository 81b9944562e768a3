"""`langue states`: what the hidden states of an HMM have learned."""

import sys
from collections.abc import Iterator
from typing import Annotated

import langue
from langue.cli.options import (
    MOST,
    Json,
    Quiet,
    names_input,
    pieces_of,
    print_items,
    print_json,
    read_line_batches,
    some_text,
)
from langue.cli.parameters import Argument, Option


def command(
    model: Annotated[str, Argument(help="Model folder of an hmm or a neural-hmm.")],
    text: Annotated[
        str | None,
        Argument(
            metavar="TEXT|FILE",
            callback=some_text,
            help="Show the states behind this text instead; of a file, of each line; - for standard input.",
        ),
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
    is_file = names_input(text, "states")
    behind = map(hmm.states_of, _lines(text) if is_file else [text])
    if json:
        print_items(behind) if is_file else print_json(next(behind))
        return
    for number, rows in enumerate(behind):
        if number:
            print()
        for row in rows:
            print(f"{row['state']:4} {row['posterior']:7.1%}  {row['token']}")
        sys.stdout.flush()


def _lines(name: str) -> Iterator[str]:
    for batch in read_line_batches(name):
        for text in batch:
            yield from map(str, pieces_of(text, "read"))
