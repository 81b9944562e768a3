"""What several verbs share: `--json`, `--quiet`, and how a result reaches standard output."""

import json
import math
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from langue.base.errors import LangueError
from langue.base.progress import silence

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output folder if it exists.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")]
LARGEST_SEED = 2**53  # as of any setting
MOST = 1_000_000  # of rows to show, or tokens to look back: more is a slip of the finger
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Same seed, same machine, same result.")
]
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


def finite(value: float | None) -> float | None:
    """A number that is one: refuses infinity and NaN, which the bounds of an option let pass."""
    if value is not None and not math.isfinite(value):
        raise LangueError(f"{value} is no number to work with; give one that is finite")
    return value


def text_of(value: str | None) -> str | None:
    """An argument that is text: refuses bytes that are not UTF-8, which file names may have."""
    try:
        (value or "").encode()
    except UnicodeEncodeError as error:
        raise LangueError(
            f"{value!r} is not UTF-8: character {error.start}; put the text in a file and convert it, for "
            "example with iconv"
        ) from None
    return value


def texts_of(values: list[str] | None) -> list[str] | None:
    for value in values or ():
        text_of(value)
    return values


def is_first() -> bool:
    """Whether this process speaks for those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def print_json(value: Any) -> None:
    """One JSON value on standard output; infinities must already be null."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 file, or of standard input for `-`, without their ends.

    Raises:
        LangueError: the file is missing, empty or not UTF-8 (the byte is named).
    """
    try:
        if str(path) != "-":
            data = path.read_bytes()
        elif sys.stdin is None:
            raise LangueError("standard input is closed; name a file, or send text to it")
        else:
            data = sys.stdin.buffer.read()
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LangueError(
            f"{path} is not UTF-8: byte {error.start}; convert it, for example with iconv"
        ) from None
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if lines == [""]:
        raise LangueError(f"{path} is empty; name a file that holds text")
    return lines
