"""`langue import`: others' models as model folders."""

from pathlib import Path
from typing import Annotated

import langue
from langue.cli.options import Json, Output, Overwrite, Quiet, print_json
from langue.cli.parameters import Argument


def command(
    path: Annotated[
        Path,
        Argument(
            metavar="ARPA|FOLDER",
            help="An ARPA file, or a GPT-2, Qwen3, BERT, ALBERT or ELECTRA of Hugging Face.",
        ),
    ],
    output: Output,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read a model of KenLM, SRILM or another maker and write it as a model folder."""
    model = langue.import_model(path, output, overwrite=overwrite)
    if json:
        print_json(model.info())
    elif not quiet:
        print(f"{output}: {model.summary()}")
