"""The exit code after a stop is that of the first signal, as shells and schedulers read it."""

import signal

import pytest

from langue.base import signals


@pytest.mark.parametrize("kind", signals.SIGNALS)
def test_the_first_signal_tells_the_code(kind: signal.Signals) -> None:
    signals.forget()
    assert signals.exit_code() == 130
    signals.note(kind)
    signals.note(signal.SIGTERM)
    signals.note(signal.SIGINT)
    assert signals.exit_code() == 128 + kind
    signals.forget()
    assert signals.exit_code() == 130
