"""langue on lesser processors than this one: training, scoring, generating beside transformers on each class.

The classes (`langue doctor` names this machine's) are simulated by the libraries' own switches, which
langue's choice of its fast paths honors: what a class has not, no library uses. Contenders take turns
(`turns.py`).

    .venv/bin/python benchmarks/machines.py [CLASS ...] [--rounds N] [--threads N]
    .venv/bin/python benchmarks/machines.py [CLASS ...] --suite     the tests, under each

A GPT-2 of 4 layers of 256, context 128, vocabulary 4,096; steps of 2,048 tokens. Classes: those below.
A processor of two kinds of cores and a container's quota are the operating system's to simulate, by `taskset`
and `systemd-run -p CPUQuota=150%` before this command; `--threads 1` is one core.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from gpt2_training import Size, langue, network_of, peer
from turns import Turn, cpu, serve, take_turns

# numba takes the features of this machine, whatever the name of the processor, where it is not told them.
SKYLAKE = "+avx2,+fma,+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"
# class → the switches of oneDNN, torch, MKL, OpenBLAS and numba that leave no more than it has
CLASSES = {
    "x86": {
        "ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OPENBLAS_CORETYPE": "Nehalem", "NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": "",
    },
    "avx2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell", "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma",
    },
    "avx512": {
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "ATEN_CPU_CAPABILITY": "avx512",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512", "OPENBLAS_CORETYPE": "SkylakeX",
        "NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": SKYLAKE,
    },
    "avx512-bf16": {
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16", "ATEN_CPU_CAPABILITY": "avx512",
        "OPENBLAS_CORETYPE": "Cooperlake", "NUMBA_CPU_NAME": "cooperlake",
        "NUMBA_CPU_FEATURES": f"{SKYLAKE},+avx512vnni,+avx512bf16",
    },
    "this": {},
}  # fmt: skip
NEEDS = {"x86": set(), "avx2": {"avx2", "fma"}, "avx512": {"avx512f"}, "avx512-bf16": {"avx512_bf16"}}
SIZE = Size(4, 256, 4, 128, 16, 4096)
WORK = ("train", "score", "generate")
GENERATED = 64  # tokens a step


def score(who: str) -> Callable[[], int]:
    """Score as many tokens as a step of training has."""
    import numpy as np
    import torch

    ids = np.random.default_rng(0).integers(1, SIZE.vocabulary, (SIZE.rows, SIZE.context))
    if who == "langue":
        model = network_of(SIZE)[1].eval()
        return lambda: sum(map(len, model.log_probs(list(ids))))
    network = theirs()

    @torch.inference_mode()
    def step() -> int:
        batch = torch.from_numpy(ids)
        logits = network(input_ids=batch).logits[:, :-1]
        logits.log_softmax(-1).gather(-1, batch[:, 1:, None])
        return batch.numel()

    return step


def generate(who: str) -> Callable[[], int]:
    """Continue a prompt of 16 tokens by the likeliest ones."""
    import numpy as np
    import torch

    prompt = np.random.default_rng(0).integers(1, SIZE.vocabulary, 16)
    if who == "langue":
        model = network_of(SIZE)[1].eval()

        def write() -> int:
            decoder = model.decoder([prompt])
            for _ in range(GENERATED):
                decoder.extend(decoder.log_probs().argmax(1)[:, None])
            return GENERATED

        return write
    network, ids = theirs(), torch.from_numpy(prompt)[None]

    def step() -> int:
        network.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=GENERATED, min_new_tokens=GENERATED,
            do_sample=False, pad_token_id=0,
        )  # fmt: skip
        return GENERATED

    return step


def theirs():  # transformers' GPT-2 of the same shape
    import transformers

    transformers.logging.set_verbosity_error()
    shape = {"n_layer": SIZE.layers, "n_embd": SIZE.width, "n_head": SIZE.heads, "n_positions": SIZE.context}
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=SIZE.vocabulary, **shape)).eval()


def work(contender: str) -> None:
    kind, _, who = contender.partition(" ")
    if kind == "train":
        serve(langue(SIZE, "auto", False) if who == "langue" else peer(SIZE, "float32", False))
    else:
        serve({"score": score, "generate": generate}[kind](who))


def possible() -> list[str]:
    """The classes that this processor can play."""
    described = Path("/proc/cpuinfo")
    flags = set(re.findall(r"\w+", described.read_text())) if described.exists() else set()
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return ["this"]
    return [name for name in CLASSES if NEEDS.get(name, set()) <= flags]


def diagnose(environment: dict[str, str]) -> tuple[str, str]:
    """What langue takes the machine for, and the speed of its products."""
    printed = subprocess.run(
        [sys.executable, "-m", "langue", "doctor"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    ).stdout
    lines = {line[6:16].strip(): line[17:] for line in reversed(printed.splitlines())}
    return lines["class"].partition(";")[0], lines["products"].partition(" GFLOP/s")[0]


def measure(name: str, rounds: int, threads: int) -> str:
    """A row of the table."""
    environment = CLASSES[name] | {"OMP_NUM_THREADS": str(threads)}
    os.environ.update(environment)  # the contenders are children of this process
    contenders = [f"{kind} {who}" for kind in WORK for who in ("langue", "transformers")]
    try:
        cells = []
        for kind in WORK:
            commands = {c: [__file__, "--work", c] for c in contenders if c.startswith(kind)}
            own, other = take_turns(commands, rounds).values()
            cells.append(f"{best(own):,.0f} | {best(own) / best(other):.2f}")
        detected, peak = diagnose(environment)
    finally:
        for switch in environment:
            os.environ.pop(switch)
    return f"| {name} | {detected} | {peak} | {' | '.join(cells)} |"


def best(turns: list[Turn]) -> float:
    return max(turn.speed for turn in turns)


def suite(name: str) -> str:
    """The last line of the tests under a class."""
    environment = os.environ | CLASSES[name]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2"],
        env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    lines = ran.stdout.splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return "\n".join([f"{name}: {lines[-1] if lines else ran.stderr}", *failed])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("classes", nargs="*", metavar="CLASS", help=", ".join(CLASSES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--suite", action="store_true")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work)
        return
    import torch
    import transformers

    names = arguments.classes or possible()
    if unknown := set(names) - set(possible()):
        parser.error(f"not possible on this processor: {', '.join(sorted(unknown))}")
    command = " ".join(["python", "benchmarks/machines.py", *sys.argv[1:]])
    print(f"`{command}`: {time.strftime('%Y-%m-%d')}, {cpu()}")
    print(
        f"torch {torch.__version__}, transformers {transformers.__version__}, {arguments.threads} threads\n"
    )
    if arguments.suite:
        for name in names:
            print(suite(name), flush=True)
        return
    print("| switches of | langue sees | GFLOP/s | train, tokens/s | ÷ peer | score | ÷ | generate | ÷ |")
    print("|---|---|---|---:|---:|---:|---:|---:|---:|")
    for name in names:
        print(measure(name, arguments.rounds, arguments.threads), flush=True)


if __name__ == "__main__":
    main()
