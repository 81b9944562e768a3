"""`langue export`: a model in a format that others read."""

from pathlib import Path
from typing import Annotated

import langue
from langue.cli.options import Json, Quiet, print_json
from langue.cli.parameters import Argument, Option


def command(
    model: Annotated[Path, Argument(help="Model folder.")],
    output: Annotated[
        Path, Option("-o", "--output", help="Folder or file to write: .arpa (.gz is gzipped), .gguf.")
    ],
    format: Annotated[
        str | None, Option("--format", help="Its name, where several formats hold such a model.")
    ] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace the output if it exists.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write an n-gram model as an ARPA file, which KenLM and SRILM load; a GPT-2, BERT, ALBERT, the
    discriminator of ELECTRA, a classifier or a tagger of one as a folder, which transformers loads; a GPT-2
    as a file .gguf, which llama.cpp and Ollama run."""
    export = langue.export_model(model, output, format=format, overwrite=overwrite)
    if json:
        print_json(export.to_json())
    elif not quiet:
        print(export)
