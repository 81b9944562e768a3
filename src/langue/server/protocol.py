"""HTTP as uvicorn reads it, with bounds on the head of a request: its size, and how slowly it may come."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from langue.server import limits
from langue.server.errors import Refused, body_of

REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A head that is too large, too slow or no HTTP is answered, and it is closed."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._timer: asyncio.TimerHandle | None = None
        self._size = 0  # bytes that came before the head was complete
        self._in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._size += len(data)
        super().data_received(data)
        if self._in_head and self._size > limits.HEAD:
            self.refuse(431, f"the head of the request is larger than {limits.HEAD >> 10} KB")

    def on_message_begin(self) -> None:
        if not self._in_head:  # another request on this connection
            self._expect_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self.refuse(400, "this is no HTTP")

    def refuse(self, status: int, message: str) -> None:
        """Answer and close."""
        if self.transport.is_closing():
            return
        content = msgspec.json.encode(body_of(Refused(status, message)))
        head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\n" % (status, REASONS[status])
        head += b"content-length: %d\r\nconnection: close\r\n\r\n" % len(content)
        self.transport.write(head + content)
        self.transport.close()

    def _expect_head(self) -> None:
        self._in_head, self._size = True, 0
        self._stop_timer()
        self._timer = self.loop.call_later(limits.HEAD_SECONDS, self._too_slow)

    def _too_slow(self) -> None:
        self.refuse(408, f"the head of the request did not come within {limits.HEAD_SECONDS:g} s")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
