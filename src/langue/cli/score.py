"""`langue score`: how surprising is each line of a file, or each document, by the stream."""

import sys
from collections.abc import Iterable
from typing import Annotated, Literal

import langue
from langue.base.errors import LangueError
from langue.base.progress import is_terminal
from langue.cli.options import Json, On, Quiet, Scratch, TextField, Workers
from langue.cli.parameters import Argument, Option


def command(
    model: Annotated[str, Argument(help="Model folder.")],
    text: Annotated[
        list[str],
        Argument(
            metavar="TEXT...",
            help="One text a line, or a record each (.jsonl .json .csv .tsv .parquet), packed or not; "
            "folders; - for standard input.",
        ),
    ],
    by: Annotated[
        Literal["line", "document"],
        Option(help="What a text is in plain text: a line, or a document, cut as in training."),
    ] = "line",
    format: Annotated[
        Literal["tsv", "jsonl", "kenlm", "parquet"],
        Option(help="tsv, jsonl, parquet; or kenlm: log10 and unknown words, as its query -v sentence."),
    ] = "tsv",
    per_token: Annotated[bool, Option("--per-token", help="Show the bits of every token too.")] = False,
    text_field: TextField = None,
    workers: Workers = None,
    on: On = None,
    scratch: Scratch = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score each line as a document of its own: bits, bits per byte, perplexity per token.

    Scores come as texts are read, in their order, whatever the size of the files. A model that reads in both
    directions has no probability of a text: it gives pseudo-bits.
    """
    if format == "parquet" and is_terminal(sys.stdout):
        raise LangueError("Parquet is no text for a terminal; write it to a file: > scores.parquet")
    write(
        langue.write_scores(
            model,
            text,
            format="json" if json else format,
            by=by,
            per_token=per_token,
            text_field=text_field,
            workers=workers,
            on=on,
            scratch=scratch,
        )
    )


def write(pieces: Iterable[str | bytes]) -> None:
    """Print pieces as they come, each as soon as it is there."""
    for piece in pieces:
        if isinstance(piece, str):
            sys.stdout.write(piece)
        elif (binary := getattr(sys.stdout, "buffer", None)) is not None:
            binary.write(piece)
        else:
            sys.stdout.write(piece.decode())
        sys.stdout.flush()
