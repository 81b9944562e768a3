"""The command `langue`: one thin file a verb, which parses, calls the API and prints.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 a check
failed, 2 bad input, 130 interrupted (143 by SIGTERM, 129 by SIGHUP, as shells have it).
"""

import contextlib
import gc
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import cleandoc  # a verb is called inspect
from pathlib import Path
from typing import Any, TextIO

from langue import __version__
from langue.base import signals
from langue.base.deprecated import RenamedWarning, renamed_options
from langue.base.errors import Interrupted, LangueError, is_out_of_memory
from langue.base.limits import MESSAGE, fit_threads
from langue.base.progress import log
from langue.cli.parser import HELP, list_verbs, parse

ABOUT = "Train every classic language model on your own text, and measure them all in bits per byte."
# Each is a module here, which is imported when the verb is called.
VERBS = (
    "demo", "prepare", "train", "evaluate", "compare", "generate", "next", "fill", "score", "explain",
    "embed", "tag", "finetune", "classify", "filter", "answer", "similar", "summarize", "serve", "info",
    "inspect", "states", "gradients", "find", "copied", "import", "export", "families", "recipes",
    "doctor",
)  # fmt: skip
RENAMED_OPTIONS = {
    "copied": {"--least": "--min-bytes", "--show": "--limit"},
    "fill": {"--append": "--num-masks"},
    "find": {"--show": "--limit"},
    "generate": {"--beams": "--num-beams"},
    "tag": {"--best": "--n-best"},
}


def command_of(verb: str) -> Callable[..., None]:
    """The function of a verb."""
    name = "import_" if verb == "import" else verb
    command: Callable[..., None] = importlib.import_module(f"langue.cli.{name}").command
    return command


# What Python, the loader of libraries and the thread pool of Rust say where a limit keeps them from working.
OF_LIMITS = ("can't start new thread", "failed to map segment", "ThreadPoolBuildError", "libllvmlite")


def _call(arguments: list[str]) -> None:
    """Call the verb that a command line names.

    Raises:
        SystemExit: a check of the verb failed, or there was nothing to call.
        LangueError: there is no such verb, or what it is given is wrong.
    """
    try:
        _call_verb(arguments)
    except BrokenPipeError:  # a reader that left
        sys.stdout = None
        sys.exit(1)
    except EOFError as error:
        raise LangueError(f"a file ends too early ({error or 'damaged'}); make it again") from error


def _call_verb(arguments: list[str]) -> None:
    if not arguments or arguments[0] in HELP:
        print(list_verbs({verb: _summary(verb) for verb in VERBS}, ABOUT))
        sys.exit(0 if arguments else 2)
    if arguments[0] == "--version":
        print(__version__)
        return
    verb, *rest = arguments
    if verb not in VERBS:
        from langue.base.config import nearest

        what = "option" if verb.startswith("-") else "verb"
        raise LangueError(f"no {what} {verb}{nearest(verb, VERBS)}")
    command = command_of(verb)
    command(**parse(verb, command, rest))


def _summary(verb: str) -> str:
    """The first sentence of what a verb does."""
    paragraph = cleandoc(command_of(verb).__doc__ or "").split("\n\n")[0]
    return paragraph.replace("\n", " ")


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    from langue.__main__ import main

    main()


def run_process(arguments: list[str]) -> int:
    """`run`, in a process that does nothing else."""
    # Modules are many objects, and none of them is garbage: looking so often costs a twelfth of the start.
    gc.set_threshold(10_000)
    _open_what_is_closed()
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


def _open_what_is_closed() -> None:
    """Let what is written to a closed standard output or error go nowhere. Otherwise `print` takes the one
    for the other, and the next file that is opened has its number, by which libraries in C write to it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  # no path


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
            _call(renamed_options(arguments, RENAMED_OPTIONS))
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    except KeyboardInterrupt:
        return _fail("interrupted; nothing half-written was left behind", signals.exit_code())
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
    if any(said in str(error) for said in OF_LIMITS):
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
