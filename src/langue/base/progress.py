"""Progress on standard error, and nothing of it where no person is watching.

Notes go through `logging` under the name `langue`, so a program that embeds langue decides where
they land. Bars appear on a terminal only, and never after `silence()`.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

log = logging.getLogger("langue")

_silent = False


def silence() -> None:
    """Show no bars and only warnings from now on (`--quiet`)."""
    global _silent
    _silent = True
    log.setLevel(logging.WARNING)


class Bar:
    """One running bar, or none: `advance(n)` moves it, `note(text)` sets the text at its end."""

    def __init__(self, shown: "tuple[RichProgress, TaskID] | None" = None) -> None:
        self._shown = shown

    def advance(self, amount: float = 1) -> None:
        if self._shown:
            progress, task = self._shown
            progress.advance(task, amount)

    def note(self, text: str) -> None:
        if self._shown:
            progress, task = self._shown
            progress.update(task, note=text)


@contextlib.contextmanager
def bar(what: str, total: float | None = None) -> Iterator[Bar]:
    """Show a bar on standard error while the block runs; `total=None` where the end is unknown."""
    if _silent or not sys.stderr.isatty():
        yield Bar()  # and nothing is imported
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar((progress, progress.add_task(what, total=total, note="")))
