"""`langue export`: a model in a format that others read."""

from pathlib import Path
from typing import Annotated

import typer

from langue.cli.options import Json, Quiet, print_json

NAME = "export"


def command(
    model: Annotated[Path, typer.Argument(help="Model folder of ngram, gpt2, bert, albert or electra.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="ARPA file (.gz is gzipped) or folder to write.")
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write an n-gram model as an ARPA file, which KenLM and SRILM load; a GPT-2, BERT, ALBERT or the
    discriminator of a pair as a folder, which transformers loads."""
    from langue import api

    family = api.info(model).get("family")
    if family in ("bert", "albert", "electra"):
        api.export_encoder(model, output, overwrite=overwrite)
        print_json({"output": str(output)}) if json else print(f"{output}: written")
        return
    count = api.export_model(model, output, overwrite=overwrite)
    unit = "parameters" if family == "gpt2" else "n-grams"
    if json:
        print_json({"output": str(output), unit.replace("-", ""): count})
    elif not quiet:
        print(f"{output}: {count:,} {unit}")
