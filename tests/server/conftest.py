"""A server on loopback in a thread of the tests, and how to ask it."""

import gc
import http.client
import json
import re
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import langue

pytest.importorskip("uvicorn", reason="needs the extra serve")


@dataclass
class Reply:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> str:
        """The message of an error in OpenAI's shape, in words of HTTP."""
        assert set(self.json) == {"error"}
        assert set(self.json["error"]) == {"message", "type", "param", "code"}
        message = str(self.json["error"]["message"])
        assert not re.search(r"\blangue[ .]\w+[ (]|(?<!\w)--[a-z]|=True|/tmp/", message), message
        return message

    @property
    def events(self) -> list[Any]:
        """The values of a stream, whose end is told."""
        lines = [line.removeprefix("data: ") for line in self.content.decode().split("\n\n") if line]
        assert lines[-1] == "[DONE]"
        return [json.loads(line) for line in lines[:-1]]


@dataclass
class Address:
    """A running server."""

    port: int
    app: Any = field(repr=False, default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, method: str = ""
    ) -> Reply:
        """`body` is sent as JSON, bytes as they are; without one, it is a GET."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            connection.request(
                method or ("GET" if body is None else "POST"), path, body=content, headers=dict(headers or {})
            )
            reply = connection.getresponse()
            return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def send(self, data: bytes, *, wait: float = 30.0) -> bytes:
        """Bytes as they are, and all that comes back until the server closes, or `wait` seconds are over."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as connection:
            connection.sendall(data)
            received = b""
            try:
                while part := connection.recv(65536):
                    received += part
            except TimeoutError:
                pass
            return received


def resident() -> int:
    """Bytes of memory that this process holds, once what nobody needs is gone."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@contextmanager
def running(models: Mapping[str, Path], **settings: Any) -> Iterator[Address]:
    import uvicorn

    from langue.server.app import create_app
    from langue.server.limits import Settings
    from langue.server.run import config_of

    app = create_app(models, Settings(**settings))
    server = uvicorn.Server(config_of(app, Settings(**settings)))
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    assert server.started
    try:
        yield Address(listening.getsockname()[1], app)
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()


@pytest.fixture
def serve() -> Callable[..., Any]:
    """Run a server: `with serve(models, queue=1) as address`."""
    return running


@pytest.fixture(scope="session")
def served_models(
    small_store: Path, small_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A model of each kind that a server has routes for."""
    folder = tmp_path_factory.mktemp("served")
    tagged = folder / "tagged.tsv"
    tagged.write_text("the\tB-A\nking\tI-A\nis\tO\n\na\tO\nqueen\tB-A\nlives\tO\n\n" * 20)
    langue.train("crf", tagged, folder / "crf")
    langue.train(
        "bert",
        small_store,
        folder / "bert",
        layers=1,
        width=32,
        heads=2,
        context=32,
        steps=5,
        batch_tokens=512,
    )
    return {
        "trigram": small_models["trigram"],
        "gpt2": small_models["gpt2"],
        "bert": folder / "bert",
        "crf": folder / "crf",
    }


@pytest.fixture(scope="session")
def pair_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of sources and targets that has hardly learned."""
    folder = tmp_path_factory.mktemp("pairs")
    lines = [json.dumps({"source": a, "target": b}) + "\n" for a, b in [("one", "eins"), ("two", "zwei")]]
    (folder / "pairs.jsonl").write_text("".join(lines * 20))
    held = [folder / "pairs.jsonl"]
    langue.prepare(held[0], folder / "store", documents="pairs", kind="chars", valid=held, test=held)
    tiny = {"layers": 1, "width": 16, "heads": 2, "context": 16, "steps": 2, "batch_tokens": 128}
    langue.train("bert2bert", folder / "store", folder / "model", **tiny)
    return folder / "model"


@pytest.fixture(scope="session")
def server(served_models: dict[str, Path]) -> Iterator[Address]:
    with running(served_models) as address:
        yield address
