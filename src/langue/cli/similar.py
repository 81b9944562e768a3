"""`langue similar`: the passages of texts that are nearest to a query."""

from pathlib import Path
from typing import Annotated, Literal

import langue
from langue.cli.answer import PassageCut
from langue.cli.options import MOST, Json, Quiet, TextField, print_json, text_of
from langue.cli.parameters import Argument, Option


def command(
    query: Annotated[str, Argument(callback=text_of, help="What the passages are to be near to.")],
    texts: Annotated[
        list[str],
        Argument(metavar="STORE|TEXT", help="Text files, folders, token stores; - for standard input."),
    ],
    model: Annotated[
        Path | None,
        Option(help="Folder of a model that reads in both directions: near by its vectors. Left out: BM25."),
    ] = None,
    top: Annotated[int, Option(min=1, max=MOST, help="How many passages to show.")] = 5,
    passages: PassageCut = "auto",
    pooling: Annotated[
        Literal["mean", "cls"] | None, Option(help="Over all tokens (mean, the default), or [CLS] alone.")
    ] = None,
    whiten: Annotated[bool, Option("--whiten", help="Spread the vectors of the passages.")] = False,
    index: Annotated[
        Path | None,
        Option(help="Folder that keeps the vectors, and is read if it holds those of the same passages."),
    ] = None,
    overwrite: Annotated[
        bool, Option("--overwrite", beside="index", help="Replace an index of other passages.")
    ] = False,
    text_field: TextField = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the passages nearest to a query, by the vectors of a model or by the words they share."""
    from langue.base.files import refuse_same
    from langue.tasks.retrieval.passages import Passages

    if index is not None:
        refuse_same(index, [*texts, *([model] if model else [])])
    held = Passages.read(texts, cut=passages, text_field=text_field)
    result = langue.similar(
        query,
        held,
        model=model,
        k=top,
        pooling=pooling,
        whiten=whiten,
        index=index,
        overwrite=overwrite,
    )
    if json:
        print_json(result.to_json())
    else:
        print(result)
