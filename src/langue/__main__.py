"""`python -m langue`, and the command `langue`.

Next to nothing is imported before the signals are heard: Ctrl-C in the first instant, or at the last, ends in
the same sentence and exit code as in between. What Python does before it comes here is its own.
"""

from __future__ import annotations

import sys

try:
    import atexit
    import signal
    import time

    from langue.base import signals
except KeyboardInterrupt:
    if sys.stderr is not None:
        sys.stderr.write("langue: interrupted\n")
    sys.exit(130)

TYPE_CHECKING = False  # importing `typing` takes longer than all that stands here
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, NoReturn

CLEANING = 1.0  # seconds after an interrupt in which another one is not heard: things are put in order then
ONCE_MORE = 0.05  # seconds after which one is sent again that was lost in a callback of a library

_last = -CLEANING
_code: int | None = None  # of a process that is done


def main() -> NoReturn:
    """Run the command line of this process and leave with its exit code."""
    global _code
    atexit.register(_leave)  # the first, so it is called last
    try:
        hear()
        from langue.cli import run_process

        code = run_process(sys.argv[1:])
        _deafen()
    except KeyboardInterrupt:
        _deafen()
        code = signals.exit_code()
        if sys.stderr is not None:
            print("langue: interrupted", file=sys.stderr)
    _code = code
    if code > signals.BASE:  # Python would end by the signal itself, if what it was in had run a text of code
        _leave()
    sys.exit(code)


def _leave() -> None:
    """End at once: to take all modules apart first is a tenth of a short command."""
    import contextlib
    import os

    if _code is None:  # by an error of our own, whose traceback is still to be told
        return
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):  # a reader that left
                stream.flush()
    os._exit(_code)


def hear() -> None:
    """Whoever stops langue from outside gets what Ctrl-C gives; what is ignored, as by `nohup`, stays so."""
    sys.unraisablehook = _send_again
    for kind in signals.SIGNALS:
        if signal.getsignal(kind) != signal.SIG_IGN:
            signal.signal(kind, _interrupt)


def _deafen() -> None:
    for kind in signals.SIGNALS:
        signal.signal(kind, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _last
    signals.note(number)
    if time.monotonic() - _last < CLEANING:
        return
    _last = time.monotonic()
    if number == signal.SIGINT and _loads_a_library(frame):  # OpenBLAS sends it where it gets no thread
        from langue.base.limits import check_threads

        check_threads()
    raise KeyboardInterrupt


def _send_again(lost: Any) -> None:
    """Of what Python drops, in a callback from C or a finalizer, an interrupt comes once more."""
    if not issubclass(lost.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    import _thread
    import threading

    number = signal.Signals(signals.exit_code() - signals.BASE)

    def send() -> None:
        global _last
        _last = -CLEANING
        _thread.interrupt_main(number)

    timer = threading.Timer(ONCE_MORE, send)
    timer.daemon = True
    timer.start()


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
