"""The application: every route behind the guard, the page, and the models of the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import msgspec.inspect
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route as Path_
from starlette.types import ASGIApp, Receive, Scope, Send

from langue.server import chat, completions, embeddings, lookup, own, status, summaries, why
from langue.server.corpus import Corpus
from langue.server.errors import Refused
from langue.server.guard import Guard, answered, error_response
from langue.server.limits import Settings
from langue.server.metrics import Metrics
from langue.server.models import Models
from langue.server.openapi import document_of
from langue.server.routes import Route
from langue.server.writing import TOOK_TOO_LONG

ROUTES: tuple[Route, ...] = (
    *completions.ROUTES,
    *chat.ROUTES,
    *embeddings.ROUTES,
    *own.ROUTES,
    *status.ROUTES,
    *why.ROUTES,
    *summaries.ROUTES,
    *lookup.ROUTES,
)
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
GONE = 499  # as nginx has it: the client left, and nobody reads the answer
LEFT = Refused(GONE, "the client left")
PATIENCE = 0.05  # seconds after which it is looked whether the client is still there


class Server:
    """What handlers know."""

    def __init__(self, paths: Mapping[str, Path], settings: Settings) -> None:
        self.settings = settings
        self.models = Models(paths, settings)
        self.metrics = Metrics(self.models)
        self.corpus = None if settings.corpus is None else Corpus(settings.corpus)
        self.draining = False


def create_app(
    models: Mapping[str, Path] | Iterable[Path | str], settings: Settings | None = None
) -> ASGIApp:
    """An ASGI application that serves models.

    Args:
        models: their folders, by name or named by their folders.

    Raises:
        LangueError: no model can be read, or there is no corpus.
    """
    settings = settings or Settings()
    paths = models if isinstance(models, Mapping) else {Path(path).name: Path(path) for path in models}
    server = Server(paths, settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        server.draining = True
        await server.models.close()

    base = settings.base_path
    document = msgspec.json.encode(document_of(ROUTES, base))
    handlers = {(route.method, base + route.path): _endpoint(server, route) for route in ROUTES}
    endpoints = [Path_(path, endpoint, methods=[method]) for (method, path), endpoint in handlers.items()]
    endpoints.append(Path_(base + "/openapi.json", _static(document, "application/json")))
    page = _page()
    endpoints += [Path_(base + path, _static(content, kind)) for path, (content, kind) in page.items()]
    if base:  # what the page asks for stands beside it
        endpoints.append(Path_(base, _redirect(base + "/")))
    app = Starlette(routes=endpoints, lifespan=lifespan, exception_handlers={HTTPException: _http_error})
    app.router.redirect_slashes = False
    app.state.server = server
    free = {route.path for route in ROUTES if route.free} | page.keys() | {""}

    def observe(scope: Scope, status: int, seconds: float) -> None:
        server.metrics.answered(scope.get("route"), status, seconds)

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        # Starlette looks through all routes, and passes three layers on the way.
        endpoint = handlers.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            await app(scope, receive, send)
        else:
            response = await endpoint(Request(scope, receive))
            await response(scope, receive, send)

    return Guard(dispatch, settings, lambda path: path in free, observe)


def _endpoint(server: Server, route: Route) -> Callable[[Request], Awaitable[Response]]:
    decoder = msgspec.json.Decoder(route.body) if route.body is not None else None

    async def answer(request: Request) -> Response:
        request.scope["route"] = route.path
        if route.of_model:
            named = request.path_params.get("model") or request.query_params.get("model")
            return _response(await route.handler(server, named))
        if decoder is None:
            return _response(await route.handler(server))
        try:
            content = await request.body()
        except ClientDisconnect:
            return Response(status_code=GONE)
        body = _decode(decoder, content)
        watch = _Watch(request, server.settings.timeout)
        try:
            return _response(await route.handler(server, body))
        except asyncio.CancelledError:
            if watch.reason is None:  # the server ends
                raise
            watch.task.uncancel()
            if watch.reason is TOOK_TOO_LONG:
                raise TOOK_TOO_LONG from None
            return Response(status_code=GONE)
        finally:
            watch.end()

    async def endpoint(request: Request) -> Response:
        return await answered(answer(request))

    return endpoint


class _Watch:
    """Cancels the task that answers a request whose client leaves, or that takes too long.

    Attributes:
        reason: why it was cancelled; None: it was not, or not by this.
    """

    def __init__(self, request: Request, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.reason: Refused | None = None
        self._request = request
        self._seconds = seconds
        self._watching: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._begin)  # few take so long

    def _begin(self) -> None:
        self._watching = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._request.receive()
            self.reason = LEFT
        except TimeoutError:
            self.reason = TOOK_TOO_LONG
        self.task.cancel()

    def end(self) -> None:
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()


def _decode(decoder: msgspec.json.Decoder[Any], content: bytes) -> Any:
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `")
        param = where.removeprefix("key` in `").removeprefix("$").removesuffix("`").lstrip(".") or None
        if what.startswith("Invalid enum value") and (words := _choices(decoder.type, param)):
            what = f"choose one of {', '.join(words)}"
        raise Refused(400, f"{param}: {what}" if param else what, param=param) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Refused(400, f"the body is no JSON: {reason}") from None


def _choices(body: type[msgspec.Struct], param: str | None) -> list[str]:
    """The words that a field of a request may be; none of what lies deeper."""
    read = msgspec.inspect.type_info(body)
    assert isinstance(read, msgspec.inspect.StructType)
    known = [field.type for field in read.fields if field.name == param]
    kinds = known[0].types if known and isinstance(known[0], msgspec.inspect.UnionType) else known
    return [str(word) for one in kinds if isinstance(one, msgspec.inspect.LiteralType) for word in one.values]


def _response(answer: Any) -> Response:
    if isinstance(answer, Response):
        return answer
    if isinstance(answer, str):
        return PlainTextResponse(answer)
    return Response(msgspec.json.encode(answer), media_type="application/json")


def _page() -> dict[str, tuple[bytes, str]]:
    """The files of the page by their paths, with their media types."""
    folder = files("langue.server") / "page"
    page = {
        f"/{file.name}": (file.read_bytes(), TYPES[Path(file.name).suffix])
        for file in folder.iterdir()
        if Path(file.name).suffix in TYPES
    }
    if "/index.html" in page:
        page["/"] = page["/index.html"]
    return page


def _static(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    return endpoint


def _redirect(path: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return RedirectResponse(path)

    return endpoint


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = {404: "nothing is here; /openapi.json lists what is", 405: "not by this method; see /openapi.json"}
    response = error_response(Refused(error.status_code, said.get(error.status_code, error.detail)))
    response.headers.update(error.headers or {})
    return response
