"""How much of langue one reads to follow what happens: the files of which a line runs, counted whole."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import langue

ROOT = Path(langue.__file__).parent


def files_run(run: Callable[[], object]) -> dict[str, int]:
    """The files of langue in which a function runs, by path below the package, and all of their lines.

    What runs when a module is imported is not counted.
    """
    ran: set[str] = set()

    def trace(frame: FrameType, event: str, argument: object) -> None:
        if frame.f_code.co_name != "<module>":
            ran.add(frame.f_code.co_filename)

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    paths = [Path(name) for name in ran if Path(name).is_relative_to(ROOT)]
    return {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in sorted(paths)}


def table(files: dict[str, int]) -> str:
    """What was run, the longest first, and the sum."""
    longest = sorted(files.items(), key=lambda item: -item[1])
    return "\n".join(f"{lines:6} {path}" for path, lines in [*longest, ("in all", sum(files.values()))])
