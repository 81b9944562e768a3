"""What tests of stages share: an executor that stops, a worker of Ray that is killed, what is left behind."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from langue.base.executors import InProcess
from langue.base.stages import Task


class Stopping(InProcess):
    """Runs tasks until one of a stage is done, and notes them."""

    def __init__(self, stage: str = "", error: BaseException | None = None) -> None:
        self.stage, self.error = stage, error or KeyboardInterrupt()
        self.done: list[tuple[str, int]] = []

    def run(self, tasks: Sequence[Task]) -> Iterator[Task]:
        for task in super().run(tasks):
            self.done.append((task.stage, task.number))
            yield task
            if task.stage == self.stage:
                raise self.error


def left_over(folder: Path) -> list[str]:
    """Hidden files and folders: what a run that is not over keeps."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@contextmanager
def killing_a_ray_worker(stage: str) -> Iterator[list[int]]:
    """Kill the first worker of this machine that does a task of a stage; its number, once it is killed."""
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not killed and not over.wait(0.002):
            for status in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    if status.read_bytes().startswith(f"ray::{stage}".encode()):
                        os.kill(int(status.parent.name), signal.SIGKILL)
                        killed.append(int(status.parent.name))

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()
