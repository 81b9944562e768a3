"""Progress on standard error, and nothing of it where no person is watching.

Notes go through `logging` under the name `langue`, so a program that embeds langue decides where
they land. Bars appear on a terminal and in notebooks only, and never after `silence()`.
"""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

log = logging.getLogger("langue")

NARROW = 100  # columns of a terminal: with fewer, the bar is a short one
PAUSE = 0.5  # seconds between two states of a notebook's bar

_silent = False


def is_first() -> bool:
    """Whether this process speaks, and looks after the folders, for all that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def silence() -> None:
    """Show no bars and only warnings from now on (`--quiet`)."""
    global _silent
    _silent = True
    log.setLevel(logging.WARNING)


class Bar(Protocol):
    """One running bar, or none: `advance(n)` moves it, `note(text)` sets the text at its end."""

    def advance(self, amount: float = 1) -> None: ...
    def note(self, text: str) -> None: ...


class _NoBar:
    def advance(self, amount: float = 1) -> None: ...
    def note(self, text: str) -> None: ...


class _TerminalBar:
    def __init__(self, progress: "RichProgress", task: "TaskID") -> None:
        self._progress = progress
        self._task = task

    def advance(self, amount: float = 1) -> None:
        self._progress.advance(self._task, amount)

    def note(self, text: str) -> None:
        self._progress.update(self._task, note=text)


class NotebookBar:
    """A line below a cell that says how far it is: it needs no widgets."""

    def __init__(self, what: str, total: float | None) -> None:
        from IPython.display import display  # type: ignore[import-not-found, unused-ignore]

        self._what = what
        self._total = total
        self._done = 0.0
        self._note = ""
        self._started = self._shown = time.monotonic()
        self._display = display({"text/plain": self.line()}, raw=True, display_id=True)

    def advance(self, amount: float = 1) -> None:
        self._done += amount
        self._show()

    def note(self, text: str) -> None:
        self._note = text
        self._show()

    def line(self) -> str:
        seconds = time.monotonic() - self._started
        if not self._total:
            how_far = _clock(seconds)
        else:
            share = min(self._done / self._total, 1.0)
            left = _clock(seconds * (1 / share - 1)) if share else "-:--:--"
            how_far = f"{'█' * round(20 * share):·<20} {share:4.0%}, {left} left"
        return f"{self._what} {how_far}" + (f"   {self._note}" if self._note else "")

    def close(self) -> None:
        self._display.update({"text/plain": self.line()}, raw=True)

    def _show(self) -> None:
        if time.monotonic() - self._shown >= PAUSE:
            self._shown = time.monotonic()
            self.close()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


@contextlib.contextmanager
def bar(what: str, total: float | None = None) -> Iterator[Bar]:
    """Show a bar on standard error while the block runs; `total=None` where the end is unknown."""
    if not _silent and _in_notebook():
        notebook = NotebookBar(what, total)
        try:
            yield notebook
        finally:
            notebook.close()
    elif _silent or not is_terminal(sys.stderr):
        yield _NoBar()  # and nothing is imported
    else:
        progress = _terminal_progress()
        with contextlib.suppress(OSError):
            progress.start()
        try:
            yield _TerminalBar(progress, progress.add_task(what, total=total, note=""))
        finally:
            with contextlib.suppress(OSError):  # the terminal is gone: the work goes on
                progress.stop()


def is_terminal(stream: Any) -> bool:
    """Of a program without a console there is no stream, or one of its own making."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError, OSError):
        return False


def _in_notebook() -> bool:
    """Whether Jupyter, or another of its kernels, runs this."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)


def _terminal_progress() -> "RichProgress":
    """What is done, the bar and the times keep their width; of the note, as much is shown as has room."""
    from rich.cells import cell_len
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.measure import Measurement
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as Remaining
    from rich.table import Column
    from rich.text import Text

    class Note:
        """The parts of a text between commas that fit; of the first, what fits."""

        def __init__(self, text: str) -> None:
            self.text = text

        def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
            return Measurement(1, max(cell_len(self.text), 1))

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            parts = self.text.split(", ")
            while len(parts) > 1 and cell_len(", ".join(parts)) > options.max_width:
                parts.pop()
            yield Text(", ".join(parts), no_wrap=True, overflow="ellipsis")

    class NoteColumn(ProgressColumn):
        def render(self, task: Task) -> Any:
            return Note(str(task.fields["note"]))

    def fixed() -> Column:
        return Column(no_wrap=True)

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", table_column=fixed()),
        BarColumn(bar_width=16 if console.width < NARROW else 40, table_column=fixed()),
        Remaining(table_column=fixed()),
        TimeElapsedColumn(table_column=fixed()),
        NoteColumn(table_column=Column()),
        console=console,
        transient=True,
    )
