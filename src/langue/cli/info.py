"""`langue info`: what is in a folder."""

from pathlib import Path
from typing import Annotated

import typer

from langue.cli.options import Json, Quiet, print_json

NAME = "info"


def command(
    path: Annotated[Path, typer.Argument(metavar="MODEL|STORE", help="Folder langue wrote.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what a model folder or a token store holds."""
    from langue import api

    facts = api.info(path)
    if json:
        print_json(facts)
        return
    for name, value in _flat(facts):
        print(f"{name:34} {value}")


def _flat(facts: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    """Nested tables as dotted names; file hashes are for machines and stay with `--json`."""
    rows: list[tuple[str, object]] = []
    for name, value in facts.items():
        if name == "files":
            continue
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}.")
        elif not isinstance(value, list):
            rows.append((f"{prefix}{name}", value))
    return rows
