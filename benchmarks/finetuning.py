"""Was the pretrained network worth it? Learning curves from pretraining and from random weights.

    python benchmarks/finetuning.py [sst2 mrpc thucnews afqmc lcqmc] [--labels 50 500 5000] [--seeds 3]
        [--steps 2000] [--encoder FOLDER]

A small BERT of each language learns from text at hand without labels: English from WikiText-2 and the texts
of SST-2 and MRPC, Chinese from those of THUCNews, AFQMC and LCQMC, training parts only. It is fine-tuned on
so many labels, and so is the same network from random weights; mean and standard deviation over the seeds,
each the epoch that is best on a validation part no larger than the training part. Beside them stand the
baselines without a network on the same labels (of which the best is told by the test part: in their favor).
All are measured on the same examples of the test part, at most `--test`. MRPC has 3,576 labels at most;
LCQMC's dev part is learned from, AFQMC's is measured on. --encoder takes another encoder for English sets,
such as one that was imported.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

import langue
from langue.corpus.labeled import read_labeled
from langue.tasks.baselines.baselines import measure_baselines

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
ENGLISH, CHINESE = ("sst2", "mrpc"), ("thucnews", "afqmc", "lcqmc")
PAIRS = ("mrpc", "afqmc", "lcqmc")
SHAPE = {"layers": 2, "width": 192, "heads": 3, "context": 128, "dropout": 0.1}
TASK = {"sentence_pairs": "none", "attention": "disentangled", "mlm_probability": 0.25}
TRAINING = {"batch_tokens": 2048, "optimizer": "muon", "learning_rate": 4e-3, "schedule": "linear"}
PARTS = ("train", "dev", "test")
VALID = 500  # examples, at most
RATE = 5e-4
EPOCHS = ((100, 20), (1000, 8), (10**9, 3))  # up to so many labels

Row = tuple[str, ...]  # one text or two, and the label


def lines(*names: str) -> list[str]:
    return DATA.joinpath(*names).read_text(encoding="utf-8-sig").splitlines()


def read(name: str) -> tuple[list[Row], list[Row], list[Row]]:
    """What is learned from, what chooses the epoch, and what is measured on."""
    if name == "sst2":
        return tuple([row(line.split(" ", 1), 1, 0) for line in lines(name, f"{part}.txt")] for part in PARTS)
    if name == "mrpc":
        train, test = (
            [row(line.split("\t"), 3, 4, 0) for line in lines(name, f"{part}.tsv")[1:]]
            for part in ("train", "test")
        )
        return train[:-VALID], train[-VALID:], test
    if name == "thucnews":
        return tuple([tuple(line.rsplit("\t", 1)) for line in lines(name, f"{part}.tsv")] for part in PARTS)
    learned, measured = ("train", "dev") if name == "afqmc" else ("dev", "test")
    train, test = (
        [tuple(line.split("\t")) for line in lines(name, f"{part}.tsv")] for part in (learned, measured)
    )
    return train[:-VALID], train[-VALID:], test


def row(columns: list[str], *which: int) -> Row:
    return tuple(columns[index].strip() for index in which)


def spread_out(rows: list[Row], count: int) -> list[Row]:
    """So many of them, in an order that no one chose."""
    return [rows[index] for index in np.random.default_rng(0).permutation(len(rows))[:count]]


def write(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join("\t".join(one) + "\n" for one in rows), encoding="utf-8")
    return path


def pretrained(language: str, folder: Path, steps: int) -> Path:
    """A BERT of the training texts of a language's sets, without their labels."""
    names = ENGLISH if language == "english" else CHINESE
    texts = [text for name in names for one in read(name)[0] for text in one[:-1]]
    if language == "english":
        texts += [line.strip() for line in lines("wikitext-2", "train.txt") if line.strip()]
    (folder / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    kind = {"kind": "bpe"} if language == "english" else {"kind": "chars"}
    langue.prepare(folder / "texts.txt", folder / "store", documents="line", vocabulary=6000, **kind)
    langue.train("bert", folder / "store", folder / "bert", **SHAPE, **TASK, steps=steps, **TRAINING)
    return folder / "bert"


class Cell(NamedTuple):
    """A set with so many labels: shares of right answers."""

    name: str
    labels: int
    majority: float
    baseline: str
    best: float
    random: list[float]
    pretrained: list[float]

    @property
    def worth(self) -> bool:
        """Whether pretraining gains more than both spreads."""
        gain = np.mean(self.pretrained) - np.mean(self.random)
        return bool(gain > max(np.std(self.pretrained, ddof=1), np.std(self.random, ddof=1)))

    def __str__(self) -> str:
        def told(values: list[float]) -> str:
            return f"{np.mean(values):.1%} ± {np.std(values, ddof=1):.1%}"

        marks = "yes" if self.worth else "no", "yes" if np.mean(self.pretrained) > self.best else "no"
        cells = (self.name, f"{self.labels:,}", f"{self.majority:.1%}", f"{self.best:.1%} {self.baseline}")
        return "| " + " | ".join([*cells, told(self.random), told(self.pretrained), *marks]) + " |"


def cells(encoder: Path, name: str, folder: Path, chosen: argparse.Namespace) -> Iterator[Cell]:
    train, valid, test = read(name)
    for count in sorted({min(labels, len(train)) for labels in chosen.labels}):
        files = {
            "data": write(folder / "train.tsv", spread_out(train, count)),
            "valid": write(folder / "valid.tsv", spread_out(valid, min(count, VALID))),
            "test": write(folder / "test.tsv", spread_out(test, chosen.test)),
        }
        width = 2 if name in PAIRS else 1
        learned, measured = (read_labeled(files[part], texts=width) for part in ("data", "test"))
        results = {one.name: one.accuracy.value for one in measure_baselines(learned, measured)}
        best = max(results, key=lambda one: results[one])
        shares = {}
        for init in ("random", "pretrained"):
            result = langue.finetune(
                encoder,
                output=folder / f"{name}-{count}-{init}",
                task="pair" if width == 2 else "classify",
                init=init,
                epochs=next(epochs for most, epochs in EPOCHS if count <= most),
                batch_size=8 if count <= 100 else 32,
                seeds=chosen.seeds,
                learning_rate=chosen.rate,
                **files,
            )
            shares[init] = [scores.accuracy for scores in result.test]
        yield Cell(
            name, count, results["majority"], best, results[best], shares["random"], shares["pretrained"]
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("sets", nargs="*", default=[*ENGLISH, *CHINESE])
    options.add_argument("--labels", type=int, nargs="+", default=[50, 500, 5000])
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--steps", type=int, default=2000, help="of pretraining")
    options.add_argument("--test", type=int, default=2000, help="examples to measure on, at most")
    options.add_argument("--rate", type=float, default=RATE, help="learning rate of fine-tuning")
    options.add_argument("--encoder", type=Path, help="of English, instead of one that is pretrained here")
    chosen = options.parse_args()
    print(f"a BERT of {SHAPE}, {TASK}, {chosen.steps} steps of {TRAINING}; fine-tuned at {chosen.rate}\n")
    print("| set | labels | majority | best baseline | random | pretrained | worth it | above the baseline |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    done = []
    with tempfile.TemporaryDirectory() as temporary:
        for language, sets in (("english", ENGLISH), ("chinese", CHINESE)):
            if not (asked := [name for name in sets if name in chosen.sets and (DATA / name).is_dir()]):
                continue
            folder = Path(temporary, language)
            folder.mkdir()
            encoder = chosen.encoder if language == "english" else None
            encoder = encoder or pretrained(language, folder, chosen.steps)
            for name in asked:
                for cell in cells(encoder, name, folder, chosen):
                    done.append(cell)
                    print(cell, flush=True)
    worth = sum(cell.worth for cell in done)
    above = sum(np.mean(cell.pretrained) > cell.best for cell in done)
    print(f"\npretraining was worth more than the spread in {worth} of {len(done)} cells;")
    print(f"the network lies above the best baseline in {above}")


if __name__ == "__main__":
    main()
