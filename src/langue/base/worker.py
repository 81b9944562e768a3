"""One task in another process, and what is told of it; as a module, a process that does tasks.

Tasks come as JSON lines through standard input, outcomes go out as JSON lines. The process ends with its
input: where whoever started it is killed, it ends after the task that it is in.
"""

import json
import logging
import os
import platform
import signal
import sys
import traceback
from typing import BinaryIO, NamedTuple

from langue.base.errors import LangueError, is_out_of_memory
from langue.base.progress import log, silence
from langue.base.stages import Task, run_task


class Outcome(NamedTuple):
    """What became of a task."""

    host: str
    notes: list[tuple[int, str]]  # logged on the way: level and text
    error: str = ""  # for people, if it failed
    bug: str = ""  # a traceback, if that is our fault


class _Notes(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.list: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.list.append((record.levelno, record.getMessage()))


def work(task: Task) -> Outcome:
    """Do a task; nothing is raised."""
    notes, host = _Notes(), platform.node()
    log.addHandler(notes)
    log.propagate = False
    try:
        run_task(task)
    except LangueError as error:
        return Outcome(host, notes.list, error.message)
    except Exception as error:
        if is_out_of_memory(error):
            return Outcome(host, notes.list, f"not enough memory for {task.of}")
        if isinstance(error, OSError):
            return Outcome(host, notes.list, f"{error.filename or task.of}: {error.strerror or error}")
        return Outcome(host, notes.list, bug=traceback.format_exc())
    finally:
        log.removeHandler(notes)
        log.propagate = True
    return Outcome(host, notes.list)


def serve(tasks: BinaryIO, outcomes: BinaryIO) -> None:
    """Do the tasks of a stream until it ends."""
    for line in tasks:
        outcome = work(Task(*json.loads(line)))
        outcomes.write(json.dumps(outcome).encode() + b"\n")
        outcomes.flush()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the whole group; who started this one ends it
    outcomes = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints does not stand between outcomes
    silence()
    serve(sys.stdin.buffer, outcomes)


if __name__ == "__main__":
    main()
