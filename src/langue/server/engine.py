"""One model on a thread of its own: texts are written side by side, all else comes between steps.

Texts of any requests share each pass of the model (`generation.generate.write_all`): one that ends makes room
for the next at once. Requests come in by a queue; what is written goes back to the event loop once a step.
What takes less time than that way is written in the event loop.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from langue.base.parallel import stay_alone
from langue.protocols import Causal
from langue.protocols.drawing import DrawingDecoder
from langue.server import limits
from langue.server.errors import Refused
from langue.server.writing import Order, Piece, Writing

if TYPE_CHECKING:
    from langue.api.models import Model

T = TypeVar("T")
GoOn = Callable[[], None]  # raises where nobody waits for what is computed
NOTHING = np.empty(0, np.uint32)
FRAME = 1 / 60  # seconds between events of a stream: a screen shows no more
FULL_RATE = 4  # streams that come so often; of more, each comes as much more seldom


class Call(Generic[T]):
    """What is asked of a model besides writing.

    Attributes:
        left: whether nobody waits for it any more; told by the event loop.
    """

    def __init__(self, function: Callable[[Any, GoOn], T]) -> None:
        self.function = function
        self.future: Future[T] = Future()
        self.left = False

    def run(self, face: Any) -> None:
        if self.future.set_running_or_notify_cancel():
            try:
                self.future.set_result(self.function(face, self._go_on))
            except BaseException as error:
                self.future.set_exception(error)

    def _go_on(self) -> None:
        if self.left:
            raise CancelledError


class Engine:
    """A loaded model and the thread that it works on.

    Args:
        load: opens the model; called on the thread.
        queue: requests that wait at most.

    Attributes:
        ready: the model, once it is loaded, or why it cannot be.
    """

    def __init__(self, name: str, load: Callable[[], Model[Any]], *, queue: int) -> None:
        self.queue = queue
        self.ready: Future[Model[Any]] = Future()
        self.writing = 0  # texts at this moment
        self._load = load
        self._loop = asyncio.get_running_loop()
        self._inbox: SimpleQueue[Call[Any] | Order | None] = SimpleQueue()
        self._pending: deque[Writing] = deque()
        self._work = math.inf  # numbers that are read for a token where the model draws it itself
        # What one thread alone counts: the loop, or the engine's.
        self._submitted = self._begun = 0  # requests
        self._written_at_once = self._written = 0  # tokens
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"langue-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Requests that have not begun."""
        return self._submitted - self._begun

    @property
    def written(self) -> int:
        """Tokens so far."""
        return self._written_at_once + self._written

    def submit(self, order: Order) -> None:
        """Write the texts of a request: at once, where that is quicker than to hand it to the thread.

        Raises:
            Refused: too many wait.
        """
        if order.draws * self._work <= limits.AT_ONCE:
            self._write_at_once(order)
        else:
            self._admit()
            self._inbox.put(order)

    def _write_at_once(self, order: Order) -> None:
        from langue.generation.generate import write_all

        for _ in write_all(self.ready.result().folder.model, order.writings, rows=limits.ROWS):
            pass
        self._written_at_once += sum(one.tokens for one in order.writings)
        order.tell(order.news())

    async def call(self, function: Callable[[Any, GoOn], T]) -> T:
        """What a function says of the model, which nobody else uses meanwhile.

        Args:
            function: what has several parts calls the second argument between them.

        Raises:
            Refused: too many wait.
        """
        self._admit()
        call = Call(function)
        self._inbox.put(call)
        try:
            return await asyncio.wrap_future(call.future)
        finally:
            call.left = True

    def _admit(self) -> None:
        if self._closed:
            raise Refused(503, "the model was just put out; ask again")
        if self.waiting >= self.queue:
            raise Refused(429, f"{self.queue} requests wait for this model; ask again later")
        self._submitted += 1

    async def close(self) -> None:
        """End the thread, once what it does is done."""
        self._closed = True
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        stay_alone()  # the event loop and other models need the processors
        try:
            face = self._load()
        except BaseException as error:
            self.ready.set_exception(error)
            return
        model = face.folder.model
        decoder: object = model.decoder([NOTHING]) if isinstance(model, Causal) else None
        if isinstance(decoder, DrawingDecoder):
            self._work = decoder.work
        self.ready.set_result(face)
        while not self._closed or self._pending:
            if not self._pending:
                self._take(self._inbox.get(), face)
            if self._pending:
                self._write(face)

    def _take(self, item: Call[Any] | Order | None, face: Model[Any]) -> None:
        if isinstance(item, Call):
            self._begun += 1
            item.run(face)
        elif isinstance(item, Order):
            if item.stopped:
                self._begun += 1
            else:
                self._pending.extend(item.writings)

    def _write(self, face: Model[Any]) -> None:
        """Write until nothing is left to write; an error of the model ends what is being written, no more."""
        from langue.generation.generate import write_all

        rows = _Rows(self, face)
        try:
            for _ in write_all(face.folder.model, rows, rows=limits.ROWS + 1, brief=True):
                rows.moved()
        except BaseException as error:
            for order in rows.orders():
                order.error = error
            rows.give_up()
        finally:
            self.writing = 0


class _Rows:
    """The texts written side by side, as `write_all` asks for them: before each step, while there is room."""

    def __init__(self, engine: Engine, face: Model[Any]) -> None:
        self.engine = engine
        self.face = face
        self.active: list[Writing] = []
        self._seen = 0  # of them, in this step
        self._told = -math.inf  # when streams were told what is new

    def __iter__(self) -> Iterator[Writing]:
        return self

    def __next__(self) -> Writing:
        engine = self.engine
        if not self._seen:
            try:
                while True:
                    engine._take(engine._inbox.get_nowait(), self.face)
            except Empty:
                pass
        while engine._pending and len(self.active) < limits.ROWS:
            one = engine._pending.popleft()
            engine._begun += one is one.order.writings[0]
            if one.order.stopped:
                continue
            self.active.append(one)
            engine.writing = len(self.active)
            return one
        raise StopIteration

    def moved(self) -> None:
        """Note that a text has moved on; after the last of a step, tell those who wait."""
        self._seen += 1
        if self._seen < len(self.active):
            return
        self._seen = 0
        orders = self.orders()
        for one in self.active:
            self.engine._written += one.tokens - one.counted
            one.counted = one.tokens
            one.order.left -= bool(one.finished)
        self.active = [one for one in self.active if not one.finished]
        due = self._is_due(len(orders))
        told = [
            order
            for order in orders
            if order.error or not order.left or (order.keeps_up and (due or order.fresh))
        ]
        if told:
            self.engine._loop.call_soon_threadsafe(_tell, [(order, order.news()) for order in told])

    def _is_due(self, streams: int) -> bool:
        """Whether so many streams are told what is new after this step: all at once, for each time the loop
        is woken, and each event, costs as much as some tokens."""
        now = monotonic()
        if now - self._told < FRAME * max(1.0, streams / FULL_RATE):
            return False
        self._told = now
        return True

    def orders(self) -> list[Order]:
        return list(dict.fromkeys(one.order for one in self.active))

    def give_up(self) -> None:
        orders = self.orders()
        self.engine._loop.call_soon_threadsafe(_tell, [(order, order.news()) for order in orders])


def _tell(news: list[tuple[Order, list[Piece] | BaseException]]) -> None:
    """In the event loop: what is new of each request."""
    for order, some in news:
        order.tell(some)
