"""`langue info`: what is in a folder."""

import json as jsonlib
from pathlib import Path
from typing import Annotated

import langue
from langue.cli.options import Json, Quiet, print_json
from langue.cli.parameters import Argument, Option

LONGEST = 200  # characters of a list


def command(
    path: Annotated[Path, Argument(metavar="MODEL|STORE", help="Folder langue wrote.")],
    verify: Annotated[
        bool, Option("--verify", help="Read every file whole and compare it with what was recorded.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what a model folder or a token store holds."""
    facts = langue.info(path, verify=verify)
    if json:
        print_json(facts)
        return
    for name, value in _flat(facts):
        print(f"{name:34} {value}")


def _flat(facts: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    """Nested tables as dotted names, lists in a line; file hashes are for machines and stay with `--json`."""
    rows: list[tuple[str, object]] = []
    for name, value in facts.items():
        if name == "files":
            continue
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            rows.append((f"{prefix}{name}", _line(value)))
        elif value is not None:
            rows.append((f"{prefix}{name}", value))
    return rows


def _line(values: list[object]) -> str:
    """As many of them as fit a line, at least one."""
    shown = jsonlib.dumps(values, ensure_ascii=False)
    kept = len(values)
    while len(shown) > LONGEST and kept > 1:
        kept //= 2
        shown = jsonlib.dumps(values[:kept], ensure_ascii=False)[:-1] + f", … {len(values):,} in all]"
    return shown
