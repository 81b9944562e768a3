"""What several verbs share: `--json`, `--quiet`, and how a result reaches standard output."""

import inspect
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from langue.base.config import read_assignments
from langue.base.errors import InvalidSetting, LangueError
from langue.base.progress import silence

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output folder if it exists.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same machine, same result.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, for example training.minutes=3."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint, if there is one.")]
DocumentsRule = Annotated[
    str | None,
    typer.Option(
        "--documents",
        metavar="RULE",
        help="How text files are cut: line, blank-line, form-feed, file, auto; left out: as in training.",
    ),
]
SplitName = Annotated[str, typer.Option("--split", help="Which documents: train, valid or test.")]


def _quiet(value: bool) -> bool:
    if value:
        silence()
    return value


Quiet = Annotated[
    bool, typer.Option("--quiet", callback=_quiet, help="Print the result and warnings only, no progress.")
]


def is_first() -> bool:
    """Whether this process speaks for those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def read_settings(assignments: list[str] | None, verb: Callable[..., object]) -> dict[str, Any]:
    """The `--set` of a command line as the settings that a function of the API takes by name.

    Raises:
        InvalidSetting: one has no `=`, or the name of something that is no setting but an argument.
    """
    settings = read_assignments(assignments or ())
    for name in settings.keys() & inspect.signature(verb).parameters.keys():
        raise InvalidSetting(f"unknown key {name}: langue families NAME lists what can be set")
    return settings


def print_json(value: Any) -> None:
    """One JSON value on standard output; infinities must already be null."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 file, or of standard input for `-`, without their ends.

    Raises:
        LangueError: the file is missing, empty or not UTF-8 (the byte is named).
    """
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LangueError(
            f"{path} is not UTF-8: byte {error.start}; convert it, for example with iconv"
        ) from None
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if lines == [""]:
        raise LangueError(f"{path} is empty; name a file that holds text")
    return lines
