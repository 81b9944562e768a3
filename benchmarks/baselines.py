"""Telling texts apart without a network: the baselines of `langue evaluate --train` on texts and on pairs.

    python benchmarks/baselines.py [sst2 thucnews mrpc afqmc lcqmc] [--only edits likeness]

Each learns from the whole training file and is measured on the whole test file; nothing is chosen by
either. LCQMC's dev part is learned from, AFQMC's is measured on. Of each, how far it lies above the words
(of pairs: the words that both texts have, and those that one has) is told with a paired interval. Beside
them, of texts, where the package `fasttext` is installed (any build of it), fastText's own program on the
same texts, words or characters between blanks, with the best by the dev part of six settings.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from langue.corpus.labeled import Example
from langue.tasks.baselines.baselines import BASELINES, OF_PAIRS, measure_baselines, percent, share

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SETTINGS = [(rate, epochs, grams) for rate in (0.1, 0.5) for epochs, grams in ((5, 2), (25, 2), (25, 3))]


PAIRS = {"mrpc": ("train", "test"), "afqmc": ("train", "dev"), "lcqmc": ("dev", "test")}


def examples(name: str, split: str) -> list[Example]:
    ending = "txt" if name == "sst2" else "tsv"
    lines = (DATA / name / f"{split}.{ending}").read_text(encoding="utf-8-sig").splitlines()
    if name == "sst2":
        rows = [line.split(" ", 1)[::-1] for line in lines]
    elif name == "mrpc":
        rows = [[*columns[3:5], columns[0]] for columns in (line.split("\t") for line in lines[1:])]
    else:
        rows = [line.rsplit("\t", 2 if name in PAIRS else 1) for line in lines]
    return [
        Example(tuple(texts), label, f"{split}, line {number}")
        for number, (*texts, label) in enumerate(rows, 1)
    ]


def fasttext(name: str, parts: dict[str, list[Example]]) -> None:
    """fastText's own program."""
    try:
        import fasttext as program
    except ImportError:
        print("  fastText       not installed")
        return
    spaced = {
        split: [" ".join(one.texts[0]) if name == "thucnews" else one.texts[0] for one in some]
        for split, some in parts.items()
    }
    answers = {split: np.array([f"__label__{one.label}" for one in some]) for split, some in parts.items()}
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "train.txt")
        lines = (f"{label} {text}\n" for label, text in zip(answers["train"], spaced["train"], strict=True))
        file.write_text("".join(lines), encoding="utf-8")
        best, right, chosen = -1.0, np.zeros(1, np.bool_), SETTINGS[0]
        for setting in SETTINGS:
            rate, epochs, grams = setting
            model = program.train_supervised(
                str(file), lr=rate, epoch=epochs, wordNgrams=grams, thread=1, verbose=0, seed=0
            )
            told = {split: [row[0] for row in model.predict(spaced[split])[0]] for split in ("dev", "test")}
            dev = float(np.mean(np.array(told["dev"]) == answers["dev"]))
            if dev > best:
                best, right, chosen = dev, np.array(told["test"]) == answers["test"], setting
    said = "rate {}, {} epochs, n-grams to {}".format(*chosen)
    print(
        f"  fastText       {percent(share(right))}   {time.process_time() - started:.0f} s   {said}",
        flush=True,
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("sets", nargs="*", default=["sst2", "thucnews", *PAIRS])
    options.add_argument("--only", nargs="+", help="of the baselines these, beside the words")
    given = options.parse_args()
    for name in given.sets:
        if not (DATA / name).is_dir():
            print(f"{name}: not in {DATA}, skipped")
            continue
        splits = PAIRS.get(name, ("train", "dev", "test"))
        learned, measured = splits[0], splits[-1]
        parts = {split: examples(name, split) for split in splits}
        print(
            f"{name}: {len(parts[learned]):,} to learn from, {len(parts[measured]):,} to measure on",
            flush=True,
        )
        words = np.zeros(1)
        for baseline in [*BASELINES, *(OF_PAIRS if name in PAIRS else [])]:
            if given.only and baseline not in ("words", *given.only):
                continue
            started = time.process_time()
            (result,) = measure_baselines(parts[learned], parts[measured], [baseline])
            seconds = time.process_time() - started
            right = result.right.astype(np.float64)
            words = right if baseline == "words" else words
            above = f"   above words {percent(share(right - words))}" if len(words) > 1 else ""
            print(f"  {baseline:14} {percent(result.accuracy)}   {seconds:.0f} s{above}", flush=True)
        if name not in PAIRS and not given.only:
            fasttext(name, parts)


if __name__ == "__main__":
    main()
