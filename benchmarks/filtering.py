"""How well `langue filter` tells good text from other text, and how fast: writes results/filtering.md.

    python benchmarks/filtering.py [--speed]

With `--speed` only the speed is told, and nothing written.
RFCs with 10 % Shakespeare mixed in, and Chinese news headlines with 10 % of a classical novel (of which no
line was trained on: the model of other text saw two other novels). As documents (lines gathered to 1,500
bytes) and as single lines (headlines; sentences of the novel), by the bits per byte of a 5-gram of good text
alone, and by the difference to those of a 5-gram of other text (Moore and Lewis 2010). AUC is the probability
that a good text ranks before another; 95 % intervals by bootstrap over texts.
"""

import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import zstandard

import langue

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
RESULTS = Path(__file__).with_name("results") / "filtering.md"
DOCUMENT = 1500  # bytes
MIXED = 0.1  # of the texts that are not good
TRAINED = 6_000_000  # characters of RFCs
HELD_OUT = 1_500_000
BOOTSTRAPS = 200
SPEED_BYTES = 8_000_000  # of JSON lines, by which the speed is told; models are loaded before

Lines = list[str]


def english() -> tuple[Lines, Lines, Lines, Lines]:
    """Lines of RFCs and of Shakespeare: to train on, and held out."""
    with zstandard.open(DATA / "rfc" / "rfc.txt.zst", "rt", encoding="utf-8") as file:
        text = file.read(TRAINED + HELD_OUT)
    plays = (DATA / "shakespeare" / "input.txt").read_text(encoding="utf-8")
    cut = len(plays) * 4 // 5
    parts = text[:TRAINED], text[TRAINED:], plays[:cut], plays[cut:]
    good, good_held, other, other_held = (
        [line for line in part.split("\n") if line.strip()] for part in parts
    )
    return good, good_held, other, other_held


def chinese() -> tuple[Lines, Lines, Lines, Lines]:
    """Headlines, and sentences of novels: to train on, and held out."""

    def headlines(name: str) -> Lines:
        lines = (DATA / "thucnews" / name).read_text(encoding="utf-8").splitlines()
        return [line.split("\t")[0] for line in lines if line.strip()]

    def sentences(name: str) -> Lines:
        text = (DATA / "chinese-classics" / name).read_text(encoding="utf-8").replace("\u3000", "")
        return [part.strip() for part in re.split(r"[。！？\r\n]+", text) if len(part.strip()) > 4]

    return (
        headlines("train.tsv"),
        headlines("test.tsv"),
        sentences("三国演义.txt") + sentences("红楼梦.txt"),
        sentences("水浒传.txt"),
    )


def gathered(lines: Sequence[str]) -> Iterator[str]:
    """Lines in documents of about so many bytes."""
    held: Lines = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line.encode()) + 1
        if size >= DOCUMENT:
            yield "\n".join(held)
            held, size = [], 0


def mixed(good: Sequence[str], other: Sequence[str], path: Path) -> None:
    """A pool of both as JSON lines, 90 % good, in an order drawn by a seed."""
    rng = np.random.default_rng(0)
    count = min(len(good), int(len(other) * (1 - MIXED) / MIXED))
    few = int(count * MIXED / (1 - MIXED))
    rows = [(text, True) for text in rng.permutation(np.array(good, object))[:count]]
    rows += [(text, False) for text in rng.permutation(np.array(other, object))[:few]]
    with path.open("w", encoding="utf-8") as file:
        for index in rng.permutation(len(rows)):
            file.write(
                json.dumps({"text": rows[index][0], "good": rows[index][1]}, ensure_ascii=False) + "\n"
            )


def auc(scores: np.ndarray, good: np.ndarray) -> float:
    """Probability that a good text has the lower score; half of the ties."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    n = int(good.sum())
    above = ranks[~good].sum() - (len(scores) - n) * (len(scores) - n + 1) / 2
    return float(above / (n * (len(scores) - n)))


def with_interval(scores: np.ndarray, good: np.ndarray) -> str:
    rng = np.random.default_rng(0)
    draws = (rng.integers(0, len(scores), len(scores)) for _ in range(BOOTSTRAPS))
    low, high = np.quantile([auc(scores[rows], good[rows]) for rows in draws], [0.025, 0.975])
    return f"{auc(scores, good):.4f} [{low:.4f}, {high:.4f}]"


def main() -> None:
    speed = "--speed" in sys.argv[1:]
    if not (DATA / "rfc").is_dir():
        print(f"needs the corpora of {DATA}")
        return
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for corpus, read in (("RFC, 10 % Shakespeare", english), ("news, 10 % novel (zh)", chinese)):
            good, good_held, other, other_held = read()
            tokenizer: str | None = None
            for kind, lines in (("good", good), ("other", other)):
                (folder / f"{kind}.txt").write_text("\n".join(lines), encoding="utf-8")
                more = {"file": tokenizer} if tokenizer else {"vocabulary": 8192}
                store = folder / f"{kind}-store"
                langue.prepare(
                    folder / f"{kind}.txt", store, duplicates="keep", near_duplicates="ignore",
                    overwrite=True, **more,
                )  # fmt: skip
                tokenizer = str(folder / "good-store" / "tokenizer.json")
                langue.train("ngram", store, folder / kind, order=5, overwrite=True)
            cuts = {} if speed else {"documents": gathered, "lines": list}
            pool, out = folder / "pool.jsonl", folder / "out.jsonl"
            for unit, cut in cuts.items():
                mixed(list(cut(good_held)), list(cut(other_held)), pool)
                for how, models in (("one model", {}), ("difference", {"other": folder / "other"})):
                    langue.filter(
                        pool, out, good=folder / "good", **models, score_field="score", overwrite=True
                    )
                    records = [json.loads(line) for line in out.open(encoding="utf-8")]
                    scores = np.array([record["score"] for record in records], float)
                    labels = np.array([record["good"] for record in records])
                    best = labels[np.argsort(scores, kind="stable")[: int(len(scores) * (1 - MIXED))]]
                    rows.append(
                        f"| {corpus} | {unit} | {len(records):,} | {how} | {with_interval(scores, labels)} "
                        f"| {1 - best.mean():.2%} |"
                    )
            lines = "".join(
                json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in gathered(good_held)
            )
            pool.write_text(lines * (SPEED_BYTES // len(lines.encode()) + 1), encoding="utf-8")
            good_model, other_model = langue.load(folder / "good"), langue.load(folder / "other")
            for how, models in (("one model", {}), ("difference", {"other": other_model})):
                begun = time.process_time()
                langue.filter(pool, out, good=good_model, **models, below=2.0, overwrite=True)
                used = time.process_time() - begun
                rate = pool.stat().st_size / 1e6 / used * 60
                rows.append(f"| {corpus} | speed | | {how} | {rate:.0f} MB of JSON lines a minute of CPU | |")
    head = [
        "| pool | texts | how many | ranked by | AUC | others left in the best 90 % |",
        "|---|---|---|---|---|---|",
    ]
    text = "\n".join(
        [
            "# Filtering by models of one's own text",
            "",
            "`python benchmarks/filtering.py`:",
            "",
            *head,
            *rows,
            "",
        ]
    )
    if not speed:
        RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
