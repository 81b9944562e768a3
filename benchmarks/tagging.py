"""Neural taggers beside the CRF: entity F1 on the test set, mean and standard deviation over seeds.

    python benchmarks/tagging.py [conll2003 resume] [--seeds 2] [--epochs 15] [--minutes 5] [--sentences 0]
                                 [--part crf rnn encoder]

crf      `langue train crf`, as it comes
rnn      `rnn-tagger` under both heads, and with characters read by a CNN, by an LSTM, or not at all
encoder  a small BERT, pretrained for `--minutes` on the words of the training file alone, then fine-tuned
         under both heads; and the same network from random weights

No tagger sees anything but the training file; the validation file chooses epochs. Published on Résumé, with
pretrained characters: BiLSTM-CRF 94.41 (Zhang and Yang 2018). `--sentences` takes the first so many of the
training file.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import langue
from langue.corpus.tagged import read_tagged, unit_of
from langue.corpus.write_tagged import write_tagged
from langue.tasks.tagging import measure

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = {
    "conll2003": ("conll2003/eng.train", "conll2003/eng.testa", "conll2003/eng.testb"),
    "resume": ("resume-ner/train.bmes", "resume-ner/dev.bmes", "resume-ner/test.bmes"),
}
SHAPE = {"layers": 4, "width": 192, "heads": 3, "context": 128, "sentence_pairs": "none"}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("sets", nargs="*", default=["resume"], choices=list(SETS))
    options.add_argument("--seeds", type=int, default=2)
    options.add_argument("--epochs", type=int, default=15)
    options.add_argument("--minutes", type=float, default=5.0)
    options.add_argument("--sentences", type=int, default=0)
    options.add_argument("--part", nargs="+", default=["crf", "rnn", "encoder"])
    chosen = options.parse_args()
    for name in chosen.sets:
        files = [DATA / file for file in SETS[name]]
        if not all(file.exists() for file in files):
            print(f"{name}: not in {DATA}, skipped")
            continue
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            files[0] = shortened(files[0], folder / files[0].name, chosen.sentences)
            print(f"{name}: {chosen.epochs} epochs, {chosen.seeds} seeds", flush=True)
            for part in chosen.part:
                {"crf": crf, "rnn": rnn, "encoder": encoder}[part](folder, files, chosen)


def shortened(path: Path, output: Path, sentences: int) -> Path:
    """The training file, or its beginning."""
    if not sentences:
        return path
    tagged = read_tagged(path)
    first = tagged.sentences[:sentences]
    pieces = write_tagged(first, [sentence.tags for sentence in first], tagged.format, tagged.columns)
    output.write_text("".join(pieces), encoding="utf-8")
    return output


def report(what: str, make: Callable[[int], Path], test: Path, seeds: int) -> None:
    """Train once for each seed and measure on the test file."""
    sentences = read_tagged(test).sentences
    started = time.perf_counter()
    found = [measure(langue.load(make(seed)).folder.model, sentences).f1 for seed in range(seeds)]
    seconds = (time.perf_counter() - started) / seeds
    spread = float(np.std(found, ddof=1)) if seeds > 1 else 0.0
    print(f"  {what:42} F1 {np.mean(found):.2%} ± {spread:.2%}   {seconds:6.0f} s a run", flush=True)


def crf(folder: Path, files: list[Path], chosen: argparse.Namespace) -> None:
    def make(seed: int) -> Path:
        langue.train("crf", files[0], folder / "crf", overwrite=True)
        return folder / "crf"

    report("crf", make, files[2], 1)


def rnn(folder: Path, files: list[Path], chosen: argparse.Namespace) -> None:
    single = unit_of(read_tagged(files[2]).sentences) == "characters"
    for head, characters in (("crf", "auto"), ("softmax", "auto"), ("crf", "lstm"), ("crf", "none")):
        if single and characters != "auto":
            continue  # a token has one character

        def make(seed: int, head: str = head, characters: str = characters) -> Path:
            langue.train(
                "rnn-tagger",
                files[0],
                folder / "rnn",
                valid=files[1],
                overwrite=True,
                head=head,
                characters=characters,
                epochs=chosen.epochs,
                seed=seed,
            )
            return folder / "rnn"

        report(f"rnn-tagger, head {head}, characters {characters}", make, files[2], chosen.seeds)


def encoder(folder: Path, files: list[Path], chosen: argparse.Namespace) -> None:
    tagged = read_tagged(files[0])
    single = unit_of(tagged.sentences) == "characters"
    for split, file in zip(("train", "valid", "test"), files, strict=True):
        sentences = read_tagged(file).sentences
        text = "\n".join(("" if single else " ").join(sentence.words) for sentence in sentences)
        (folder / f"{split}.txt").write_text(text, encoding="utf-8")
    langue.prepare(
        folder / "train.txt",
        folder / "store",
        valid=[folder / "valid.txt"],
        test=[folder / "test.txt"],
        documents="line",
        kind="chars" if single else "bpe",
        vocabulary=3000 if single else 8000,
        near_duplicates="ignore",
    )
    langue.train("bert", folder / "store", folder / "bert", **SHAPE, minutes=chosen.minutes)
    for start, head in (("pretrained", "crf"), ("pretrained", "softmax"), ("random", "crf")):

        def make(seed: int, start: str = start, head: str = head) -> Path:
            langue.finetune(
                folder / "bert",
                files[0],
                folder / "tagger",
                task="tag",
                valid=files[1],
                overwrite=True,
                head=head,
                init=start,
                epochs=chosen.epochs,
                learning_rate=5e-4,
                seeds=1,
                seed=seed,
            )
            return folder / "tagger"

        known = f"pretrained {chosen.minutes:g} min" if start == "pretrained" else "random weights"
        report(f"bert, {known}, head {head}", make, files[2], chosen.seeds)


if __name__ == "__main__":
    main()
