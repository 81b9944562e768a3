"""`langue embed`: a vector of each line of a file."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import langue
from langue.cli.options import Json, Quiet, TextField, print_items, read_line_batches
from langue.cli.parameters import Argument, Option


def command(
    model: Annotated[str, Argument(help="Folder of a model that reads in both directions.")],
    text: Annotated[
        Path,
        Argument(
            help="One text a line, or a record each (.jsonl .json .csv .tsv .parquet); - for standard input."
        ),
    ],
    output: Annotated[Path | None, Option("-o", "--output", help="NumPy file to write.")] = None,
    overwrite: Annotated[
        bool, Option("--overwrite", beside="output", help="Replace the file if it exists.")
    ] = False,
    pooling: Annotated[Literal["mean", "cls"], Option(help="Over all tokens, or [CLS] alone.")] = "mean",
    whiten: Annotated[
        bool, Option("--whiten", help="Give the vectors the mean zero and the covariance one.")
    ] = False,
    text_field: TextField = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a vector of each line: to a .npy file, or as numbers between tabs."""
    from langue.base.files import atomic_file, check_file_free, refuse_same

    if output is not None:  # before the work, not after it
        refuse_same(output, [text, model])
        check_file_free(output, overwrite=overwrite)
    held = langue.MaskedModel.load(model)
    lines = read_line_batches(text, text_field)
    if whiten:  # by the mean and the covariance of all of them
        lines = iter([[line for batch in lines for line in batch]])
    batches = (held.embed(texts, pooling=pooling, whiten=whiten) for texts in lines)
    if output is not None:
        import numpy as np

        vectors = np.concatenate(list(batches))
        with atomic_file(output, overwrite=overwrite) as file:
            np.save(file, vectors)
        print(f"{output}: {vectors.shape[0]:,} vectors of {vectors.shape[1]:,} numbers")
    elif json:
        print_items(vector for vectors in batches for vector in vectors.tolist())
    else:
        for vectors in batches:
            for vector in vectors:
                print("\t".join(f"{number:.6g}" for number in vector))
            sys.stdout.flush()
