"""Contenders that take turns, each in a process of its own.

What else the machine does falls on all alike, and what one sets (the allocator, threads) reaches no other.
"""

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Turn(NamedTuple):
    """What one step was."""

    tokens: int
    seconds: float
    peak_bytes: int  # of memory, from the start of the process on

    @property
    def speed(self) -> float:
        return self.tokens / self.seconds


def serve(step: Callable[[], int]) -> None:
    """Be a contender: after one step to warm up, a step for each line that comes in.

    Args:
        step: returns how many tokens it was.
    """
    step()
    print("ready", flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        tokens = step()
        seconds = time.perf_counter() - started
        peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
        print(json.dumps(Turn(tokens, seconds, peak)), flush=True)


def take_turns(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Turn]]:
    """The turns of each contender, by its name.

    Args:
        commands: the arguments of Python that make a process that calls `serve`.
    """
    workers = {
        name: subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name, arguments in commands.items()
    }
    turns: dict[str, list[Turn]] = {name: [] for name in workers}
    for worker in workers.values():
        assert worker.stdout and worker.stdout.readline() == "ready\n"
    for _ in range(rounds):
        for name, worker in workers.items():
            assert worker.stdin and worker.stdout
            worker.stdin.write("go\n")
            worker.stdin.flush()
            turns[name].append(Turn(*json.loads(worker.stdout.readline())))
    for worker in workers.values():
        worker.communicate()
    return turns


def cpu() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def multiplied_fast(contenders: Iterable[str]) -> list[str]:
    """Those whose type the processor multiplies: all, or without those named after bfloat16."""
    import torch

    from langue.nn.machine_class import machine_class

    fast = machine_class(torch.device("cuda" if torch.cuda.is_available() else "cpu")).fast_dtype
    return [name for name in contenders if fast == torch.bfloat16 or "bfloat16" not in name]
