"""The command `langue`: one thin file a verb, which parses, calls the API and prints.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 a check
failed, 2 bad input, 130 interrupted (143 by SIGTERM, 129 by SIGHUP, as shells have it).
"""

import contextlib
import functools
import gc
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import typer

from langue import __version__
from langue.base import signals
from langue.base.deprecated import RenamedWarning, renamed_options
from langue.base.errors import Interrupted, LangueError, is_out_of_memory
from langue.base.limits import MESSAGE, fit_threads
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


def _told(command: Callable[..., None]) -> Callable[..., None]:
    """The command of a verb; typer would take a file that ends too early for Ctrl-D."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except EOFError as error:
            raise LangueError(f"a file ends too early ({error or 'damaged'}); make it again") from error

    return run


for verb in VERBS:
    app.command(verb.NAME)(_told(verb.command))

INTERRUPTED = 130  # what typer leaves with after a KeyboardInterrupt
# What Python, the loader of libraries and the thread pool of Rust say where a limit keeps them from working.
OF_LIMITS = ("can't start new thread", "failed to map segment", "ThreadPoolBuildError", "libllvmlite")


@app.callback(invoke_without_command=True)
def version(version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    from langue.__main__ import main

    main()


def run_process(arguments: list[str]) -> int:
    """`run`, in a process that does nothing else."""
    # Modules are many objects, and none of them is garbage: looking so often costs a twelfth of the start.
    gc.set_threshold(10_000)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what an old locale or Windows cannot write becomes a ?
            stream.reconfigure(errors="replace")
    hear_notes()
    try:
        Path.cwd()
    except OSError as error:  # libraries that look for it end the process, with a name of their own files
        return _fail(
            f"the working folder is gone ({error.strerror or error}); change to one that is there", 2
        )
    fit_threads()
    code = run(arguments)
    with contextlib.suppress(OSError):  # a reader that left
        if sys.stdout is not None:
            sys.stdout.flush()
    return code


class NoteHandler(logging.StreamHandler[TextIO]):
    """Writes to the standard error of the moment: a bar puts one there that wipes it first."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter("%(message)s"))

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, value: Any) -> None: ...

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream is None:
            return
        with contextlib.suppress(OSError, ValueError):  # the terminal is gone: the work goes on
            self.stream.write(self.format(record) + "\n")
            self.stream.flush()


def hear_notes() -> None:
    """Show notes and warnings, of langue and of what it uses, on standard error."""
    logging.basicConfig(handlers=[NoteHandler()])
    log.setLevel(logging.INFO)


def run(arguments: list[str]) -> int:
    """Run one command; what a user can put right becomes one message and an exit code."""
    signals.forget()
    try:
        with _old_names_told():
            app(renamed_options(arguments, RENAMED_OPTIONS), prog_name="langue")
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0
        if code == INTERRUPTED:
            return _fail("interrupted; nothing half-written was left behind", signals.exit_code())
        return code
    except BaseException as error:  # of libraries in Rust, a panic is no Exception
        return _told_and_left(error)
    return 0


def _told_and_left(error: BaseException) -> int:
    """The exit code after an error, once it is told; a bug of ours is raised again."""
    if isinstance(error, Interrupted):
        return _fail(error.message, signals.exit_code())
    if isinstance(error, LangueError):
        return _fail(error.message, error.exit_code)
    if is_out_of_memory(error):
        return _fail("not enough memory for this; try a smaller batch, vocabulary or order", 2)
    if any(said in str(error) for said in OF_LIMITS) and not isinstance(error, KeyboardInterrupt):
        return _fail(MESSAGE, 2)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 2)
    raise error


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
    with contextlib.suppress(OSError):  # the terminal is gone
        if sys.stderr is not None:
            print(f"langue: {message}", file=sys.stderr)
    return code
