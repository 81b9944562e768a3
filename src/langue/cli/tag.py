"""`langue tag`: tag a sentence, or a file of them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from langue.cli.options import Json, Quiet, print_json, read_lines

NAME = "tag"


def command(
    model: Annotated[str, typer.Argument(help="Folder of a tagger.")],
    text: Annotated[
        str,
        typer.Argument(metavar="TEXT|FILE", help="A sentence; a file of the model's columns; - for lines."),
    ],
    format: Annotated[
        Literal["auto", "conll", "conllu", "jsonl", "text"],
        typer.Option(help="What the file is; auto goes by its name. text: a sentence a line."),
    ] = "auto",
    to: Annotated[
        Literal["same", "conll", "conllu", "jsonl"], typer.Option(help="Format to write; same as read.")
    ] = "same",
    n_best: Annotated[
        int, typer.Option(min=0, help="Show the likeliest taggings with their probabilities.")
    ] = 0,
    marginals: Annotated[bool, typer.Option("--marginals", help="Show each tag's probability.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tag a sentence, or every sentence of a file, which is written back with the new tags."""
    from langue.api.models.tagger import Marginals, NBest, TaggerModel

    tagger = TaggerModel.load(model)
    if text == "-" or format == "text":
        tagged = tagger.plain(read_lines(Path(text)))
    elif Path(text).is_file():
        tagged = tagger.read(Path(text), format)
    else:
        tagged = tagger.plain([text])
    if n_best or marginals:
        rows: Sequence[NBest | Marginals] = (
            tagger.n_best(tagged, n=n_best) if n_best else tagger.marginals(tagged)
        )
        print_json([row.to_json() for row in rows]) if json else print("\n\n".join(map(str, rows)))
    elif json:
        print_json(tagger.tags(tagged))
    else:
        for piece in tagger.write(tagged, None if to == "same" else to):
            sys.stdout.write(piece)
