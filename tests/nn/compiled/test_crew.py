"""Helpers change no bit, whoever does which share; they come, go, and stay behind when a process forks."""

import os
import threading
import time

import numpy as np
import pytest
from tests.nn.compiled.test_decoder import QWEN3, model_of, prompts_of

from langue.base.parallel import stay_alone
from langue.nn.compiled.crew import FREE, GONE, LINE, Crew, state_of

LARGE = {"width": 64, "heads": 2, "d_ff": 8400, "context": 64}  # whose MLP has shares for two


def laid_out(monkeypatch, threads, quantize=None, **settings):
    monkeypatch.setenv("LANGUE_THREADS", str(threads))
    model = model_of(**(LARGE | settings))
    model.quantize = quantize
    return model


def written(model):
    """Distributions after prompts of many lengths, in steps of a few tokens, and of one row alone."""
    decoder = model.decoder(prompts_of(60, 0, 3, 31))
    rows = [decoder.log_probs()]
    for step in range(6):
        decoder.extend([np.full(1 + (row + step) % 3, 1 + step) for row in range(4)])
        rows.append(decoder.log_probs())
    return np.concatenate([*rows, model.decoder(prompts_of(9)).log_probs()])


@pytest.mark.parametrize("quantize", [None, "int8"])
@pytest.mark.parametrize("options", [{}, {**QWEN3, **LARGE, "key_value_heads": 1}])
def test_the_bits_are_those_of_one_thread(monkeypatch, quantize, options):
    alone = laid_out(monkeypatch, 1, quantize, **options)
    assert len(alone.compiled().crew.state) == len(state_of(0))
    expected = written(alone)
    for threads in (2, 3):
        helped = laid_out(monkeypatch, threads, quantize, **options)
        assert 1 <= helped.compiled().crew.state[0] < threads
        for _ in range(3):
            np.testing.assert_array_equal(written(helped), expected)


def test_helpers_have_room_for_every_position(monkeypatch):
    expected = written(laid_out(monkeypatch, 1, context=4096))
    np.testing.assert_array_equal(written(laid_out(monkeypatch, 2, context=4096)), expected)


def test_helpers_do_shares(monkeypatch):
    model = laid_out(monkeypatch, 2)
    step = model.compiled()
    expected = written(model)
    own, of_draft = step.weights[4]
    wrong = tuple((-own, of_draft) if part is step.weights[4] else part for part in step.crew.nothing)
    step.crew = Crew(step.crew.step, wrong, largest=1 << 20)  # one that sees other weights than the caller
    assert any(not np.array_equal(written(model), expected) for _ in range(200))


def test_a_thread_that_stays_alone_has_none(monkeypatch):
    model = laid_out(monkeypatch, 2)
    thread = threading.Thread(target=lambda: (stay_alone(), written(model)))
    thread.start()
    thread.join()
    assert model.compiled().crew.state[LINE] == GONE  # as it was at first: nobody came


def test_callers_that_go_alone_share_no_state(monkeypatch):
    model = laid_out(monkeypatch, 1)
    crew, states = model.compiled().crew, []
    monkeypatch.setattr(crew, "step", lambda state, helper, *arguments: states.append(state))
    for _ in range(3):  # as of threads that are amid their calls: the states are held
        crew.call()
    assert all(not np.shares_memory(one, other) for one in states for other in states if one is not other)
    assert len({state.ctypes.data for state in states}) == 3


def test_a_network_of_little_work_has_no_helpers(monkeypatch):
    assert laid_out(monkeypatch, 8, d_ff=500).compiled().crew.state[0] == 0


def test_helpers_go_and_come_again(monkeypatch):
    model = laid_out(monkeypatch, 2)
    expected = written(model)
    state = model.compiled().crew.state
    for _ in range(3):
        np.testing.assert_array_equal(written(model), expected)
        ends = time.monotonic() + 60
        while state[LINE] != GONE:
            assert time.monotonic() < ends
            time.sleep(0.001)


def test_callers_at_once_and_forks_go_on(monkeypatch):
    model = laid_out(monkeypatch, 2)
    expected, results = written(model), []
    threads = [threading.Thread(target=lambda: results.append(written(model))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(results, [expected] * 3)
    if hasattr(os, "fork"):
        model.compiled().crew.state[LINE] = FREE  # as if one waited, who does not come along
        if (child := os.fork()) == 0:
            os._exit(0 if np.array_equal(written(model), expected) else 1)
        assert os.waitpid(child, 0)[1] == 0


def test_a_system_without_threads_goes_alone(monkeypatch):
    def refuse(*arguments):
        raise RuntimeError("can't start new thread")

    model = laid_out(monkeypatch, 2)
    expected = written(laid_out(monkeypatch, 1))
    monkeypatch.setattr("langue.nn.compiled.crew.start_new_thread", refuse)
    np.testing.assert_array_equal(written(model), expected)
