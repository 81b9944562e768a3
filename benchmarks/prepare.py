"""`langue prepare` against HF tokenizers alone: MB/s and peak memory, on the same text.

    python benchmarks/prepare.py [--runs 3] [rfc linux-doc]

Corpora are those of ../shared/data; one that is absent is skipped. Each figure is a process of its
own, and the two take turns. *ready*: a BPE of 16,384 entries is trained already, and the text is
encoded. *train*: the BPE is trained too; langue learns from its bounded sample of the documents, the
library from the text of all of them.

The library alone reads the file, cuts it at form feeds, encodes with `encode_batch_fast` and writes
the ids; langue also normalizes, drops and counts duplicates, splits, counts words and hashes files.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import zstandard
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import langue

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
VOCABULARY = 16_384
CHUNK = 1 << 20  # characters encoded at a time, as langue does


def documents(path: Path) -> Iterator[str]:
    """The documents of a packed file, separated by a line with a form feed or a record separator."""
    with zstandard.open(path, "rt", encoding="utf-8", newline="\n") as file:
        gathered: list[str] = []
        for line in file:
            if line.strip("\r\n") in ("\f", "\x1e"):
                yield "".join(gathered)
                gathered = []
            else:
                gathered.append(line)
        yield "".join(gathered)


def library(path: Path, folder: Path, ready: Path | None) -> None:
    """What one would write with the library alone."""
    if ready is not None:
        tokenizer = Tokenizer.from_file(str(ready))
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=["<eos>", "<pad>"],
            show_progress=False,
        )
        tokenizer.train_from_iterator(documents(path), trainer)
    with (folder / "ids").open("wb") as file:
        batch: list[str] = []
        held = 0
        for text in documents(path):
            batch.append(text)
            held += len(text)
            if held >= CHUNK:
                write(tokenizer, batch, file)
                batch, held = [], 0
        write(tokenizer, batch, file)


def write(tokenizer: Tokenizer, batch: list[str], file) -> None:
    for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
        file.write(np.array(encoding.ids, np.uint16).tobytes())


def prepare(path: Path, folder: Path, ready: Path | None) -> None:
    settings = {"file": str(ready)} if ready is not None else {"vocabulary": VOCABULARY}
    langue.prepare(path, folder / "store", documents="form-feed", **settings)


SIDES = {"langue": prepare, "library": library}


def child(side: str, path: Path, ready: Path | None) -> None:
    """One measured run; its figures as JSON on standard output."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        SIDES[side](path, Path(folder), ready)
        seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb()}))


def peak_mb() -> float:
    """Peak memory of this process. (`getrusage` would say its parent's where that had more.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(path: Path, ready: Path | None, runs: int) -> dict[str, dict[str, float]]:
    """Medians of each side, the two in turn."""
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(runs):
        for side in SIDES:
            command = [sys.executable, __file__, "--child", side, str(path)]
            command += ["--ready", str(ready)] if ready else []
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[side].append(json.loads(done.stdout.splitlines()[-1]))
    return {
        side: {key: statistics.median(run[key] for run in several) for key in several[0]}
        for side, several in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=["rfc", "linux-doc"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", choices=list(SIDES))
    parser.add_argument("--ready", type=Path)
    chosen = parser.parse_args()
    if chosen.child:
        child(chosen.child, Path(chosen.corpora[0]), chosen.ready)
        return
    print("corpus     BPE     MB    langue MB/s  peak MB    library MB/s  peak MB    time, langue / library")
    for name in chosen.corpora:
        path = DATA / name / f"{name}.txt.zst"
        if not path.exists():
            print(f"{name:10} skipped: {path.parent} is absent")
            continue
        megabytes = sum(len(text.encode()) for text in documents(path)) / 1e6
        with tempfile.TemporaryDirectory() as folder:
            langue.prepare(path, Path(folder) / "store", documents="form-feed", vocabulary=VOCABULARY)
            ready = Path(folder) / "store" / "tokenizer.json"
            for kind, tokenizer in (("ready", ready), ("train", None)):
                medians = measure(path, tokenizer, chosen.runs)
                ours, theirs = medians["langue"], medians["library"]
                print(
                    f"{name:10} {kind:6} {megabytes:4.0f}  "
                    f"{megabytes / ours['seconds']:11.1f} {ours['peak_mb']:8.0f}  "
                    f"{megabytes / theirs['seconds']:14.1f} {theirs['peak_mb']:8.0f}    "
                    f"{ours['seconds'] / theirs['seconds']:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
