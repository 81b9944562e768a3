"""Running the application: an address, one process, and an end in which what runs is answered."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langue.base.errors import InvalidSetting, LangueError, MissingExtra
from langue.base.progress import log
from langue.server.limits import Settings

if TYPE_CHECKING:
    import uvicorn

PACKAGES = ("uvicorn", "httptools", "starlette", "prometheus_client")  # of the extra `serve`
BACKLOG = 512  # connections that wait to be taken
ORIGIN = re.compile(r"https?://[^/?#\s]+")  # of a site
SWITCH = 0.0005  # seconds after which a thread lets another one go on: a model's would keep the loop waiting


def check(settings: Settings) -> None:
    """See that an address that others can reach asks for a key, and that other sites are such.

    Raises:
        InvalidSetting: it does not; a site is none.
    """
    from langue.server.guard import is_loopback

    if not is_loopback(settings.host) and not settings.keys:
        raise InvalidSetting(
            f"{settings.host} can be reached from elsewhere: give --api-key-file with a key a line, "
            "or leave --host out"
        )
    for origin in settings.origins:
        if not ORIGIN.fullmatch(origin):
            raise InvalidSetting(
                f"--cors {origin}: give a site as browsers name it, such as https://host:8443"
            )


def serve(models: Mapping[str, Path] | Iterable[Path | str], settings: Settings | None = None) -> None:
    """Serve models until Ctrl-C or SIGTERM; what runs then is answered first.

    Args:
        models: their folders, by name or named by their folders.

    Raises:
        MissingExtra: what the extra `serve` brings is not installed.
        LangueError: no model can be read, the address is taken, or is open and has no key.
    """
    settings = settings or Settings()
    try:
        import uvicorn

        from langue.server.app import create_app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in PACKAGES:
            raise
        raise MissingExtra(str(error.name), "serve", "serving models") from None
    check(settings)
    app = create_app(models, settings)
    with _bound(settings) as listening:
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        log.info("serving at http://%s:%d%s/ (Ctrl-C stops)", shown, port, settings.base_path)
        sys.setswitchinterval(SWITCH)
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again once all is answered
            uvicorn.Server(config_of(app, settings)).run(sockets=[listening])
        log.info("stopped")


def config_of(app: Any, settings: Settings) -> uvicorn.Config:
    """How uvicorn runs an application."""
    import uvicorn

    from langue.server.protocol import BoundedProtocol

    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_graceful_shutdown=int(settings.drain),
        backlog=BACKLOG,
    )


def _bound(settings: Settings) -> socket.socket:
    """A socket that listens.

    Raises:
        LangueError: the address is taken, or is not this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host.strip("[]"), settings.port))
        listening.listen(BACKLOG)  # whoever reads the address may connect at once
    except OSError as error:
        listening.close()
        raise LangueError(
            f"cannot listen at {settings.host}:{settings.port}: {error.strerror or error}; "
            "give another --port"
        ) from None
    return listening
