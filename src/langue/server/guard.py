"""What stands before every request: who may ask, from where, and how large and slow a body may be.

A web page of any site can make a browser ask a server on loopback. So requests are refused that come from
another site (`Origin`), and, where no key is asked for, those that call this server by a name that is not
loopback's (`Host`): a page can give its own name our address (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from time import perf_counter
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from langue.base.progress import log
from langue.server import limits
from langue.server.errors import RETRY, Refused, body_of, refusal, report
from langue.server.limits import Settings

# Of every answer; the page loads nothing from elsewhere, runs no script that stands in it, is in no frame.
SAFE = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
METHODS = "GET, HEAD, POST, OPTIONS"


def is_loopback(host: str) -> bool:
    """Whether a name or address, as `localhost` or `[::1]`, is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def error_response(error: Refused) -> Response:
    headers = {"retry-after": str(RETRY)} if error.status in (429, 503) else {}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    if error.status in (408, 413):
        headers["connection"] = "close"  # the rest of the body is not read
    return Response(
        msgspec.json.encode(body_of(error)), error.status, media_type="application/json", headers=headers
    )


class Guard:
    """The application behind it sees only what may be asked.

    Args:
        free: whether a path is answered without a key.
        observe: told the path, the status and the seconds of each answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        free: Callable[[str], bool],
        observe: Callable[[Scope, int, float], None],
    ) -> None:
        self.app = app
        self.settings = settings
        self.free = free
        self.observe = observe
        self.running = 0  # requests
        self.keys = [key.encode() for key in settings.keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = perf_counter(), 500
        self.running += 1
        origin = Headers(scope=scope).get("origin")

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *SAFE]
                if origin in self.settings.origins:
                    headers = MutableHeaders(scope=message)
                    headers["access-control-allow-origin"] = origin or ""
                    headers["vary"] = "origin"
                    headers["cross-origin-resource-policy"] = "cross-origin"
            await send(message)

        try:
            refused = self._refused(scope)
            if refused is not None:
                await refused(scope, receive, answer)
            else:
                await self.app(scope, _bounded(receive), answer)
        except Refused as error:
            await error_response(error)(scope, receive, answer)
        finally:
            self.running -= 1
            self.observe(scope, status, perf_counter() - began)

    def _refused(self, scope: Scope) -> Response | None:
        """The answer to what may not be asked; the path of what may is cut to what stands behind the base."""
        headers, base = Headers(scope=scope), self.settings.base_path
        path = scope["path"]
        if base and not (path == base or path.startswith(base + "/")):
            return error_response(Refused(404, f"nothing is here; this server's paths begin with {base}/"))
        host = headers.get("host", "")
        if not self.keys and not is_loopback(_name(host)):
            return error_response(
                Refused(
                    403, "this server answers by the name localhost only; ask it as that, or give it keys"
                )
            )
        origin = headers.get("origin")
        if origin is not None and origin not in self.settings.origins and urlsplit(origin).netloc != host:
            return error_response(Refused(403, "requests from pages of other sites are refused"))
        if scope["method"] == "OPTIONS" and origin in self.settings.origins:
            allowed = {
                "access-control-allow-methods": METHODS,
                "access-control-allow-headers": "authorization, content-type",
                "access-control-max-age": "600",
            }
            return Response(status_code=204, headers=allowed)
        if (
            self.keys
            and not self.free(path.removeprefix(base))
            and not self._knows(headers.get("authorization", ""))
        ):
            return error_response(
                Refused(401, "this needs a key: Authorization: Bearer KEY", code="invalid_api_key")
            )
        if self.running > limits.REQUESTS:
            return error_response(Refused(429, f"{limits.REQUESTS} requests run; ask again later"))
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > limits.BODY:
            return error_response(_too_large())
        return None

    def _knows(self, authorization: str) -> bool:
        scheme, _, key = authorization.partition(" ")
        given = key.strip().encode()
        known = [hmac.compare_digest(given, key) for key in self.keys]  # all of them: time tells nothing
        return scheme.lower() == "bearer" and any(known)


def _name(host: str) -> str:
    """A host without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def _too_large() -> Refused:
    return Refused(413, f"the body is larger than {limits.BODY >> 20} MB")


def _bounded(receive: Receive) -> Receive:
    """What comes of a body, while it is not too large or too slow."""
    size, until = 0, asyncio.get_running_loop().time() + limits.BODY_SECONDS
    whole = False

    async def bounded() -> Message:
        nonlocal size, whole
        if whole:  # what comes now is that the client leaves
            return await receive()
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise Refused(408, f"the body did not come within {limits.BODY_SECONDS:g} s") from None
        size += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if size > limits.BODY:
            raise _too_large()
        return message

    return bounded


async def answered(handler: Awaitable[Response]) -> Response:
    """What a handler answers, or the error that it ends with."""
    try:
        return await handler
    except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # of libraries in Rust, a panic is no Exception
        report(error)
        return error_response(refusal(error))


def log_answer(method: str, path: str, status: int, seconds: float) -> None:
    """A line of the log: nothing of what a user wrote, for the path is that of a route."""
    log.debug("%s %s %d %.1f ms", method, path, status, 1000 * seconds)
