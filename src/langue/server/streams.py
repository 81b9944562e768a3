"""Server-Sent Events as OpenAI's clients read them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from langue.server.errors import body_of, refusal, report

DONE = b"data: [DONE]\n\n"
HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}  # the second is for nginx, which would collect


class Stream(StreamingResponse):
    """An answer that comes in pieces, each a value of JSON; the last line is `[DONE]`.

    Args:
        pieces: the values.
        leave: called when all is sent, or the client has left.
        held: what is let go of then.
    """

    media_type = "text/event-stream"

    def __init__(self, pieces: AsyncIterator[bytes], leave: Callable[[], None], held: AsyncExitStack) -> None:
        super().__init__(_events(pieces), headers=HEADERS)
        self._leave = leave
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()
            await self._held.aclose()


async def _events(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield b"data: " + piece + b"\n\n"
    except Exception as error:
        report(error)
        yield b"data: " + msgspec.json.encode(body_of(refusal(error))) + b"\n\n"
    yield DONE
