"""One way to stop: a signal asks for it, and what computes in steps ends after the one it is in."""

import signal
import threading
from types import FrameType
from typing import Any, ClassVar

from langue.base import signals
from langue.base.progress import log


class Stop:
    """Ctrl-C, SIGTERM, SIGHUP or SIGXCPU ask for a stop after this step; a second Ctrl-C stops at once.

    A context manager. Within another one, entering gives that one: what is asked of it is asked of all that
    runs within. A signal that is ignored stays so: `nohup` is there for that.

    Args:
        listen: hear signals from the start; else only while a `Stop` that listens is entered within, for what
            runs may be nothing that can stop after a step. Afterwards `asked` tells whether it did.
    """

    _current: ClassVar["Stop | None"] = None

    def __init__(self, *, listen: bool = True) -> None:
        self.asked = False
        self.listen = listen
        self._before: dict[signal.Signals, Any] = {}
        self._heard_by: Stop | None = None  # whom the signals reach that this one began to hear

    def __enter__(self) -> "Stop":
        if threading.current_thread() is not threading.main_thread():  # where signals do not arrive
            return Stop._current or self
        current = Stop._current or self
        Stop._current = current
        if self.listen and not current._before:
            for kind in signals.SIGNALS:
                if signal.getsignal(kind) != signal.SIG_IGN:
                    current._before[kind] = signal.signal(kind, current._ask)
            self._heard_by = current
        return current

    def __exit__(self, *exception: object) -> None:
        if self._heard_by is not None:
            for kind, handler in self._heard_by._before.items():
                signal.signal(kind, handler)
            self._heard_by._before, self._heard_by = {}, None
        if Stop._current is self:
            Stop._current = None

    def _ask(self, number: int, frame: FrameType | None) -> None:
        signals.note(number)
        if self.asked and number == signal.SIGINT:
            before = self._before.get(signal.SIGINT)
            if callable(before):
                before(number, frame)
            raise KeyboardInterrupt
        if not self.asked:
            self.asked = True
            log.warning("stopping after this step; Ctrl-C once more stops at once, without a checkpoint")
