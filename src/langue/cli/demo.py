"""`langue demo`: the whole of langue on the embedded English and Chinese text."""

from pathlib import Path
from typing import Annotated

import langue
from langue.cli.options import Json, Overwrite, Quiet, print_json
from langue.cli.parameters import Option


def command(
    output: Annotated[Path, Option("-o", "--output", help="Folder for the stores and models.")] = Path(
        "demo"
    ),
    minutes: Annotated[float, Option(min=0.01, help="Training time of each GPT-2.")] = 2.5,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train unigram, bigram, trigram, 5-gram, GPT-2 and a mixture in English and Chinese, compare, and let
    each talk; then train a BERT in Chinese and let it fill gaps."""
    results = langue.demo(output, minutes=minutes, overwrite=overwrite, show=not json)
    if json:
        print_json(results)
