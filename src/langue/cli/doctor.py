"""`langue doctor`: is this machine fit?"""

from pathlib import Path
from typing import Annotated

import typer

from langue.cli.options import Json, Quiet, print_json

NAME = "doctor"


def command(
    folder: Annotated[Path, typer.Argument(help="Where models would be written.")] = Path(),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Look at processor, memory, disk, compiler and extras, and say what to do. Exit code 1: unfit."""
    from langue import api

    findings = []
    for finding in api.doctor(folder):
        findings.append(finding)
        if not json:
            print(finding, flush=True)
    if json:
        print_json([finding._asdict() for finding in findings])
    if any(finding.verdict == "fail" for finding in findings):
        raise typer.Exit(1)
