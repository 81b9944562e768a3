"""`langue serve` as a process: where it is, that what runs is answered before it ends, what it refuses."""

import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from langue.cli import run

pytest.importorskip("uvicorn", reason="needs the extra serve")


def test_what_is_wrong_is_said(
    small_models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trigram = str(small_models["trigram"])
    (tmp_path / "keys").write_text("\n")
    for arguments, said in [
        ([], "no model to serve"),
        ([str(tmp_path / "none")], "make one: langue train FAMILY STORE -o"),
        ([trigram, trigram], "two models are named trigram"),
        (["--name", "trigram"], "write NAME=PATH"),
        ([trigram, "--host", "0.0.0.0"], "--api-key-file"),
        ([trigram, "--api-key-file", str(tmp_path / "keys")], "holds no key"),
        ([trigram, "--api-key-file", str(tmp_path / "nokeys")], "cannot read"),
        ([trigram, "--base-path", "lm"], "begin with /"),
        ([trigram, "--timeout", "nan"], "no number"),
        ([trigram, "--host", "203.0.113.9", "--api-key-file", __file__], "cannot listen"),
    ]:
        assert run(["serve", *arguments]) == 2
        assert said in capsys.readouterr().err


def test_sigterm_lets_what_runs_end(small_models: dict[str, Path]) -> None:
    command = [
        sys.executable,
        "-m",
        "langue",
        "serve",
        "--name",
        f"m={small_models['trigram']}",
        "--port",
        "0",
    ]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(process.kill)
        assert process.stderr is not None
        address = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stderr.readline())
        assert address is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=300)
        body = {"prompt": "a", "max_tokens": 400, "n": 8, "stream": True}
        stack.callback(connection.close)
        connection.request("POST", "/v1/completions", json.dumps(body))
        reply = connection.getresponse()
        assert reply.status == 200
        first = reply.readline()  # it is being written, and a short text may have ended by then
        process.send_signal(signal.SIGTERM)
        events = (first + reply.read()).decode()
        assert events.endswith("data: [DONE]\n\n") and events.count('"finish_reason":"') == 8
        assert process.wait(300) == 0
        assert process.stderr.read().splitlines()[-1] == "stopped"


def test_what_is_not_installed_is_named(
    small_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run(["serve", str(small_models["trigram"])]) == 2
    assert "pip install 'langue[serve]'" in capsys.readouterr().err
