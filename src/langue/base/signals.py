"""The signals by which a process is stopped from outside, and the exit code that tells which it was.

Shells, schedulers and containers expect 128 and the number of the signal: 130 of Ctrl-C, 143 of SIGTERM,
129 of SIGHUP. Imported before anything else, so it imports next to nothing.
"""

import signal

# Ctrl-C, a scheduler or a container's end, a lost connection, a soft limit on processor time (`ulimit -St`);
# Windows has not all of them.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))

BASE = 128  # of the exit code: the number of the signal is added

_first: int | None = None


def note(number: int) -> None:
    """Remember a signal that arrived; the first is what stops the process, whatever comes after it."""
    global _first
    if _first is None:
        _first = number


def forget() -> None:
    """What arrived before was of something else, which is over."""
    global _first
    _first = None


def exit_code() -> int:
    """The code to leave with after a stop; Ctrl-C's where no signal was noted, for Python heard that one."""
    return BASE + (signal.SIGINT if _first is None else _first)
