"""Was the pretrained network worth it? Learning curves from pretraining and from random weights.

    python benchmarks/finetuning.py FOLDER [sst2 mrpc thucnews afqmc lcqmc] [--frozen] [--encoder MODEL]
        [--labels 50 500 5000] [--seeds 3] [--steps 5000]

A small BERT of each language learns from text at hand without labels: English from WikiText-2 and the texts
of SST-2 and MRPC, Chinese from those of THUCNews, AFQMC and LCQMC, training parts only, by masked words and
next-sentence prediction on documents of two sentences: the pairs as they are, and texts beside a noised
copy of themselves. It is fine-tuned on so many labels, and so is the same network from random weights; mean
and standard deviation over the seeds, each the epoch that is best on a validation part no larger than the
training part. With --frozen nothing of it is tuned: `langue evaluate --probe --labels`, a linear probe on
the last layer, with as many draws of the labels, out of at most 10,000. Beside them stand the baselines
without a network on the same labels (of which the best is told by the test part: in their favor). All are
measured on the same examples of the test part, at most `--test`. Accuracy decides for SST-2, THUCNews and
LCQMC, whose labels are as frequent as one another; macro-F1 for MRPC and AFQMC: of their examples 67 and 69
of a hundred have one label, so that of few labels the best accuracy is to say it always, and GLUE tells F1
of MRPC; in fine-tuning their labels weigh alike. Both figures are printed of all. Rates and epochs of fine-
tuning are langue's own for the width and the labels, on both sides; of an imported encoder, which takes a
hundred times as long, there are fewer epochs. MRPC has 3,576 labels at most; LCQMC's dev part is learned
from, AFQMC's is measured on. --encoder takes another encoder for English sets, of langue or of Hugging
Face. FOLDER keeps what is done: the same command goes on after a stop.
"""

import argparse
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import langue
from langue.corpus.labeled import read_labeled
from langue.tasks.baselines.baselines import measure_baselines
from langue.tasks.learning_curve import exceeds

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
ENGLISH, CHINESE = ("sst2", "mrpc"), ("thucnews", "afqmc", "lcqmc")
PAIRS = ("mrpc", "afqmc", "lcqmc")
SHAPE = {
    "layers": 2, "width": 192, "heads": 3, "context": 64, "dropout": 0.1, "attention": "disentangled",
}  # fmt: skip
TASK = {"sentence_pairs": "next_sentence", "mlm_probability": 0.15}
DELETED = 0.15  # of the words of a noised copy
TRAINING = {"batch_tokens": 2048, "optimizer": "muon", "learning_rate": 4e-3, "schedule": "linear"}
PARTS = ("train", "dev", "test")
VALID = 500  # examples, at most
POOL = 10_000  # that draws of labels are made of
EPOCHS = ((100, 10), (1000, 5), (10**9, 1))  # of an imported encoder, up to so many labels
UNBALANCED = ("mrpc", "afqmc")  # whose labels weigh alike, and whose macro-F1 decides

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


def spread_out(rows: list[Any], count: int) -> list[Any]:
    """So many of them, in an order that no one chose."""
    return [rows[index] for index in np.random.default_rng(0).permutation(len(rows))[:count]]


def write(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join("\t".join(one) + "\n" for one in rows), encoding="utf-8")
    return path


def pretrained(language: str, folder: Path, steps: int) -> Path:
    """A BERT of the training texts of a language's sets, without their labels."""
    names = ENGLISH if language == "english" else CHINESE
    documents = two_sentences([one[:-1] for name in names for one in read(name)[0]], language)
    if language == "english":
        documents += [line.strip() for line in lines("wikitext-2", "train.txt") if line.strip()]
    all_texts, store, bert = (folder / name for name in ("texts.txt", "store", "bert"))
    all_texts.write_text("\n".join(documents), encoding="utf-8")
    kind = {"kind": "bpe"} if language == "english" else {"kind": "chars"}
    if not store.exists():
        langue.prepare(all_texts, store, documents="line", vocabulary=6000, **kind)
    if not bert.exists():
        langue.train("bert", store, bert, **SHAPE, **TASK, steps=steps, **TRAINING, resume=True)
    return bert


def two_sentences(examples: list[Row], language: str) -> list[str]:
    """Documents that next-sentence prediction learns from which sentences say the same: each is a pair as a
    set gives it, or a text and a noised copy of it (words deleted and reordered, Wu et al. 2020, CLEAR)."""
    order = np.random.default_rng(0)
    stop, join = (".", " ") if language == "english" else ("。", "")

    def one_sentence(text: str) -> str:
        """Without ends, so that a document is split where two are joined."""
        return re.sub(r"[。！？?!….\s]+", join or "，", text).strip(" ，")

    def document(one: str, other: str) -> str:
        return one_sentence(one) + stop + join + one_sentence(other) + stop

    def noised(text: str) -> str:
        words = text.split() if join else list(text)
        kept = [word for word in words if order.random() > DELETED] or words
        if len(kept) > 4 and order.random() < 0.5:
            at = int(order.integers(1, len(kept)))
            kept = kept[at:] + kept[:at]
        return join.join(kept)

    documents = [document(*pair) for pair in examples if len(pair) == 2]
    documents += [document(text, noised(one_sentence(text))) for example in examples for text in example]
    return [documents[index] for index in order.permutation(len(documents))]


class Cell(NamedTuple):
    """A set with so many labels: of every seed, accuracy and macro-F1."""

    name: str
    labels: int
    baselines: dict[str, float]  # accuracy
    random: list[tuple[float, float]]
    pretrained: list[tuple[float, float]]

    def worth(self, figure: int) -> bool:
        """Whether pretraining gains more than either spread, in accuracy (0) or macro-F1 (1)."""
        return exceeds(*([one[figure] for one in some] for some in (self.pretrained, self.random)))

    @property
    def decided(self) -> bool:
        """Whether it does so in the figure that decides."""
        return self.worth(int(self.name in UNBALANCED))

    @property
    def above(self) -> bool:
        return bool(np.mean([one[0] for one in self.pretrained]) > max(self.baselines.values()))

    def __str__(self) -> str:
        best = max(self.baselines, key=lambda one: self.baselines[one])
        cells = [self.name, f"{self.labels:,}", f"{self.baselines['majority']:.1%}"]
        cells.append(f"{self.baselines[best]:.1%} {best}")
        for figure in (0, 1):
            for some in (self.random, self.pretrained):
                values = [one[figure] for one in some]
                cells.append(f"{np.mean(values):.1%} ± {np.std(values, ddof=1):.1%}")
        verdicts = (self.worth(0), self.worth(1), self.above)
        return "| " + " | ".join([*cells, *("yes" if one else "no" for one in verdicts)]) + " |"


def files_of(name: str, folder: Path, count: int, test: int) -> dict[str, Path]:
    """Of a set, files with so many labels to learn from, and what else is needed."""
    train, valid, measured = read(name)
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "data": write(folder / "train.tsv", spread_out(train, count)),
        "valid": write(folder / "valid.tsv", spread_out(valid, min(count, VALID))),
        "test": write(folder / "test.tsv", spread_out(measured, test)),
    }


def probed(encoder: Path, name: str, folder: Path, chosen: argparse.Namespace) -> Iterator[Cell]:
    files = files_of(name, folder / name, POOL, chosen.test)
    model = langue.MaskedModel.load(encoder)
    curve = model.learning_curve(files["data"], files["test"], chosen.labels, draws=chosen.seeds)
    for point in curve.points:
        baselines = {one: float(np.mean(values)) for one, values in point.baselines.items()}
        random, trained = (
            [(one.accuracy, one.macro_f1) for one in some] for some in (point.random, point.pretrained)
        )
        yield Cell(name, point.labels, baselines, random, trained)


def tuned(encoder: Path, name: str, folder: Path, chosen: argparse.Namespace) -> Iterator[Cell]:
    total, width = len(read(name)[0]), 2 if name in PAIRS else 1
    imported = is_imported(name, chosen)
    for count in sorted({min(labels, total) for labels in chosen.labels}):
        own = folder / f"{name}-{count}"
        files = files_of(name, own, count, chosen.test)
        learned, measured = (read_labeled(files[part], texts=width) for part in ("data", "test"))
        baselines = {one.name: one.accuracy.value for one in measure_baselines(learned, measured)}

        def scores(init: str, files: dict[str, Path] = files, own: Path = own, count: int = count) -> Any:
            result = langue.finetune(
                encoder,
                output=own / init,
                task="pair" if width == 2 else "classify",
                init=init,
                epochs=next(epochs for most, epochs in EPOCHS if count <= most) if imported else 0,
                batch_size=8 if count <= 100 else 32,
                seeds=chosen.seeds,
                learning_rate=chosen.rate,
                class_weights="balanced" if name in UNBALANCED else "none",
                overwrite=True,
                **files,
            )
            return [(one.accuracy, one.macro_f1) for one in result.test]

        told = [
            kept(own / f"{init}.json", name, chosen, partial(scores, init))
            for init in ("random", "pretrained")
        ]
        yield Cell(name, count, baselines, *told)


def is_imported(name: str, chosen: argparse.Namespace) -> bool:
    """Whether the encoder of a set was pretrained elsewhere."""
    return chosen.encoder is not None and name in ENGLISH


def kept(file: Path, name: str, chosen: argparse.Namespace, make: Callable[[], Any]) -> Any:
    """What an earlier run with the same options has made, or else now."""
    other = ("folder", "sets", "labels", "steps" if is_imported(name, chosen) else "encoder")
    asked = {key: str(value) for key, value in vars(chosen).items() if key not in other}
    held = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if held.get("asked") != asked:
        held = {"asked": asked, "made": make()}
        file.write_text(json.dumps(held), encoding="utf-8")
    return held["made"]


def encoder_of(language: str, folder: Path, chosen: argparse.Namespace) -> Path:
    if language != "english" or chosen.encoder is None:
        return pretrained(language, folder, chosen.steps)
    if not (chosen.encoder / "config.json").exists():
        return Path(chosen.encoder)
    if not (folder / "imported").exists():
        langue.import_model(chosen.encoder, folder / "imported")
    return folder / "imported"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("folder", type=Path, help="what is done is kept there")
    options.add_argument("sets", nargs="*", default=[*ENGLISH, *CHINESE])
    options.add_argument("--frozen", action="store_true", help="probe, tune nothing")
    options.add_argument("--labels", type=int, nargs="+", default=[50, 500, 5000])
    options.add_argument("--seeds", type=int, default=3, help="of fine-tuning; with --frozen draws of labels")
    options.add_argument("--steps", type=int, default=5000, help="of pretraining")
    options.add_argument("--test", type=int, default=2000, help="examples to measure on, at most")
    options.add_argument("--rate", type=float, default=0.0, help="of fine-tuning; 0: by the width")
    options.add_argument("--encoder", type=Path, help="of English, instead of one that is pretrained here")
    chosen = options.parse_args()
    how = "frozen" if chosen.frozen else "fine-tuned"
    print(f"a BERT of {SHAPE}, {TASK}, {chosen.steps} steps of {TRAINING}; {how}\n")
    print(
        "| set | labels | majority | best baseline | random | pretrained | macro-F1, random | pretrained "
        "| above random | in macro-F1 | above the baseline |"
    )
    print("|---" * 11 + "|", flush=True)
    done: list[Cell] = []
    for language, sets in (("english", ENGLISH), ("chinese", CHINESE)):
        folder = chosen.folder / language
        folder.mkdir(parents=True, exist_ok=True)
        for name in (one for one in sets if one in chosen.sets and (DATA / one).is_dir()):
            encoder = encoder_of(language, folder, chosen)
            for cell in (probed if chosen.frozen else tuned)(encoder, name, folder, chosen):
                done.append(cell)
                print(cell, flush=True)
    told = f"above random by more than the spread in {sum(one.decided for one in done)} of {len(done)} cells"
    by = [sum(one.worth(figure) for one in done) for figure in (0, 1)]
    print(f"\n{told} ({by[0]} in accuracy, {by[1]} in macro-F1);")
    print(f"above the best baseline in {sum(one.above for one in done)}")


if __name__ == "__main__":
    main()
