"""Building a 5-gram beside `lmplz` at growing size: PTB to all English text at hand and a synthetic gigabyte.

    python benchmarks/growth.py [--kenlm DIR] [--ceiling 256] [ptb wikitext-2 rfc english synthetic]

Text in, a model on disk that is ready to score out: of langue in a warm process, of KenLM by `lmplz -S
1G` and `build_binary`, in turn, `--runs` times, medians; ratios of CPU time hold on a busy machine too.
`english` is all English text of ../shared/data. `synthetic` (--synthetic MB) walks through that text:
mostly from word to word, now and then on from another place where the same word stands, and each 500th
word is new, so that vocabulary and n-grams grow with the text. The last columns are what counting holds
of its own beside mapped files, without and with a ceiling of so many MB.
"""

import argparse
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numba
import numpy as np
import zstandard

from langue.interop.convert import train_text
from langue.models.counts.ngram import NGramConfig
from ngram import DATA, Bench, alternate, corpus_files, tool

SIZES = ("ptb", "wikitext-2", "rfc", "english", "synthetic")
ENGLISH = ("rfc/rfc.txt.zst", "linux-doc/linux-doc.txt.zst", "wikitext-2/train.txt", "ptb/train.txt")
BLOCK = 1 << 20  # tokens of the walk that are written at a time
LEAVE, NEW, LINE = 0.1, 0.002, 12  # chances of a jump and of a new word; words of a line


def english(folder: Path) -> Path:
    """All English text, a line of words between blanks each."""
    path = folder / "english.txt"
    with path.open("w", encoding="utf-8") as file:
        for name in ENGLISH:
            data = (DATA / name).read_bytes()
            if name.endswith(".zst"):
                data = zstandard.ZstdDecompressor().stream_reader(data).read()
            text = re.sub("[\\x00-\\x09\\x0b-\\x1f\\x7f]", " ", data.decode(errors="replace"))
            text = re.sub("<(/?s|unk)>", "UNKW", text)
            lines = (" ".join(line.split()) for line in text.split("\n"))
            file.writelines(f"{line}\n" for line in lines if line)
    return path


def synthetic(source: Path, path: Path, size: int) -> None:
    """A walk through the words of a text, of about so many bytes."""
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for lines in walk(source):
            written += file.write("\n".join(lines) + "\n")
            if written >= size:
                break


def walk(source: Path) -> Iterator[list[str]]:
    """Lines of a walk through the words of a text that does not end, so many at a time."""
    words = source.read_text(encoding="utf-8").split()
    spelled, ids = np.unique(np.array(words, object), return_inverse=True)
    order = np.argsort(ids, kind="stable")
    begins = np.searchsorted(ids[order], np.arange(len(spelled) + 1))
    draw, at, new = np.random.default_rng(0), 0, 0
    while True:
        walked = np.empty(BLOCK, np.int64)
        at = _walk(ids, order, begins, at, draw.random(BLOCK), draw.random(BLOCK), walked)
        texts = [spelled[id] for id in walked.tolist()]
        for index in np.flatnonzero(draw.random(BLOCK) < NEW).tolist():
            texts[index] = f"{texts[index]}{new}"
            new += 1
        yield [" ".join(texts[begin : begin + LINE]) for begin in range(0, BLOCK, LINE)]


@numba.njit
def _walk(ids, order, begins, at, leaving, choosing, walked):
    for index in range(len(walked)):
        if leaving[index] < LEAVE:
            low, high = begins[ids[at]], begins[ids[at] + 1]
            at = order[low + np.int64(choosing[index] * (high - low))]
        at = (at + 1) % len(ids)
        walked[index] = ids[at]
    return at


def measure(name: str, train: Path, folder: Path, tools: dict[str, str | None], runs: int, mb: int) -> None:
    bench = Bench(name, train, train, folder, tools, runs, 5)
    config = NGramConfig(order=5)
    sides: dict[str, Callable[[], object]] = {
        "langue": lambda: train_text(config, train, bench.model, overwrite=True)
    }
    if tools["lmplz"] and tools["build_binary"]:
        sides["kenlm"] = bench.by_kenlm
    took = alternate(sides, runs)
    tokens = sum(line.count(" ") + 2 for line in train.open(encoding="utf-8"))
    (folder / "tiny.txt").write_text("a b c\nb c a\n" * 20)
    peaks = (bench.child(train, ceiling) for ceiling in (0, mb))
    own = [found["own_peak_mb"] - found["own_before_mb"] for found in peaks]
    cells = [f"{took[side].wall:.1f} s, CPU {took[side].cpu:.1f}" for side in sides]
    ratio = took["langue"].against(took["kenlm"]) if "kenlm" in took else "–"
    print(
        f"| {name} | {train.stat().st_size / 1e6:.0f} MB, {tokens:,} tokens | {' | '.join(cells)} | {ratio} "
        f"| {own[0]:.0f} | {own[1]:.0f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=list(SIZES))
    parser.add_argument("--kenlm", type=Path, default=None)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--synthetic", type=int, default=1000, metavar="MB")
    parser.add_argument("--ceiling", type=int, default=256, metavar="MB")
    chosen = parser.parse_args()
    tools = {name: tool(name, chosen.kenlm) for name in ("lmplz", "build_binary", "query")}
    print(f"| text | size | langue | kenlm | times as fast | own MB | with {chosen.ceiling} |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm = folder / "warm.txt"
        warm.write_text("a b c\nb c a\n" * 20)
        train_text(NGramConfig(order=5), warm, folder / "warm", overwrite=True)
        for corpus in chosen.corpora:
            if corpus in ("english", "synthetic"):
                train = english(folder)
                if corpus == "synthetic":
                    source, train = train, folder / "synthetic.txt"
                    synthetic(source, train, chosen.synthetic * 1_000_000)
            elif files := corpus_files(corpus, folder):
                train = files[0]
            else:
                print(f"{corpus}: skipped, {DATA / corpus} is absent")
                continue
            measure(corpus, train, folder, tools, chosen.runs, chosen.ceiling)


if __name__ == "__main__":
    main()
