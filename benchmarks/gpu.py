"""What langue does on a GPU, in one run of at most eight minutes: `make gpu`.

    python benchmarks/gpu.py [--output FILE] [--minutes 8] [--dry-run]

The tests that need a GPU; GPT-2 of 124 million parameters in bfloat16, compiled, beside transformers; the
recipe `shakespeare-gpt2`; FSDP with one rank; text of 124 million parameters, alone and 64 at once. Each part
runs in a process of its own within the time that is left: what fails or is missing is named, and the others
go on. The report is printed and kept in FILE. `--dry-run`: everything in small, on whatever device there is.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gpt2_training import SIZES, Size, langue, network_of, peer

ROOT = Path(__file__).resolve().parents[1]
TINY = Size(2, 64, 2, 64, 4, 512)
BASE = SIZES["base"]._replace(context=1024, rows=16)
STEPS, WARM = 20, 5


class Part(NamedTuple):
    """One thing tried: what the report calls it, how, and the most seconds it may take."""

    title: str
    command: list[str]
    seconds: int


def parts(*, small: bool, folder: Path) -> list[Part]:
    this = [sys.executable, __file__, *(["--dry-run"] if small else []), "--work"]
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "tests/test_cuda.py",
        "tests/training/test_resume.py",
    ]
    run = ["-m", "langue", "train", "gpt2", str(folder / "store")]
    settings = [
        f"--set={setting}"
        for setting in ("layers=2", "width=64", "heads=2", "context=64", "steps=20", "batch_tokens=1024",
                        "optimizer=adamw", "seed=1")
    ]  # fmt: skip
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1"]
    larger = [sys.executable, "benchmarks/tinyshakespeare.py", "--larger"]
    return [
        Part("The machine", [sys.executable, "-m", "langue", "doctor"], 60),
        Part("The tests on it", tests, 120),
        Part("GPT-2 124M, langue, compiled", [*this, "train-langue"], 120),
        Part("GPT-2 124M, transformers, compiled", [*this, "train-transformers"], 120),
        Part("Text by GPT-2 124M", [*this, "generate"], 60),
        Part(
            "FSDP, one rank", [*torchrun, *run, "-o", str(folder / "fsdp"), *settings, "--set=fsdp=true"], 60
        ),
        Part("The same without FSDP", [sys.executable, *run, "-o", str(folder / "plain"), *settings], 60),
        *([] if small else [Part("tinyshakespeare by characters, recipe `shakespeare-gpt2`", larger, 180)]),
    ]


def timed(step: Callable[[], int]) -> dict[str, float]:
    """Tokens a second and peak memory of a step of training."""
    import torch

    started = time.perf_counter()
    for _ in range(WARM):
        step()
    _wait()
    warm, started = time.perf_counter() - started, time.perf_counter()
    tokens = sum(step() for _ in range(STEPS))
    _wait()
    cuda = torch.cuda.is_available()
    return {
        "tokens_per_second": tokens / (time.perf_counter() - started),
        "seconds_of_the_first_steps": warm,
        "peak_gigabytes": torch.cuda.max_memory_allocated() / 1e9 if cuda else 0.0,
    }


def _wait() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def train_langue(size: Size) -> dict[str, float]:
    import torch

    from langue.nn.device import best_device, peak_flops

    step = langue(size, "auto", False, "compile=true")
    figures = timed(step)
    if not torch.cuda.is_available():
        return figures
    flops = step.model.flops_per_token()  # type: ignore[attr-defined]
    return figures | {"mfu": figures["tokens_per_second"] * flops / peak_flops(best_device())}


def train_transformers(size: Size) -> dict[str, float]:
    return timed(peer(size, "bfloat16", False, compiled=True))


def generate(size: Size) -> dict[str, float]:
    """Tokens a second, alone and 64 at once, by the likeliest ones."""
    import numpy as np

    from langue.nn.device import best_device

    model = network_of(size)[1].to(best_device()).eval()
    prompt = np.random.default_rng(0).integers(1, size.vocabulary, 32)
    figures = {}
    for batch in (1, 64):
        decoder, count = model.decoder([prompt] * batch), 4 if size is TINY else 64
        decoder.extend(decoder.log_probs().argmax(1)[:, None])
        started = time.perf_counter()
        for _ in range(count):
            decoder.extend(decoder.log_probs().argmax(1)[:, None])
        decoder.log_probs()
        figures[f"tokens_per_second_of_{batch}"] = batch * count / (time.perf_counter() - started)
    return figures


WORK: dict[str, Callable[[Size], dict[str, float]]] = {
    "train-langue": train_langue, "train-transformers": train_transformers, "generate": generate
}  # fmt: skip


def tried(part: Part, seconds: float) -> tuple[str, bool]:
    """What a part printed, or why it did not; and whether it was done."""
    if seconds < 5:
        return "not tried: no time was left", False
    try:
        ran = subprocess.run(
            part.command, cwd=ROOT, capture_output=True, text=True, timeout=min(part.seconds, seconds),
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"stopped after {min(part.seconds, seconds):.0f} s", False
    lines = [line for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
    shown = lines if ran.returncode == 0 else [f"exit {ran.returncode}", *lines]
    return "\n".join(shown[-25:]), ran.returncode == 0


def store(folder: Path) -> None:
    """The embedded text as a store, for the runs of the command line."""
    text = ROOT / "src" / "langue" / "corpus" / "sample" / "english.txt.gz"
    command = [sys.executable, "-m", "langue", "prepare", str(text), "-o", str(folder / "store")]
    subprocess.run(command, cwd=ROOT, check=False, capture_output=True)


def report(minutes: float, *, small: bool, output: Path) -> bool:
    """Try each part, and whether all were done."""
    ends, done = time.monotonic() + 60 * minutes, []
    text = f"# A GPU: `python benchmarks/gpu.py`, {time.strftime('%Y-%m-%d')}\n"
    with tempfile.TemporaryDirectory() as name:
        store(Path(name))
        for part in parts(small=small, folder=Path(name)):
            started = time.monotonic()
            printed, good = tried(part, ends - started)
            done.append(good)
            seconds = time.monotonic() - started
            section = (
                f"\n## {part.title} ({seconds:.0f} s{'' if good else ', NOT DONE'})\n\n```\n{printed}\n```\n"
            )
            print(section, flush=True)
            text += section
            output.write_text(text, encoding="utf-8")
    return all(done)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "gpu.md")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        figures: dict[str, Any] = WORK[arguments.work](TINY if arguments.dry_run else BASE)
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=1))
        return
    if not arguments.dry_run and shutil.which("nvidia-smi") is None:
        sys.exit("there is no GPU here (no nvidia-smi); --dry-run tries everything in small")
    sys.exit(not report(arguments.minutes, small=arguments.dry_run, output=arguments.output))


if __name__ == "__main__":
    main()
