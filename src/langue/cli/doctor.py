"""`langue doctor`: is this machine fit?"""

import sys
from pathlib import Path
from typing import Annotated

import langue
from langue.cli.options import Json, Quiet, print_json
from langue.cli.parameters import Argument


def command(
    folder: Annotated[Path, Argument(help="Where models would be written.")] = Path(),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Look at processor, memory, disk, compiler and extras, and say what to do. Exit code 1: unfit."""
    findings = []
    for finding in langue.doctor(folder):
        findings.append(finding)
        if not json:
            print(finding, flush=True)
    if json:
        print_json([finding._asdict() for finding in findings])
    if any(finding.verdict == "fail" for finding in findings):
        sys.exit(1)
