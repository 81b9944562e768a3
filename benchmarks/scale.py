"""What a corpus of any size costs: rates measured here, and a simulation up to 10 TB and 100 machines.

    python benchmarks/scale.py [--megabytes 1 4 16] [--workers 0 1 2 3 7]
    python benchmarks/scale.py --profile 30

Measured: `langue prepare` and a 5-gram, both by stages, on growing parts of the English text of
../shared/data, beyond its end of a walk through it (`growth.py`), each in a process of its own, by processor
seconds (those of its workers included), so that other work on the machine is no matter; with 0 workers the
5-gram is made without stages; peak memory, of the process that has most; the hashes of the stores and of
the tables, which are the same for any number of workers; and the exponents of growth, least squares on
logarithms, with 95 % intervals.

With `--profile`: where the time of one worker goes in preparing so many megabytes, by processor seconds of
one thread, and how much shorter it can get on several: what stays with one process stays as long.

Simulated: the same stages at those rates on the machines stated below; the bytes that are written and read
are counted from the files of the largest measured run. A 5-gram has as many n-grams as 32 bits number:
beyond, there is no figure. Not simulated: that machines fail, wait for each other, or share a disk that is
slower than stated.
"""

import argparse
import hashlib
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

import langue
from growth import english, walk
from langue.base import executors
from langue.base.limits import ONE_THREAD
from langue.corpus.config import DataConfig
from langue.corpus.ledger import Ledger
from langue.corpus.read import read
from langue.corpus.sources import find
from langue.tokens import prepare as preparing

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
ALONE = ("_select", "train_tokenizer", "append_parts")  # of `tokens/prepare.py`: what one process does
CORPORA = ("rfc", "linux-doc", "wikitext-2", "shakespeare")

# A machine of the simulation, as clouds rent them, and its price.
CORES = 16
DISK = 1.0e9  # bytes a second, read or written, all cores together
NETWORK = 1.25e9  # bytes a second of each: 10 Gbit, for the folder that all share
DOLLARS = 0.04  # for a core and an hour
START = 30.0  # seconds until processes on all machines run
SELECT = 2e-9  # seconds a byte of the one process that decides which documents are kept: 0.04 s for 29 MB
VOCABULARY = 30.0  # seconds, of a sample of 16 MB however large the corpus
# A network of 124 million parameters: FLOP a token, and what a device gives (40 % of the peak of an H200).
FLOP_A_TOKEN, DEVICE, DEVICE_DOLLARS, DEVICES = 6 * 124e6, 4.0e14, 3.5, 8
BYTES_A_TOKEN = 4.0
NGRAMS = 2**32  # that langue numbers
NODE, VALUES = 12, 16  # bytes of an n-gram in a trie of counts; of its suffix, p, log p and backoff
MACHINES = (1, 10, 100)
SIZES = (1e9, 1e10, 1e11, 1e12, 1e13)


def texts() -> Iterator[str]:
    for name in CORPORA:
        if (DATA / name).is_dir():
            for document in read(find([str(DATA / name)]), DataConfig(invalid="skip"), Ledger()):
                yield document.text


def more_texts(folder: Path) -> Iterator[str]:
    """A walk through the English text at hand (`growth.py`), in documents of a hundred lines."""
    for lines in walk(english(folder)):
        for begin in range(0, len(lines), 100):
            yield "\n".join(lines[begin : begin + 100])


def write_corpus(path: Path, size: int) -> int:
    """So many bytes of text, of a walk through it beyond what there is; returns how many."""
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for text in chain(texts(), more_texts(path.parent)):
            written += len(text.encode()) + 2
            file.write(text + "\n\f\n")
            if written >= size:
                break
    return path.stat().st_size


def child(what: str, corpus: Path, folder: Path, workers: int) -> None:
    """One measured run; its figures as JSON on standard output."""
    if what == "prepare":
        langue.prepare(corpus, folder / "store", documents="form-feed", workers=workers or 1)
    else:
        langue.train("ngram", folder / "store", folder / "model", order=5, workers=workers or None)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = [usage.ru_utime + usage.ru_stime for usage in used]
    # Of this process `getrusage` would say its parent's peak, where that had more.
    own = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    peak = max(own, used[1].ru_maxrss) / 1024
    print(json.dumps({"seconds": sum(seconds), "own": seconds[0], "peak_mb": peak}))


def profile(megabytes: int) -> None:
    """Seconds of each stage of one worker that has one thread, and what more workers leave of them."""
    seconds: dict[str, float] = {}

    def timed(name: Callable[..., str], function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            begun = time.process_time()
            try:
                return function(*given, **named)
            finally:
                what = name(*given)
                seconds[what] = seconds.get(what, 0.0) + time.process_time() - begun

        return call

    executors.run_task = timed(lambda task: task.stage, executors.run_task)
    for step in ALONE:
        setattr(preparing, step, timed(lambda *_, step=step: step, getattr(preparing, step)))
    with tempfile.TemporaryDirectory() as name:
        size = write_corpus(Path(name) / "corpus.txt", megabytes * 1_000_000)
        begun = time.process_time()
        langue.prepare(Path(name) / "corpus.txt", Path(name) / "store", documents="form-feed", workers=1)
        total = time.process_time() - begun
    print(f"{size / 1e6:.1f} MB, {total:.1f} s of one thread:")
    shared = 0.0
    for what, took in sorted(seconds.items(), key=lambda item: -item[1]):
        # One file is read by one task; `train_tokenizer` has threads of its own, which are not counted on.
        is_shared = what not in (*ALONE, "reading")
        shared += took if is_shared else 0.0
        print(f"  {what:26} {took:7.2f} s  {'shared' if is_shared else 'by one process'}")
    for workers in (2, 4, 8, 16):
        print(f"  {workers} workers: at most {total / (total - shared + shared / workers):.2f} times as fast")


def run(what: str, corpus: Path, folder: Path, workers: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", what, str(corpus), str(folder), str(workers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def digest(folder: Path, names: str = "*") -> str:
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.glob(names))]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:12]


def measure(megabytes: Sequence[int], workers: Sequence[int]) -> list[dict[str, float]]:
    rows = []
    print(
        "    MB  workers  prepare s  peak MB  5-gram s  peak MB  store         tables        store / text  "
        "n-grams / byte"
    )
    for size in megabytes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            read_bytes = write_corpus(folder / "corpus.txt", size * 1_000_000)
            for count in workers:
                own = folder / str(count)
                own.mkdir()
                prepared = run("prepare", folder / "corpus.txt", own, count)
                counted = run("ngram", folder / "corpus.txt", own, count)
                store = sum(file.stat().st_size for file in (own / "store").iterdir()) / read_bytes
                ngrams = langue.load(own / "model").folder.model.size()["ngrams"] / read_bytes
                hashes = digest(own / "store"), digest(own / "model", "*.npy")
                print(
                    f"{read_bytes / 1e6:6.1f} {count:8} {prepared['seconds']:10.1f} "
                    f"{prepared['peak_mb']:8.0f} {counted['seconds']:9.1f} {counted['peak_mb']:8.0f}  "
                    f"{'  '.join(hashes)}  {store:12.2f} {ngrams:15.2f}",
                    flush=True,
                )
                row = {"bytes": read_bytes, "prepare": prepared["seconds"], "ngram": counted["seconds"]}
                row |= {"workers": count, "own": counted["own"]}
                if count:
                    rows.append(row | {"store": store, "ngrams": ngrams})
    return rows


def exponent(rows: Sequence[dict[str, float]], what: str) -> str:
    """The slope of logarithms, with a 95 % interval from the residuals (normal, so narrow for few points)."""
    x, y = (np.log([row[key] for row in rows]) for key in ("bytes", what))
    centered = x - x.mean()
    slope = (centered @ y) / (centered @ centered)
    residuals = y - y.mean() - slope * centered
    error = math.sqrt(residuals @ residuals / max(len(x) - 2, 1) / (centered @ centered))
    return f"{slope:.2f} ± {1.96 * error:.2f}"


def join_seconds(rows: Sequence[dict[str, float]]) -> float:
    """What an n-gram costs the one process that joins parts and writes the model: the slope over sizes."""
    shared = [row for row in rows if row["workers"] > 1]
    ngrams = [row["ngrams"] * row["bytes"] for row in shared]
    return max(float(np.polyfit(ngrams, [row["own"] for row in shared], 1)[0]), 0.0)


def simulate(rows: Sequence[dict[str, float]]) -> None:
    """Times and costs at the rates of the largest measured run."""
    last, join = max(rows, key=lambda row: row["bytes"]), join_seconds(rows)
    print(f"one process joins parts and writes the model: {join * 1e9:.0f} ns of an n-gram")
    print("\n    size  machines   prepare            5-gram             124M, one pass over it")
    for size in SIZES:
        for machines in MACHINES:
            # Text is read; written and read as it was, and cleaned; ids are written, read and written.
            moved = size * (1 + 2 * 2 + 3 * last["store"])
            slowest = max(size * last["prepare"] / last["bytes"] / CORES, moved / DISK)
            slowest = max(slowest, moved / NETWORK if machines > 1 else 0.0)
            prepare = START + slowest / machines + size * SELECT + VOCABULARY + size * last["store"] / DISK
            cells = [cell(prepare, machines * CORES * DOLLARS)]
            # Blocks are written and read, merged and read, and joined; then numbers of each n-gram, twice.
            ngrams = size * last["ngrams"]
            through = ngrams * (5 * NODE + 4 * VALUES)
            slowest = max(size * last["ngram"] / last["bytes"] / CORES, through / DISK)
            slowest = max(slowest, through / NETWORK if machines > 1 else 0.0)
            count = START + slowest / machines + ngrams * (NODE + VALUES) / DISK + ngrams * join
            cells.append(cell(count, machines * CORES * DOLLARS) if ngrams < NGRAMS else f"{'–':>19}")
            train = size / BYTES_A_TOKEN * FLOP_A_TOKEN / DEVICE / DEVICES / machines
            cells.append(cell(train, machines * DEVICES * DEVICE_DOLLARS))
            print(f"{spell(size):>8} {machines:9} " + " ".join(cells))


def cell(seconds: float, dollars_an_hour: float) -> str:
    return f"{clock(seconds):>9} ${seconds / 3600 * dollars_an_hour:>8,.2f}"


def spell(size: float) -> str:
    return f"{size / 1e12:g} TB" if size >= 1e12 else f"{size / 1e9:g} GB"


def clock(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2, 3, 7])
    parser.add_argument("--profile", type=int, metavar="MB")
    parser.add_argument("--child", nargs=4, metavar=("WHAT", "CORPUS", "FOLDER", "WORKERS"))
    chosen = parser.parse_args()
    if chosen.child:
        what, corpus, folder, workers = chosen.child
        child(what, Path(corpus), Path(folder), int(workers))
        return
    if not any((DATA / name).is_dir() for name in CORPORA):
        print(f"skipped: {DATA} is absent")
        return
    if chosen.profile:
        if "RAYON_NUM_THREADS" not in os.environ:  # which the library reads as it is loaded
            done = subprocess.run([sys.executable, *sys.argv], env=os.environ | ONE_THREAD, check=False)
            raise SystemExit(done.returncode)
        profile(chosen.profile)
        return
    rows = measure(chosen.megabytes, chosen.workers)
    if len({row["bytes"] for row in rows}) < 2 or max(chosen.workers) < 2:
        print("growth, and what more would cost, is told from two sizes and two workers on")
        return
    print(f"\ngrowth with size: prepare {exponent(rows, 'prepare')}, 5-gram {exponent(rows, 'ngram')}")
    simulate(rows)


if __name__ == "__main__":
    main()
