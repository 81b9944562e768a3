"""The n-gram engine against KenLM, side by side: perplexity, building, memory, scoring, distribution.

    python benchmarks/ngram.py [--kenlm DIR] [--runs 3] [--order 5] [--building] [ptb wikitext-2 rfc]

`lmplz`, `build_binary` and `query` are looked for in DIR, then on PATH; without them only the `kenlm`
module is measured against. Corpora are those of ../shared/data; one that is absent is skipped. The two
sides take turns, each figure is a median, and each ratio is of two figures of this run. `<unk>` is
renamed, for `lmplz` refuses it, and blank lines are removed. `-S 1G` is what suits `lmplz` best here.
"""

import argparse
import hashlib
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import kenlm as peer
import numpy as np
import zstandard

import langue
from langue.interop import kenlm
from langue.interop.convert import train_text
from langue.models.counts.ngram import NGramConfig

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TINY = "a b c\nb c a\n" * 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=["ptb", "wikitext-2", "rfc"])
    parser.add_argument("--kenlm", type=Path, default=None)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--building", action="store_true", help="and nothing else")
    parser.add_argument("--child", action="store_true")
    parser.add_argument("--ceiling", type=int, default=0)
    chosen = parser.parse_args()
    if chosen.child:
        child(Path(chosen.corpora[0]), Path(chosen.corpora[1]), chosen.order, chosen.ceiling)
        return
    tools = {name: tool(name, chosen.kenlm) for name in ("lmplz", "build_binary", "query")}
    missing = [name for name, path in tools.items() if path is None]
    if missing:
        print(f"not found, so not measured: {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for corpus in chosen.corpora:
            texts = corpus_files(corpus, folder)
            if texts:
                bench = Bench(corpus, *texts, folder, tools, chosen.runs, chosen.order)
                bench.building() if chosen.building else bench.run()
            else:
                print(f"{corpus}: skipped, {DATA / corpus} is absent")


def tool(name: str, folder: Path | None) -> str | None:
    return shutil.which(name, path=f"{folder}{os.pathsep}{os.environ['PATH']}" if folder else None)


def corpus_files(corpus: str, folder: Path) -> tuple[Path, Path] | None:
    """Training text, and a text to score: the test set, or for rfc another corpus."""
    found = []
    pairs = {"rfc": ("rfc/rfc.txt.zst", "linux-doc/linux-doc.txt.zst")}
    for place in pairs.get(corpus, (f"{corpus}/train.txt", f"{corpus}/test.txt")):
        path = DATA / place
        if not path.exists():
            return None
        data = path.read_bytes() if path.suffix == ".txt" else zstandard.open(path, "rb").read()
        text = re.sub("[\\x00-\\x09\\x0b-\\x1f\\x7f]", " ", data.decode(errors="replace"))
        text = re.sub("<(/?s|unk)>", "UNKW", text)
        lines = (" ".join(line.split()) for line in text.split("\n"))
        cleaned = folder / f"{corpus}-{len(found)}.txt"
        cleaned.write_text("".join(f"{line}\n" for line in lines if line))
        found.append(cleaned)
    return found[0], found[1]


class Timing(NamedTuple):
    """Seconds on the clock and of all cores; on a busy machine only the second is worth comparing."""

    wall: float
    cpu: float

    def against(self, other: "Timing") -> str:
        """How many times faster than another."""
        return f"{other.wall / self.wall:5.2f} x ({other.cpu / self.cpu:5.2f} x in CPU time)"


class Bench:
    """All measurements on one corpus."""

    def __init__(
        self,
        name: str,
        train: Path,
        test: Path,
        folder: Path,
        tools: dict[str, str | None],
        runs: int,
        order: int,
    ) -> None:
        self.name, self.train, self.test, self.folder = name, train, test, folder
        self.tools, self.runs, self.order = tools, runs, order
        self.binary = folder / f"{name}.bin"
        self.model = folder / f"{name}.model"

    def run(self) -> None:
        self.building()
        ours = kenlm.Model(self.model)
        size = sum(array.nbytes for array in ours.tables)
        ngrams = len(ours.tables.suffix)
        print(f"model      {ngrams:,} n-grams, {size / 1e6:.1f} MB, {size / ngrams:.2f} bytes an n-gram")
        self.quantized()
        if all(self.tools.values()):
            self.pruned()
        self.memory(size)
        if self.tools["query"] and self.binary.exists():
            self.scoring(ours)
        if self.tools["lmplz"]:
            self.module(ours)

    def building(self) -> None:
        """Text to a model on disk that is ready to score: in a warm process, and as a whole process."""
        words = sum(len(line.split()) + 1 for line in self.train.open())
        print(f"\n== {self.name}: {words:,} tokens to train on, order {self.order}")
        config = NGramConfig(order=self.order)
        train_text(config, self.train, self.model, overwrite=True)  # warm
        command = [sys.executable, "-m", "langue", "train", "ngram", str(self.train), "-o", str(self.model)]
        command += ["--set", f"order={self.order}", "--overwrite", "--quiet"]
        sides: dict[str, Callable[[], object]] = {
            "in process": lambda: train_text(config, self.train, self.model, overwrite=True),
            "as a process": lambda: subprocess.run(command, check=True),
        }
        if self.tools["lmplz"] and self.tools["build_binary"]:
            sides["kenlm"] = self.by_kenlm
        seconds = alternate(sides, self.runs)
        with tempfile.TemporaryDirectory() as cache:
            fresh = {**os.environ, "NUMBA_CACHE_DIR": cache}
            cold = alternate({"cold": lambda: subprocess.run(command, check=True, env=fresh)}, 1)["cold"]
        theirs = seconds.get("kenlm")
        for side, took in seconds.items():
            ratio = took.against(theirs) if theirs and side != "kenlm" else ""
            print(f"build      {side:13} {took.wall:7.2f} s, CPU {took.cpu:6.2f} s  {ratio}")
        print(f"build      the first time of all, nothing compiled: {cold.wall:.2f} s, CPU {cold.cpu:.2f} s")

    def by_kenlm(self) -> None:
        subprocess.run(
            f"{self.tools['lmplz']} -o {self.order} -S 1G -T {self.folder}/ < {self.train} | "
            f"{self.tools['build_binary']} probing /dev/stdin {self.binary}",
            shell=True, check=True, capture_output=True,
        )  # fmt: skip

    def pruned(self) -> None:
        """N-grams left and perplexity, pruned by counts, against `lmplz --prune`."""
        for prune in ((0, 0, 1), (0, 1, 2)):
            folder, binary = self.folder / f"{self.name}.pruned", self.folder / f"{self.name}.pruned.bin"
            train_text(NGramConfig(order=self.order, prune=prune), self.train, folder, overwrite=True)
            model = kenlm.Model(folder)
            own = model.query(self.test.read_bytes()).perplexity
            subprocess.run(
                f"{self.tools['lmplz']} -o {self.order} --prune {' '.join(map(str, prune))} -S 1G "
                f"-T {self.folder}/ < {self.train} | "
                f"{self.tools['build_binary']} probing /dev/stdin {binary}",
                shell=True, check=True, capture_output=True,
            )  # fmt: skip
            figure = including_oovs(query_output(str(self.tools["query"]), binary, self.test))
            print(
                f"pruned     {prune}: {len(model.tables.suffix):,} n-grams left, perplexity {own:.7f}  "
                f"KenLM {figure:.7f}  relative {own / figure - 1:+.1e}"
            )

    def quantized(self) -> None:
        """What 8-bit codes save, and what they cost."""
        folder = self.folder / f"{self.name}.quantized"
        train_text(NGramConfig(order=self.order, quantize=True), self.train, folder, overwrite=True)
        model, data = kenlm.Model(folder), self.test.read_bytes()
        size, ngrams = sum(array.nbytes for array in model.tables), len(model.tables.suffix)
        exact, found = kenlm.Model(self.model).query(data).perplexity, model.query(data).perplexity
        print(
            f"quantized  {size / 1e6:.1f} MB, {size / ngrams:.2f} bytes an n-gram, perplexity {found:.4f}: "
            f"{found / exact - 1:+.2%}"
        )
        if all(self.tools.values()):
            self.quantized_by_kenlm()

    def quantized_by_kenlm(self) -> None:
        """The same by KenLM, and what its probabilities sum to over all words, in contexts of the test."""
        binary = self.folder / f"{self.name}.quantized.bin"
        subprocess.run(
            f"{self.tools['lmplz']} -o {self.order} -S 1G -T {self.folder}/ --skip_symbols < {self.train} | "
            f"{self.tools['build_binary']} -q 8 -b 8 trie /dev/stdin {binary}",
            shell=True, check=True, capture_output=True,
        )  # fmt: skip
        figure = including_oovs(query_output(str(self.tools["query"]), binary, self.test))
        theirs = peer.Model(str(binary))
        words = sorted({word for line in self.train.open() for word in line.split()} | {"</s>", "<unk>"})
        lines = [line.split() for line in self.test.open() if len(line.split()) >= self.order]
        sums = []
        for line in lines[:: max(len(lines) // 60, 1)]:
            state, after = peer.State(), peer.State()
            theirs.BeginSentenceWrite(state)
            for word in line[: self.order - 1]:
                theirs.BaseScore(state, word, after)
                state, after = after, state
            sums.append(sum(10 ** theirs.BaseScore(state, word, after) for word in words))
        above = sum(value > 1.0001 for value in sums)
        print(
            f"quantized  by KenLM: perplexity {figure:.4f}; of {len(sums)} contexts {above} sum to more than "
            f"one, to {max(sums):.4f}"
        )

    def memory(self, size: int) -> None:
        """Peak of building above what the interpreter and the compiled code take by themselves; and with
        a ceiling, what counting holds beside mapped files, which the system takes back when it must."""
        tiny = self.folder / "tiny.txt"
        tiny.write_text(TINY)
        peaks = [self.child(text)["peak_mb"] for text in (tiny, self.train)]
        above = peaks[1] - peaks[0]
        ratio = above * 1e6 / size
        print(f"memory     {peaks[1]:.0f} MB, {above:.0f} above the interpreter: {ratio:.2f} x the model")
        store = self.folder / f"{self.name}.store"
        files = {"valid": [self.test], "test": [self.test]}
        langue.prepare(
            self.train, store, documents="line", kind="whitespace", duplicates="keep",
            near_duplicates="ignore", **files,
        )  # fmt: skip
        for source, data in (("text", self.train), ("store", store)):
            for ceiling in (0, 64):
                found = self.child(data, ceiling)
                own = found["own_peak_mb"] - found["own_before_mb"]
                label = f"ceiling {ceiling} MB" if ceiling else "no ceiling"
                print(f"memory     from a {source}, {label}: {own:.0f} MB of its own, {found['digest']}")

    def child(self, text: Path, ceiling: int = 0) -> dict[str, float]:
        command = [sys.executable, __file__, "--child", str(text), str(self.folder / "child")]
        command += ["--order", str(self.order), "--ceiling", str(ceiling)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found

    def scoring(self, ours: kenlm.Model) -> None:
        """Text in, perplexity out, on texts that differ: the test text, and the training text."""
        for label, path in (("test", self.test), ("train", self.train)):
            data = path.read_bytes()
            found = ours.query(data)
            theirs_output = {}

            def query(path: Path = path, output: dict = theirs_output) -> None:  # type: ignore[type-arg]
                output["text"] = query_output(str(self.tools["query"]), self.binary, path)

            seconds = alternate(
                {
                    "query": query,
                    "1 thread": lambda data=data: ours.query(data, threads=1),
                    "2 threads": lambda data=data: ours.query(data, threads=2),
                },
                self.runs,
            )
            figure, own = including_oovs(theirs_output["text"]), found.perplexity
            print(f"perplexity {label:5} {own:.7f}  KenLM {figure:.7f}  relative {own / figure - 1:+.1e}")
            for side, took in seconds.items():
                ratio = "" if side == "query" else took.against(seconds["query"])
                speed = f"{found.tokens / took.wall / 1e6:6.2f} M tokens/s"
                print(f"score      {label:5} {side:10} {speed}  {ratio}")

    def module(self, ours: kenlm.Model) -> None:
        """A list of sentences, and the whole distribution of the next word, against the kenlm module."""
        theirs = peer.Model(str(self.binary))
        lines = self.test.read_text().split("\n")[:100_000]
        seconds = alternate(
            {
                "module": lambda: [theirs.score(line) for line in lines],
                "langue": lambda: ours.scores(lines),
            },
            self.runs,
        )
        differ = np.abs(ours.scores(lines) - [theirs.score(line) for line in lines])
        tokens = sum(len(line.split()) + 1 for line in lines)
        per_token = differ / [len(line.split()) + 1 for line in lines]
        print(
            f"sentences  {tokens / seconds['langue'].wall / 1e6:.2f} M tokens/s, module "
            f"{tokens / seconds['module'].wall / 1e6:.2f}: {seconds['langue'].against(seconds['module'])}; "
            f"largest log10 difference a token {per_token.max():.1e}"
        )
        vocabulary = [ours.vocabulary[id].decode() for id in range(len(ours.vocabulary) - 1)]
        context = lines[len(lines) // 2].split()[:4]
        state, after = peer.State(), peer.State()
        theirs.BeginSentenceWrite(state)
        for word in context:
            theirs.BaseScore(state, word, after)
            state, after = after, state
        ids = [ours.vocabulary.id(word.encode()) for word in context]
        decoder = ours._model.decoder([np.array([ours.unknown if id < 0 else id for id in ids])])
        seconds = alternate(
            {
                "module": lambda: [theirs.BaseScore(state, word, after) for word in vocabulary],
                "langue": lambda: [decoder.log_probs() for _ in range(100)],
            },
            self.runs,
        )
        row = decoder.log_probs()[0]
        once = Timing(*(value / 100 for value in seconds["langue"]))
        total = np.exp(row.astype(float)).sum()
        print(
            f"next       {once.wall * 1e6:.0f} us over {len(vocabulary):,} words, a BaseScore loop "
            f"{seconds['module'].wall * 1e6:.0f}: {once.against(seconds['module'])}; sums to {total:.7f}"
        )


def query_output(query: str, binary: Path, text: Path) -> str:
    """What KenLM's `query` says of a text."""
    command = [query, "-v", "summary", str(binary)]
    with text.open("rb") as file:
        return subprocess.run(command, stdin=file, capture_output=True, text=True, check=True).stdout


def including_oovs(output: str) -> float:
    return float(output.split("including OOVs:\t")[1].split()[0])


def alternate(sides: dict[str, Callable[[], object]], runs: int) -> dict[str, Timing]:
    """Medians of each side, the sides in turn."""
    took: dict[str, list[Timing]] = {side: [] for side in sides}
    for _ in range(runs):
        for side, work in sides.items():
            wall, cpu = time.perf_counter(), cpu_seconds()
            work()
            took[side].append(Timing(time.perf_counter() - wall, cpu_seconds() - cpu))
    return {
        side: Timing(*(statistics.median(values) for values in zip(*times, strict=True)))
        for side, times in took.items()
    }


def cpu_seconds() -> float:
    """Of this process and of those it has waited for."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def child(text: Path, output: Path, order: int, ceiling: int) -> None:
    """Build in a process of its own, and say what memory it took."""
    (output.parent / "warm.txt").write_text(TINY)
    train_text(NGramConfig(order=order), output.parent / "warm.txt", output, overwrite=True)
    before, peak, done = own_mb(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, own_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    langue.train("ngram", text, output, overwrite=True, order=order, memory=ceiling)
    done.set()
    watcher.join()
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(output.glob("*.npy")))).hexdigest()
    found = {"peak_mb": memory_mb("VmHWM"), "own_before_mb": before, "own_peak_mb": peak}
    print(json.dumps({**found, "digest": f"tables {digest[:12]}"}))


def own_mb() -> float:
    """What the process holds beside mapped files."""
    return memory_mb("RssAnon") + memory_mb("RssShmem")


def memory_mb(what: str) -> float:
    return int(Path("/proc/self/status").read_text().split(f"{what}:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
