"""Server-Sent Events as OpenAI's clients read them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from langue.server.errors import body_of, refusal, report
from langue.server.models import Held
from langue.server.writing import Order

DONE = b"data: [DONE]\n\n"
HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}  # the second is for nginx, which would collect


class Stream(StreamingResponse):
    """An answer that comes in pieces, each a value of JSON; the last line is `[DONE]`.

    Args:
        pieces: the values.
        order: what is stopped when all is sent, or the client has left.
        held: the model that is let go of then.
    """

    media_type = "text/event-stream"

    def __init__(self, pieces: AsyncIterator[bytes], order: Order, held: Held) -> None:
        super().__init__(_events(pieces), headers=HEADERS)
        self._order = order
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._order.leave()
            self._held.release()


async def _events(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield b"data: " + piece + b"\n\n"
    except Exception as error:
        report(error)
        yield b"data: " + msgspec.json.encode(body_of(refusal(error))) + b"\n\n"
    yield DONE
