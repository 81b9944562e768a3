"""Bars: on a terminal of 80 columns, in a notebook, and where there is nobody to see them."""

import io
import logging
import os
import pty
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from langue.base import progress
from langue.base.progress import bar

NOTE = "loss 8.990, validation 8.590, 3.142 bits/byte, 277 tokens/s, 53% of peak"


@pytest.mark.parametrize("stream", [None, SimpleNamespace(write=print), io.StringIO()])
def test_without_a_terminal_there_is_no_bar(stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if isinstance(stream, io.StringIO):
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    with bar("working", total=2) as shown:
        shown.advance()
        shown.note("fine")


SHOW = f"""
import logging, sys, time
from langue.cli import hear_notes
from langue.base.progress import bar, log
hear_notes()
with bar("training", total=1.0) as shown:
    shown.advance(0.5)
    shown.note({NOTE!r})
    time.sleep(0.3)
    log.info("a note of one line")
    time.sleep(0.3)
"""


def on_terminal(code: str, columns: int) -> str:
    """What a process writes to a terminal of that width."""
    above, below = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "LINES": "24"}
    with subprocess.Popen([sys.executable, "-c", code], stderr=below, env=environment) as process:
        os.close(below)
        seen = b""
        try:
            while block := os.read(above, 4096):
                seen += block
        except OSError:  # the other end is closed
            pass
        os.close(above)
    assert process.returncode == 0
    return seen.decode()


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_bar_and_its_times_stay_whatever_the_note(columns: int) -> None:
    from rich.cells import cell_len
    from rich.text import Text

    seen = on_terminal(SHOW, columns)
    lines = [Text.from_ansi(line).plain for line in seen.replace("\r", "\n").split("\n")]
    bars = [line for line in lines if line.startswith("training") and "loss" in line]
    assert bars and all("━━" in line and "0:00:0" in line for line in bars)
    assert all(cell_len(line) <= columns for line in bars)
    assert all("…" not in line for line in bars)  # parts of the note go, not letters
    if columns == 80:
        assert all("validation 8.590" in line for line in bars)


def test_a_note_leaves_no_stale_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar is wiped before the line is written: a line end and no bar before it."""
    seen = on_terminal(SHOW, 80)
    (before,) = [part for part in seen.split("\r\n") if "a note of one line" in part]
    wiped = before.rpartition("\x1b[2K")[2]  # what stands in that line since it was last wiped
    assert "━" not in wiped


def test_a_notebook_has_a_line_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    class ZMQInteractiveShell: ...

    lines: list[str] = []
    handle = SimpleNamespace(update=lambda bundle, raw: lines.append(bundle["text/plain"]))

    def display(bundle: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        lines.append(bundle["text/plain"])
        return handle

    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: ZMQInteractiveShell()))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    monkeypatch.setattr(progress, "PAUSE", 0)
    with bar("training", total=4) as shown:
        shown.advance()
        shown.note("loss 3.2")
    assert "training" in lines[0] and "0%" in lines[0]
    assert "25%" in lines[-1] and "left" in lines[-1] and "loss 3.2" in lines[-1]
    with bar("reading") as shown:
        shown.note("3 documents")
    assert "reading 0:00:00   3 documents" in lines[-1]


def test_notes_go_to_the_standard_error_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    from langue.cli import NoteHandler

    handler = NoteHandler()
    record = logging.LogRecord("langue", logging.INFO, __file__, 1, "a note", (), None)
    for stream in (io.StringIO(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        handler.handle(record)
        assert stream.getvalue() == "a note\n"
    monkeypatch.setattr(sys, "stderr", None)
    handler.handle(record)
