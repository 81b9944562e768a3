"""Threads that help a compiled step with its work, as far as the system lets them run.

The step runs in the thread of its caller. Of work that is large enough it offers shares to helpers, who wait
for them in compiled code; what a helper has not begun when the caller has done its own share, the caller does
as well. So nobody waits for a thread that the system keeps waiting, unless it stopped amid a share. Whoever
does a share, it has the same bits.

A helper that is offered nothing for some milliseconds ends, and the next call starts another, in a forked
process too; one that ends sends them away.

The state of a crew is one array: how many helpers it has, and whether they are to go; a line for each, with
what it does and which share it has; a task, the numbers that tell what the shares are of.
"""

import atexit
import os
import platform
import time
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from langue.base.arrays import Int64Array
from langue.base.compiled import njit
from langue.base.parallel import default_workers, is_alone

LEAST = 1 << 18  # multiplications of a share: with fewer, handing it over takes too much of the gain
LINE = 16  # numbers of a helper: two cache lines; what the caller writes is in the second
LEAVE = 1  # whether all are to go
STATE, GIVEN, BEGIN, END = 0, 8, 9, 10  # what it does; whether it has a share; of which to which unit
GONE, COMING, FREE, OFFERED, BUSY = range(5)
KEPT = -1  # of a share that was cut for a helper who went just then
TASK = 32  # numbers of a task, at most
SPINS = 4_000  # looks of some 20 ns, after which others may run between two
PATIENCE, PUNCTUAL = SPINS + 4_000, SPINS + 50  # looks for a share; for one that is coming
_numba: Any = numba  # which has no types
carray = _numba.carray


class Crew:
    """The helpers of one network, for one caller at a time; others go alone.

    Args:
        step: takes the state of a crew, which helper it is that calls (0: the caller), and arguments.
        nothing: arguments of the same types, for helpers, who are told by tasks.
        largest: multiplications of the largest product: there are no more helpers than it has shares.
    """

    def __init__(self, step: Callable[..., object], nothing: tuple[Any, ...], largest: int) -> None:
        self.step, self.nothing = step, nothing
        helpers = max(min(default_workers(), largest // LEAST) - 1, 0)
        self.state = state_of(helpers)
        self._compiled = False
        self._states = range(LINE + STATE, (helpers + 1) * LINE, LINE)
        self._lock, self._process = allocate_lock(), os.getpid()

    def call(self, *arguments: Any) -> None:
        """Call the step."""
        self.lead(self._step, *arguments)

    def lead(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function that takes the state of a crew, and offers it shares as the step does."""
        if not self._states or is_alone() or not self._lock.acquire(blocking=False):
            function(state_of(0), *arguments)  # of this call alone: its tasks are written there
            return
        try:
            self._start()
            function(self.state, *arguments)
        finally:
            self._lock.release()

    def _step(self, state: Int64Array, *arguments: Any) -> None:
        self.step(state, 0, *arguments)

    def _start(self) -> None:
        """Start those who are not there."""
        if not self._compiled:  # by this thread, which Ctrl-C reaches: a helper that leaves at once
            leaving = state_of(1)
            leaving[LEAVE] = 1
            self.step(leaving, 1, *self.nothing)
            self._compiled = True
        if self._process != os.getpid():  # a fork, into which threads do not come along
            self.state[self._states] = GONE
            self._process = os.getpid()
        for helper, at in enumerate(self._states, 1):
            if self.state[at] == GONE:
                self.state[at] = COMING
                try:
                    start_new_thread(self._help, (helper,))
                except RuntimeError:  # the system starts no more
                    self.state[at] = GONE
                except BaseException:
                    self.state[at] = GONE
                    raise

    def _help(self, helper: int) -> None:
        _present.append(self)
        try:
            self.step(self.state, helper, *self.nothing)
        finally:
            _present.remove(self)


_present: list[Crew] = []  # a crew for each of its helpers that is there


@atexit.register
def _send_away() -> None:
    """A thread that comes back from compiled code to an interpreter that is gone ends the process badly."""
    while _present:
        for crew in _present:
            crew.state[LEAVE] = 1
        time.sleep(0.001)


def state_of(helpers: int) -> Int64Array:
    """A state in whole cache lines."""
    size = (helpers + 1) * LINE + TASK
    room = np.zeros(size + 8, np.int64)
    skip = -room.ctypes.data // 8 % 8
    room[skip] = helpers
    return room[skip : skip + size]


@njit
def gather(crew):
    """Wait a little for those who are coming."""
    for helper in range(1, crew[0] + 1):
        spins = 0
        while load(crew, helper * LINE + STATE) == COMING and spins < PUNCTUAL:
            spins = rest(spins)


@njit
def offer(crew, units, work):
    """Cut work into shares, and offer all but the first to helpers who are free.

    Args:
        units: that it can be cut into. work: multiplications.

    Returns:
        How many units the first has.
    """
    most, parts = min(units, work // LEAST), 1
    for helper in range(1, crew[0] + 1):
        line = helper * LINE
        crew[line + GIVEN] = 0
        if parts < most and load(crew, line + STATE) == FREE:
            parts += 1
            crew[line + GIVEN] = parts
    for helper in range(1, crew[0] + 1):
        line = helper * LINE
        part = crew[line + GIVEN]
        if part:
            crew[line + BEGIN], crew[line + END] = units * (part - 1) // parts, units * part // parts
            if not change(crew, line + STATE, FREE, OFFERED):
                crew[line + GIVEN] = KEPT
    return units // parts


@njit
def left_over(crew, helper):
    """Whether the caller has to do the share of a helper; else it has none, or has done it."""
    line = helper * LINE
    given = crew[line + GIVEN]
    if given == 0 or given == KEPT:
        return given == KEPT
    if change(crew, line + STATE, OFFERED, FREE):
        return True
    spins = 0
    while load(crew, line + STATE) == BUSY:
        spins = rest(spins)
    return False


@njit(inline="always")
def share_of(crew, helper):
    """Of which to which unit it is."""
    return crew[helper * LINE + BEGIN], crew[helper * LINE + END]


@njit
def await_share(crew, helper):
    """Begin the next share that is offered; False: none is, and the helper has gone."""
    at = helper * LINE + STATE
    store(crew, at, FREE)
    spins = 0
    while True:
        if load(crew, at) == OFFERED and change(crew, at, OFFERED, BUSY):
            return True
        spins = rest(spins)
        if (spins > PATIENCE or load(crew, LEAVE)) and change(crew, at, FREE, GONE):
            return False


@njit(inline="always")
def task_of(crew):
    """Where the numbers of the task stand."""
    return crew[(crew[0] + 1) * LINE :]


def _pausing() -> Callable[..., Any]:
    """An instruction that tells a processor that a loop waits."""
    name, arguments = {
        "x86_64": ("llvm.x86.sse2.pause", ()),
        "amd64": ("llvm.x86.sse2.pause", ()),
        "aarch64": ("llvm.aarch64.hint", (1,)),
        "arm64": ("llvm.aarch64.hint", (1,)),
    }.get(platform.machine().lower(), ("", ()))

    def pause(context: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            if name:
                integers = [ir.IntType(32)] * len(arguments)
                form = ir.FunctionType(ir.VoidType(), integers)
                function = builder.module.globals.get(name) or ir.Function(builder.module, form, name)
                builder.call(function, [ir.Constant(ir.IntType(32), number) for number in arguments])
            return context.get_dummy_value()

        return types.void(), generate

    return pause


def _loading(context: Any, array: Any, index: Any) -> Any:
    """A number as others last stored it, and with it what they wrote before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_pointer(context, builder, signature, arguments), "seq_cst", 8)

    return types.int64(array, types.int64), generate


def _storing(context: Any, array: Any, index: Any, number: Any) -> Any:
    """Store a number, for others to load after what was written before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[2], _pointer(context, builder, signature, arguments), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


def _changing(context: Any, array: Any, index: Any, before: Any, after: Any) -> Any:
    """Change a number where it is still what it was before: whether it was."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature, arguments)
        return builder.extract_value(builder.cmpxchg(pointer, *arguments[2:], "seq_cst"), 1)

    return types.boolean(array, types.int64, types.int64, types.int64), generate


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    return builder.gep(data, [arguments[1]])


def _addressing(context: Any, address: Any, like: Any) -> Any:
    """A pointer to numbers of the type of an array."""
    pointer = _numba.types.CPointer(like.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.int64, like), generate


pause: Any = intrinsic(_pausing())
load: Any = intrinsic(_loading)
store: Any = intrinsic(_storing)
change: Any = intrinsic(_changing)
address: Any = intrinsic(_addressing)


@njit
def array_at(begin, size, like):
    """The array of a caller, which is there as long as its task."""
    return carray(address(begin, like), size)


if os.name == "posix":
    let_run = types.ExternalFunction("sched_yield", types.int32())

    @njit
    def rest(spins):
        """Wait for a moment, and where it takes longer let others run; the number of times."""
        if spins < SPINS:
            pause()
        else:
            let_run()
        return spins + 1

else:

    @njit
    def rest(spins):
        """Wait for a moment; the number of times."""
        pause()
        return spins + 1
