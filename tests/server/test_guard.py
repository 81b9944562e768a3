"""Who may ask a server, and what it bears."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import resident

from langue.base.errors import InvalidSetting
from langue.server import limits
from langue.server.guard import is_loopback
from langue.server.limits import Settings
from langue.server.run import check

ASKED = {"model": "trigram", "prompt": "a", "max_tokens": 1}


def test_pages_of_other_sites_are_refused(server: Any) -> None:
    own = f"127.0.0.1:{server.port}"
    for headers in ({"Origin": "https://example.org"}, {"Origin": "null"}, {"Host": "example.org"},
                    {"Host": f"example.org:{server.port}"}, {"Host": "127.0.0.1.example.org"}, {"Host": ""},
                    {"Origin": f"http://localhost:{server.port + 1}"}):  # fmt: skip
        for path in ("/v1/completions", "/", "/health"):
            assert server.ask(path, ASKED, headers=headers).status == 403, headers
    for headers in (
        {"Origin": f"http://{own}"},
        {"Host": f"localhost:{server.port}"},
        {"Host": "[::1]:8000"},
    ):
        assert server.ask("/v1/completions", ASKED, headers=headers).status == 200
    reply = server.ask("/v1/completions", ASKED, headers={"Origin": f"http://{own}"})
    assert "access-control-allow-origin" not in reply.headers
    assert "script-src 'self'" in reply.headers["content-security-policy"]


def test_keys_and_other_origins(serve: Callable[..., Any], served_models: dict[str, Path]) -> None:
    settings = {"keys": ("secret", "other"), "origins": ("https://friend.example",), "base_path": "/lm"}
    with serve({"trigram": served_models["trigram"]}, **settings) as address:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic secret"},
                        {"Authorization": "Bearer secretx"}, {"Authorization": "Bearer "}):  # fmt: skip
            reply = address.ask("/lm/v1/completions", ASKED, headers=headers)
            assert reply.status == 401 and reply.headers["www-authenticate"] == "Bearer"
            assert reply.json["error"]["code"] == "invalid_api_key"
        known = {"Authorization": "Bearer other", "Host": "models.example"}
        assert address.ask("/lm/v1/completions", ASKED, headers=known).status == 200
        assert address.ask("/lm/health").status == 200
        bare = address.ask("/lm")
        assert (bare.status, bare.headers["location"]) == (307, "/lm/")
        assert address.ask("/v1/completions", ASKED, headers=known).status == 404  # not under the base
        friend = known | {"Origin": "https://friend.example"}
        reply = address.ask("/lm/v1/models", headers=friend)
        assert reply.headers["access-control-allow-origin"] == "https://friend.example"
        flight = address.ask(
            "/lm/v1/completions", method="OPTIONS", headers={"Origin": "https://friend.example"}
        )
        assert flight.status == 204 and "POST" in flight.headers["access-control-allow-methods"]
        assert address.ask("/lm/v1/models", headers=known | {"Origin": "https://foe.example"}).status == 403
        document = address.ask("/lm/openapi.json", headers=known).json
        assert document["servers"] == [{"url": "/lm"}]


def test_other_addresses_ask_for_a_key() -> None:
    check(Settings(host="::1"))
    check(Settings(host="0.0.0.0", keys=("k",)))
    with pytest.raises(InvalidSetting, match=r"api.key.file"):
        check(Settings(host="0.0.0.0"))
    assert is_loopback("127.8.8.8") and not is_loopback("localhost.example") and not is_loopback("")


def body(content: bytes, *, length: int | None = None) -> bytes:
    size = length or len(content)
    head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + content


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (body(b"x" * (64 << 20)), b"413"),
        (body(b"", length=1 << 40), b"413"),
        (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
         + (b"100000\r\n" + b" " * (1 << 20) + b"\r\n") * 5, b"413"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (limits.HEAD + 1), b"431"),
        (b"\x16\x03\x01\x02\x00\x01", b"400"),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET /%2e%2e/limits.py HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404"),
        (b"DELETE /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"405"),
        (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", b"400"),
    ],
    ids=["large", "declared", "chunked", "head", "tls", "path", "quoted-path", "method", "length"],
)  # fmt: skip
def test_hostile_bytes(server: Any, sent: bytes, status: bytes) -> None:
    try:
        reply = server.send(sent)
    except (ConnectionResetError, BrokenPipeError):  # it closed before all was sent
        reply = b""
    assert not reply or reply.split()[1] == status
    assert server.ask("/health").status == 200


NO_REQUESTS = (
    b"", b"null", b"[]", b"{", b"[" * 100_000, b'{"model":' * 50_000, b'{"prompt": NaN}', b"\xff\xfe",
    b'{"prompt": 1e999}', b'{"prompt":"a","json_schema":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
    b'{"prompt":"a","max_tokens":1' + b"0" * 10_000 + b"}", b'{"prompt":"a","n":1000000000}',
    b'{"prompt":"a","temperature":true}', b'{"prompt":[99999999]}',
    json.dumps({"prompt": ["a"] * 10_000}).encode(),
    json.dumps({"prompt": "a", "stop": ["a"] * 10_000}).encode(),
    json.dumps({"prompt": [[0] * 50_000] * 10}).encode(),
)  # fmt: skip


@pytest.mark.parametrize("content", NO_REQUESTS)
def test_what_is_no_request(server: Any, content: bytes) -> None:
    reply = server.ask("/v1/completions", content)
    assert reply.status == 400 and reply.error


def test_memory_is_flat_under_them(serve: Callable[..., Any], served_models: dict[str, Path]) -> None:
    with serve({"trigram": served_models["trigram"]}) as address:
        sizes = []
        for _ in range(4):
            for content in NO_REQUESTS:
                assert address.ask("/v1/completions", content).status == 400
            sizes.append(resident())
        assert sizes[-1] - sizes[1] < 16 << 20
        assert address.ask("/v1/completions", ASKED).status == 200


def test_a_slow_sender_is_left(
    serve: Callable[..., Any], served_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(limits, "HEAD_SECONDS", 0.3)
    with serve({"trigram": served_models["trigram"]}) as address:
        assert b" 408 " in address.send(body(b'{"prompt"', length=100))
        assert b" 408 " in address.send(b"POST /v1/completions HTTP/1.1\r\nHost: loc")
        assert b" 408 " in address.send(b"")
        with socket.create_connection(
            ("127.0.0.1", address.port)
        ) as half:  # it sends no more, and may be left
            half.sendall(body(json.dumps(ASKED).encode()))
            half.shutdown(socket.SHUT_WR)
            half.settimeout(10)
            while half.recv(1024):
                pass
        assert address.ask("/v1/completions", ASKED).status == 200


def test_a_full_queue_says_when_to_come_again(
    serve: Callable[..., Any], served_models: dict[str, Path]
) -> None:
    long = {"model": "gpt2", "prompt": "a", "max_tokens": 500_000, "n": limits.ROWS, "stream": True}
    with serve(served_models, queue=1, max_tokens=500_000) as address:
        long |= endless(address)
        address.ask(
            "/v1/completions", {"model": "gpt2", "prompt": "a", "max_tokens": 1}
        )  # its step is compiled
        with socket.create_connection(("127.0.0.1", address.port)) as one:
            one.sendall(body(json.dumps(long).encode()))
            # It is being written: of one that still waits the answer has begun, too, and the queue is full.
            assert wait_for(lambda: running_texts(address) == limits.ROWS)
            with socket.create_connection(("127.0.0.1", address.port)) as two:
                two.sendall(body(json.dumps(long).encode()))
                assert wait_for(lambda: running_texts(address) > limits.ROWS)
                reply = address.ask("/v1/completions", {"model": "gpt2", "prompt": "a"})
                assert reply.status == 429 and int(reply.headers["retry-after"]) >= 1
                # Another model waits for nobody.
                assert address.ask("/v1/completions", ASKED).status == 200
        # Both have left: what they asked for is not written.
        assert wait_for(lambda: running_texts(address) == 0)
        assert address.ask("/v1/completions", {"model": "gpt2", "prompt": "a"}).status == 200


def endless(address: Any) -> dict[str, Any]:
    """What a request asks for so that no text ends by itself."""
    end = address.ask("/tokenizer_info?model=gpt2").json["eos_token_id"]
    return {"logit_bias": {str(end): -100}}


def wait_for(fact: Callable[[], bool]) -> bool:
    until = time.monotonic() + 180  # a loaded machine that compiles
    while not fact() and time.monotonic() < until:
        time.sleep(0.05)
    return fact()


def running_texts(address: Any) -> float:
    lines = address.ask("/metrics").content.decode().splitlines()
    return sum(
        float(line.split()[-1])
        for line in lines
        if line.startswith(("langue_texts_running{", "langue_requests_waiting{"))
    )


def test_a_client_that_leaves_stops_its_work(server: Any) -> None:
    for stream in (True, False):
        asked = {"model": "gpt2", "prompt": "a", "max_tokens": 4000, "n": 4, "stream": stream} | endless(
            server
        )
        with socket.create_connection(("127.0.0.1", server.port)) as gone:
            gone.sendall(body(json.dumps(asked).encode()))
            assert wait_for(lambda: running_texts(server) > 0)
        assert wait_for(lambda: running_texts(server) == 0)


def test_what_takes_too_long_ends(serve: Callable[..., Any], served_models: dict[str, Path]) -> None:
    with serve({"gpt2": served_models["gpt2"]}, timeout=0.5) as address:
        address.ask("/v1/next", {"model": "gpt2"})  # loaded, however slowly
        address.ask("/v1/next", {"model": "gpt2"})
        asked = {"model": "gpt2", "prompt": "a", "max_tokens": 4000, "n": 16} | endless(address)
        assert address.ask("/v1/completions", asked).status == 504
        *_, last = address.ask("/v1/completions", asked | {"stream": True}).events
        assert last["error"]["type"] == "timeout_error"
