"""`python -m langue`, and the command `langue`.

Nothing else is imported before the signals are heard: Ctrl-C in the first instant, or at the last, ends in
the same sentence and exit code as in between.
"""

import signal
import sys
import time
from types import FrameType
from typing import NoReturn

# Ctrl-C, a scheduler or a container, a lost connection, a soft limit on processor time.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU")
INTERRUPTED = 130
CLEANING = 1.0  # seconds after an interrupt in which another one is not heard: things are put in order then

_last = -CLEANING


def main() -> NoReturn:
    """Run the command line of this process and leave with its exit code."""
    try:
        hear()
        from langue.cli import run_process

        code = run_process(sys.argv[1:])
        _deafen()
    except KeyboardInterrupt:
        _deafen()
        code = INTERRUPTED
        if sys.stderr is not None:
            print("langue: interrupted", file=sys.stderr)
    sys.exit(code)


def hear() -> None:
    """Whoever stops langue from outside gets what Ctrl-C gives; what is ignored, as by `nohup`, stays so."""
    for name in NAMES:
        kind = getattr(signal, name, None)
        if kind is not None and signal.getsignal(kind) != signal.SIG_IGN:
            signal.signal(kind, _interrupt)


def _deafen() -> None:
    for name in NAMES:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _last
    if time.monotonic() - _last < CLEANING:
        return
    _last = time.monotonic()
    if number == signal.SIGINT and _loads_a_library(frame):  # OpenBLAS sends it where it gets no thread
        from langue.base.limits import check_threads

        check_threads()
    raise KeyboardInterrupt


def _loads_a_library(frame: FrameType | None) -> bool:
    """Whether compiled code of a package is just being loaded, and begins with what it does then."""
    for _ in range(3):
        if frame is None:
            return False
        if frame.f_code.co_name == "create_module":  # of importlib
            return True
        frame = frame.f_back
    return False


if __name__ == "__main__":
    main()
