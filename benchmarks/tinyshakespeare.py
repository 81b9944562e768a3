"""tinyshakespeare by characters: the validation loss that nanoGPT's recipe for a CPU reaches, and the
loss that langue reaches in the same time on the same machine.

    python benchmarks/tinyshakespeare.py --nanogpt FOLDER

FOLDER is a checkout of nanoGPT, which is run as its README says for a CPU (0.8 million parameters,
2,000 iterations) and timed from start to end; langue then trains `recipes/shakespeare-gpt2-quick.toml`
for as many seconds. Both learn from the first nine tenths of the text. The loss is that of rows with
nothing before them, as nanoGPT measures it, over all of the last tenth; nanoGPT's own figure is of
random rows. Without --nanogpt, `--seconds` says how long langue trains; with `--larger` it trains
`recipes/shakespeare-gpt2.toml` to its end, which nanoGPT's recipe for a GPU is to be compared with; with
`--defaults` no recipe, but `langue train gpt2`, which chooses by the text, the time and the machine. With
--cpu both have one thread and seconds are of its CPU time, which other work on the machine disturbs least.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch

import langue
from langue.base.config import read_assignments
from langue.protocols import Causal
from langue.tokens.batches import Batches
from langue.tokens.store import TokenStore
from langue.training import fit
from turns import cpu

TEXT = Path(__file__).resolve().parents[2] / "shared" / "data" / "shakespeare" / "input.txt"
RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "shakespeare-gpt2-quick.toml"
LARGER = RECIPE.with_name("shakespeare-gpt2.toml")
# nanoGPT's README, "I only have a macbook", without its evaluations on the way, which cost time
CPU = (
    "--device=cpu --compile=False --eval_iters=200 --log_interval=500 --block_size=64 --batch_size=12 "
    "--n_layer=4 --n_head=4 --n_embd=128 --dropout=0.0 "
    "--max_iters={0} --lr_decay_iters={0} --eval_interval={0}"
)


def nanogpt(folder: Path, iterations: int, clock: Callable[[], float]) -> tuple[float, float]:
    """Seconds and validation loss of nanoGPT's run."""
    data = folder / "data" / "shakespeare_char"
    (data / "input.txt").write_bytes(TEXT.read_bytes())  # what its script would download
    # It imports the library it would download with, and has nothing to download now.
    prepare = "import runpy, sys, types; sys.modules['requests'] = types.ModuleType('requests'); "
    prepare += f"runpy.run_path({str(data / 'prepare.py')!r})"
    subprocess.run([sys.executable, "-c", prepare], check=True, capture_output=True)
    command = [
        sys.executable,
        "train.py",
        "config/train_shakespeare_char.py",
        *CPU.format(iterations).split(),
    ]
    started = clock()
    said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    seconds = clock() - started
    return seconds, float(re.findall(rf"step {iterations}: .*val loss ([\d.]+)", said)[-1])


def of_children() -> float:
    """CPU seconds of the processes that were started and have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def train(folder: Path, recipe: Path, settings: list[str], *, defaults: bool) -> langue.CausalModel:
    text = TEXT.read_text(encoding="utf-8")
    cut = len(text) * 9 // 10
    for name, part in (("train", text[:cut]), ("valid", text[cut:])):
        (folder / f"{name}.txt").write_text(part, encoding="utf-8", newline="\n")
    valid = [folder / "valid.txt"]
    langue.prepare(folder / "train.txt", folder / "store", recipe=recipe, valid=valid, test=valid)
    what = "gpt2" if defaults else recipe
    return langue.train(what, folder / "store", folder / "model", **read_assignments(settings))


def loss_of_rows(model: Causal, store: TokenStore) -> float:
    """Nats a character over all rows of the validation split, nothing before each."""
    rows = Batches(store.split("valid"), rows=1, context=model.window or 0, eos=store.eos, seed=0)
    total, count = 0.0, 0
    with torch.no_grad():
        for begin in range(0, rows.total, 64):
            batch = rows.first(rows.total).cut(begin, min(begin + 64, rows.total))
            total += float(model.loss(batch))  # type: ignore[attr-defined]
            count += batch.targets_count
    return total / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--nanogpt", type=Path)
    parser.add_argument("--iterations", type=int, default=2000, help="of nanoGPT; fewer on a busy machine")
    parser.add_argument("--seconds", type=float, default=74.0)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--larger", action="store_true")
    parser.add_argument("--defaults", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    chosen = parser.parse_args()
    seconds = chosen.seconds
    clock = time.perf_counter
    if chosen.cpu:
        os.environ["OMP_NUM_THREADS"] = "1"
        torch.set_num_threads(1)
        clock, own_clock = of_children, SimpleNamespace(perf_counter=time.process_time)
        fit.time = own_clock  # type: ignore[assignment]  # what the budget goes by
    unit = "CPU seconds" if chosen.cpu else "s"
    print(
        f"{cpu()}, {torch.get_num_threads()} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}"
    )
    if chosen.nanogpt:
        seconds, loss = nanogpt(chosen.nanogpt, chosen.iterations, clock)
        print(f"nanoGPT   {seconds:6.1f} {unit}  {loss:.4f} nats/character (its own measure)", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        recipe, budget = (LARGER, []) if chosen.larger else (RECIPE, [f"minutes={seconds / 60}"])
        model = train(Path(folder), recipe, [*budget, *chosen.set], defaults=chosen.defaults)
        store = TokenStore(Path(folder) / "store")
        measured = model.info()["measured"]
        loss = loss_of_rows(model.folder.model, store)
        speed = f"{measured['steps']:,} steps, {measured['tokens_per_second']:,.0f} tokens/s"
        print(f"langue    {measured['seconds']:6.1f} {unit}  {loss:.4f} nats/character; {speed}")
        print(json.dumps([round(point["loss"], 4) for point in measured["validation"]]))


if __name__ == "__main__":
    main()
