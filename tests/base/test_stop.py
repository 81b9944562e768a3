"""How a stop is asked for, and who hears of it."""

import signal
import threading
from collections.abc import Iterator

import pytest

from langue.base.signals import SIGNALS
from langue.base.stop import Stop


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {kind: signal.getsignal(kind) for kind in SIGNALS}
    yield
    assert {kind: signal.getsignal(kind) for kind in SIGNALS} == before


@pytest.mark.parametrize("kind", SIGNALS)
def test_every_way_to_end_a_process_asks_for_a_stop(
    kind: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    with Stop() as stop:
        assert not stop.asked
        signal.raise_signal(kind)
        signal.raise_signal(signal.SIGTERM)  # a scheduler may say it twice
        assert stop.asked
    assert caplog.text.count("stopping after this step") == 1


def test_a_second_ctrl_c_stops_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), Stop():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)


def test_what_is_asked_of_one_is_asked_of_those_within() -> None:
    with Stop() as outer:
        with Stop() as inner:
            signal.raise_signal(signal.SIGINT)
        assert inner.asked and outer.asked
        with Stop() as later:
            assert later.asked
    with Stop() as another:
        assert not another.asked


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Stop() as stop:
        signal.raise_signal(signal.SIGHUP)
        assert not stop.asked
    signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_is_changed() -> None:
    seen = []

    def work() -> None:
        with Stop() as stop:
            seen.append(stop.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_one_that_does_not_listen_hears_what_is_asked_of_one_within() -> None:
    """What runs within may be nothing that can stop after a step: then Ctrl-C is what it always is."""
    before = signal.getsignal(signal.SIGINT)
    with Stop(listen=False) as stop:
        assert signal.getsignal(signal.SIGINT) == before
        with Stop() as inner:
            assert inner is stop
            with Stop() as innermost:
                signal.raise_signal(signal.SIGINT)
                assert innermost.asked
        assert stop.asked
        assert signal.getsignal(signal.SIGINT) == before
    with Stop() as another:
        assert not another.asked
