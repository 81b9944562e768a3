"""The command `langue`: one thin file a verb, which parses, calls the API and prints.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 a check
failed, 2 bad input, 130 interrupted.
"""

import gc
import logging
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from langue import __version__
from langue.base.deprecated import RenamedWarning, renamed_options
from langue.base.errors import LangueError
from langue.base.progress import log
from langue.cli import (
    classify,
    compare,
    copied,
    demo,
    doctor,
    embed,
    evaluate,
    export,
    families,
    fill,
    find,
    finetune,
    generate,
    gradients,
    import_,
    info,
    inspect,
    next,
    prepare,
    recipes,
    score,
    states,
    tag,
    train,
)

app = typer.Typer(
    name="langue",
    help="Train every classic language model on your own text, and measure them all in bits per byte.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
VERBS = (
    demo, prepare, train, evaluate, compare, generate, next, fill, score, embed, tag, finetune, classify,
    info, inspect, states, gradients, find, copied, import_, export, families, recipes,
    doctor,
)  # fmt: skip
RENAMED_OPTIONS = {
    "copied": {"--least": "--min-bytes", "--show": "--limit"},
    "fill": {"--append": "--num-masks"},
    "find": {"--show": "--limit"},
    "generate": {"--beams": "--num-beams"},
    "tag": {"--best": "--n-best"},
}
for verb in VERBS:
    app.command(verb.NAME)(verb.command)


@app.callback(invoke_without_command=True)
def version(version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    # Modules are many objects, and none of them is garbage: looking so often costs a twelfth of the start.
    gc.set_threshold(10_000)
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    # Whoever stops langue from outside gets what Ctrl-C gives: the state saved, nothing half-written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; what a user can put right becomes one message and an exit code."""
    try:
        with _old_names_told():
            app(renamed_options(arguments, RENAMED_OPTIONS), prog_name="langue")
    except LangueError as error:
        return _fail(error.message, error.exit_code)
    except MemoryError:
        return _fail("not enough memory for this; try a smaller batch, vocabulary or order", 2)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror or error}", 2)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0
        return _fail("interrupted; nothing half-written was left behind", code) if code == 130 else code
    return 0


@contextmanager
def _old_names_told() -> Iterator[None]:
    """Each old name of a setting or option is told once, as a line on standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", RenamedWarning)
        show = warnings.showwarning

        def tell(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, RenamedWarning):
                print(f"langue: {message}", file=sys.stderr)
            else:
                show(message, category, *where, **more)

        warnings.showwarning = tell
        yield


def _fail(message: str, code: int) -> int:
    print(f"langue: {message}", file=sys.stderr)
    return code
