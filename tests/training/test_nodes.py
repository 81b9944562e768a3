"""Two nodes under torchrun, one of them killed: `make nodes`, a minute, for torchrun waits before it goes on.

A node is an agent of torchrun with an address of its own; here they are loopback addresses of one machine.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.training.conftest import SMALL
from tests.training.test_distributed import STEADY

from langue.tokens.store import TokenStore
from langue.training.recipe import read_recipe
from langue.training.run_folder import METRICS, run_folder
from langue.training.train import train

pytestmark = pytest.mark.skipif("LANGUE_NODES" not in os.environ, reason="takes a minute: make nodes")
SETTINGS = [*SMALL, "layers=2", *STEADY, "log_every=1", "checkpoint_minutes=0.00001"]
FIRST, SECOND = "127.0.0.1", "127.0.0.2"
STEPS, KILLED_AFTER = 300, 60
WAIT = 400.0  # seconds: the machine may be busy


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def node(address: str, port: int, command: list[str], log: Path) -> "subprocess.Popen[bytes]":
    """An agent of torchrun with one process."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "1:2", "--nproc-per-node", "1"]
    torchrun += ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{FIRST}:{port}", "--rdzv-id", "nodes"]
    # Both are of the machine of the endpoint, and one has to keep what they meet by: the one that lives.
    settings = f"last_call_timeout=10,keep_alive_interval=1,is_host={int(address == FIRST)}"
    torchrun += ["--rdzv-conf", settings, "--local-addr", address]
    with log.open("wb") as file:
        return subprocess.Popen([*torchrun, "--max-restarts", "3", *command], stdout=file, stderr=file)


def lose(agent: "subprocess.Popen[bytes]") -> None:
    """Kill an agent and its processes, which are sessions of their own and would go on."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    lost = {agent.pid}
    while more := {pid for pid, parent in parents.items() if parent in lost} - lost:
        lost |= more
    for pid in lost:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    agent.wait()


def losses(output: Path) -> dict[int, float]:
    """The loss of every step that the run of an output has done so far."""
    metrics = run_folder(output) / METRICS
    lines = metrics.read_text().splitlines(keepends=True) if metrics.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("\n")]
    return {row["step"]: row["loss"] for row in rows if "loss" in row}


def test_a_lost_node_costs_no_more_than_the_steps_since_the_last_checkpoint(
    store: TokenStore, tmp_path: Path
) -> None:
    output, port = tmp_path / "model", free_port()
    command = [str(Path(__file__).with_name("worker.py")), str(store.path), str(output), "gpt2", "--resume"]
    command += [*SETTINGS, f"steps={STEPS}"]
    first = node(FIRST, port, command, tmp_path / "first")
    second = node(SECOND, port, command, tmp_path / "second")
    try:
        began = time.monotonic()
        while len(losses(output)) < KILLED_AFTER:
            assert first.poll() is None and second.poll() is None, (tmp_path / "first").read_text()
            assert time.monotonic() - began < WAIT
            time.sleep(0.1)
        lose(second)
        assert first.wait(WAIT) == 0, (tmp_path / "first").read_text()
    finally:
        for process in (first, second):
            if process.poll() is None:
                lose(process)

    said = (tmp_path / "first").read_text()
    assert "going on from step" in said
    measured = json.loads((output / "model.json").read_text())["measured"]
    assert measured["steps"] == STEPS and measured["sessions"] == 2 and measured["devices"] == 1
    assert measured["seconds"] < measured["device_seconds"] < 2 * measured["seconds"]

    train(read_recipe("gpt2", [*SETTINGS, f"steps={STEPS}"]), store, tmp_path / "alone")
    expected, curve = losses(tmp_path / "alone"), losses(output)
    assert list(curve) == list(expected) == list(range(1, STEPS + 1))
    # To float error: two processes add gradients in another order than one.
    assert list(curve.values()) == pytest.approx(list(expected.values()), rel=2e-3, abs=2e-3)
