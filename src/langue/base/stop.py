"""One way to stop: a signal asks for it, and what computes in steps ends after the one it is in."""

import signal
import threading
from types import FrameType
from typing import Any, ClassVar

from langue.base.progress import log

# Ctrl-C, a scheduler or a container's end, a lost connection (which Windows has not).
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stop:
    """Ctrl-C, SIGTERM or SIGHUP ask for a stop after this step; a second Ctrl-C stops at once.

    A context manager. Within another one, entering gives that one: what is asked of it is asked of all that
    runs within. A signal that is ignored stays so: `nohup` is there for that.
    """

    _current: ClassVar["Stop | None"] = None

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Stop":
        if Stop._current is not None:
            return Stop._current
        if threading.current_thread() is threading.main_thread():  # elsewhere signals do not arrive
            Stop._current = self
            for kind in SIGNALS:
                if signal.getsignal(kind) != signal.SIG_IGN:
                    self._before[kind] = signal.signal(kind, self._ask)
        return self

    def __exit__(self, *exception: object) -> None:
        if Stop._current is self:
            Stop._current = None
            for kind, handler in self._before.items():
                signal.signal(kind, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            before = self._before.get(signal.SIGINT)
            if callable(before):
                before(number, frame)
            raise KeyboardInterrupt
        if not self.asked:
            self.asked = True
            log.warning("stopping after this step; Ctrl-C once more stops at once, without a checkpoint")
