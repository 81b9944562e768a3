"""`langue filter`: keep the texts that a model of good text finds likely, and that pass plain rules."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import langue
from langue.base.errors import LangueError
from langue.base.progress import is_terminal
from langue.base.values import LARGEST
from langue.cli.options import Json, On, Quiet, Scratch, TextField, Workers, print_json
from langue.cli.parameters import Argument, Option


def command(
    inputs: Annotated[
        list[str],
        Argument(metavar="TEXT...", help="Text, JSON lines or Parquet, packed or not; folders; -."),
    ],
    good: Annotated[
        str | None, Option(metavar="MODEL", help="Model of good text: rank by its bits per byte.")
    ] = None,
    other: Annotated[
        str | None,
        Option(
            metavar="MODEL", beside="good", help="Model of other text: rank by the difference of the two."
        ),
    ] = None,
    keep: Annotated[
        str | None, Option(metavar="SHARE", beside="good", help="Keep the best share, such as 30%.")
    ] = None,
    below: Annotated[
        float | None, Option(metavar="BITS", beside="good", help="Keep what scores no more than this.")
    ] = None,
    buckets: Annotated[
        bool,
        Option(
            "--buckets",
            beside="good",
            help="Tell in a field whether a text is of the head, middle or tail third.",
        ),
    ] = False,
    min_bytes: Annotated[int | None, Option(min=0, max=LARGEST, help="Drop shorter texts.")] = None,
    max_bytes: Annotated[int | None, Option(min=0, max=LARGEST, help="Drop longer texts.")] = None,
    max_repeated: Annotated[
        float | None,
        Option(min=0, max=1, metavar="SHARE", help="Drop texts with more in lines that stand above."),
    ] = None,
    max_symbols: Annotated[
        float | None,
        Option(min=0, max=1, metavar="SHARE", help="Drop texts with more that is no letter, digit or blank."),
    ] = None,
    by: Annotated[
        Literal["line", "document"], Option(help="What a text is in plain text: a line, or a document.")
    ] = "line",
    output: Annotated[
        Path | None,
        Option("-o", "--output", help="File to write: .jsonl, .parquet, else lines; left out: printed."),
    ] = None,
    format: Annotated[
        Literal["text", "jsonl", "parquet"] | None,
        Option(help="What is written; left out: by the name of the output, or of what is read."),
    ] = None,
    text_field: TextField = None,
    score_field: Annotated[
        str | None,
        Option(metavar="NAME", beside="good", empty=True, help="Field for the score; an empty name: none."),
    ] = None,
    overwrite: Annotated[
        bool, Option("--overwrite", beside="output", help="Replace the file if it exists.")
    ] = False,
    workers: Workers = None,
    on: On = None,
    scratch: Scratch = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Keep the texts that a model of good text finds likely, with their fields as they stood.

    What was read, dropped for which reason and kept is reported: on standard error where texts are printed.
    """
    if output is None and format == "parquet" and is_terminal(sys.stdout):
        raise LangueError("Parquet is no text for a terminal; name a file: -o NAME.parquet")
    report = langue.filter(
        inputs,
        sys.stdout.buffer if output is None else output,
        good=good,
        other=other,
        keep=keep,
        below=below,
        buckets=buckets,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        max_repeated=max_repeated,
        max_symbols=max_symbols,
        by=by,
        text_field=text_field,
        score_field=score_field,
        format=format,
        overwrite=overwrite,
        workers=workers,
        on=on,
        scratch=scratch,
    )
    if output is not None:
        print_json(report.to_json()) if json else print(report)
    elif not quiet:
        print(report, file=sys.stderr)
