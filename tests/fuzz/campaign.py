"""Random edits of everything that langue reads back, and what each came to.

    python -m tests.fuzz.campaign                     300 edits of every kind of artefact: `make fuzz`
    python -m tests.fuzz.campaign --edits 20 ngram    fewer, of one kind

An edit must be refused by a `LangueError`. One with its hashes made right may also pass, if the model still
answers in probabilities. No traceback, no signal, no end of patience, no memory without bound; and no edit
without right hashes may pass that changed anything.
"""

import argparse
import gzip
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.edits import DESCRIPTIONS, edit, make_right
from tests.models.made import MADE, make

DATA = Path(__file__).parents[1] / "compat" / "data"
PATIENCE = 120.0  # seconds for one folder; the longest honest one takes two
COMPILING = 1200.0  # for the first of a kind, for which code is compiled
MEGABYTES = 4096  # of a worker, beyond what it has when it begins
MODELS = (
    "ngram", "ngram-quantised", "ngram-entropy", "class-ngram", "markov", "infinigram", "loglinear", "hmm",
    "hmm-second", "neural-hmm", "crf", "crf-passes", "hmm-tagger", "rnn-tagger", "encoder-tagger", "mixture",
    "nplm", "rnn", "charcnn", "gpt2", "transformer", "bert2bert", "bert", "albert", "pair", "classifier",
)  # fmt: skip
STORES = ("bpe", "words", "whitespace", "bytes", "unigram", "wordpiece", "chars")


class Artefact(NamedTuple):
    kind: str  # what the worker does with it; "made": a model that is not kept, but trained for this
    name: str

    @property
    def folder(self) -> Path:
        return DATA / f"{self.kind}s" / (self.name if self.kind != "recipe" else "")


class Result(NamedTuple):
    artefact: str
    seed: int
    consistent: bool
    what: str  # was edited
    outcome: str  # fine, refused, or what is not allowed
    message: str


ARTEFACTS = {
    **{name: Artefact("model", name) for name in MODELS},
    **{f"store-{name}": Artefact("store", name) for name in STORES},
    **{name: Artefact("made", name) for name in MADE},
    "recipes": Artefact("recipe", "all"),
}


class Worker:
    """A process that uses folders, started anew when one of them ended it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.megabytes = 0

    def use(self, kind: str, path: Path, patience: float = PATIENCE) -> tuple[str, str]:
        if self.process is None:
            command = [sys.executable, "-m", "tests.fuzz.worker"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            self.process = subprocess.Popen(
                command, text=True, cwd=Path(__file__).parents[2], env=environment, **pipes
            )
            self.megabytes = 0
        process = self.process
        assert process.stdin and process.stdout
        process.stdin.write(f"{kind} {path}\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], patience)[0]:
            self.stop()
            return "no end", f"nothing within {patience:.0f} seconds"
        line = process.stdout.readline()
        if not line:
            code = process.wait()
            self.process = None
            return "signal", f"the process ended with {code}"
        answer = json.loads(line)
        grown = answer["megabytes"] - self.megabytes if self.megabytes else 0
        self.megabytes = self.megabytes or answer["megabytes"]
        if grown > MEGABYTES:
            self.stop()
            return "memory", f"{grown} megabytes"
        return answer["outcome"], answer["message"]

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    stream.close()
            self.process = None


def prepared(artefact: Artefact, to: Path) -> Path:
    """A copy with nothing packed, and with the digests of today."""
    folder = (
        make(artefact.name, to) if artefact.kind == "made" else Path(shutil.copytree(artefact.folder, to))
    )
    for path in folder.rglob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    make_right(folder)
    return folder


def changed(before: Path, after: Path) -> bool:
    """Whether anything differs but the layout of a description."""
    names = {path.relative_to(root) for root in (before, after) for path in root.rglob("*") if path.is_file()}
    for name in names:
        one, other = before / name, after / name
        if not (one.exists() and other.exists()):
            return True
        if one.read_bytes() != other.read_bytes():
            if name.name not in DESCRIPTIONS:
                return True
            try:
                if json.loads(one.read_bytes()) != json.loads(other.read_bytes()):
                    return True
            except (ValueError, RecursionError):
                return True
    return False


def campaign(names: list[str], edits: int, first: int = 0) -> Iterator[Result]:
    """Half of the edits have their hashes made right."""
    worker = Worker()
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            artefact = ARTEFACTS[name]
            original = prepared(artefact, Path(scratch) / name)
            outcome, message = worker.use(artefact.kind, original, COMPILING)
            if outcome != "fine":
                yield Result(name, -1, True, "nothing", f"{outcome} as it is", message)
                continue
            for seed in range(first, first + edits):
                consistent = bool(seed % 2)
                folder = Path(shutil.copytree(original, Path(scratch) / "edited"))
                # Other edits for each kind; whether the hashes are made right stays with the number.
                what = edit(folder, 2 * zlib.crc32(name.encode()) + seed, consistent=consistent)
                outcome, message = worker.use(artefact.kind, folder)
                hashed = artefact.kind != "recipe" and not consistent
                if outcome == "fine" and hashed and changed(original, folder):
                    outcome = "not seen"
                yield Result(name, seed, consistent, what, outcome, message)
                shutil.rmtree(folder)
    worker.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=list(ARTEFACTS), help=", ".join(ARTEFACTS))
    parser.add_argument("--edits", type=int, default=300, help="of each kind")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    current = ""
    for result in campaign(arguments.kinds, arguments.edits, arguments.first):
        if result.artefact != current:
            current = result.artefact
            print(f"{current} ...", flush=True)
        counts[result.outcome] += 1
        if result.outcome not in ("fine", "refused"):
            print(f"  {result.outcome}: seed {result.seed}, {result.what}\n    {result.message}", flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()))
    return int(bool(set(counts) - {"fine", "refused"}))


if __name__ == "__main__":
    sys.exit(main())
