"""What pretraining on the corpus at hand is worth: fine-tuning from it against random weights.

    python benchmarks/finetuning.py [thucnews sst2] [--steps 3000] [--labeled 5000] [--epochs 3] [--seeds 3]

A small BERT learns from the texts of the training file without their labels; then it is fine-tuned on
`--labeled` of them, and so is the same network from random weights. Mean and standard deviation over
the seeds, on the whole test file; the validation file chooses the epoch.
"""

import argparse
import tempfile
from pathlib import Path

import langue

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SHAPE = {"layers": 2, "width": 192, "heads": 3, "context": 64, "dropout": 0.1}
TASK = {"sentence_pairs": "none", "attention": "disentangled", "mlm_probability": 0.25}
TRAINING = {"batch_tokens": 2048, "optimizer": "muon", "learning_rate": 4e-3, "schedule": "linear"}
TOKENIZERS = {"thucnews": "chars", "sst2": "bpe"}


def labeled(name: str, split: str) -> list[tuple[str, str]]:
    """Texts and labels of a split."""
    if name == "thucnews":
        lines = (DATA / name / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
        return [(text, label) for text, label in (line.rsplit("\t", 1) for line in lines)]
    lines = (DATA / name / f"{split}.txt").read_text(encoding="utf-8").splitlines()
    return [(text, label) for label, text in (line.split(" ", 1) for line in lines)]


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("".join(f"{text}\t{label}\n" for text, label in rows), encoding="utf-8")
    return path


def prepared(name: str, folder: Path, count: int) -> tuple[Path, dict[str, Path]]:
    """A store of the texts of a labeled set, and its labeled files."""
    rows = {split: labeled(name, split) for split in ("train", "dev", "test")}
    texts = {}
    for split, found in rows.items():
        texts[split] = folder / f"{split}.txt"
        texts[split].write_text("\n".join(text for text, _ in found), encoding="utf-8")
    held_out = {"valid": [texts["dev"]], "test": [texts["test"]]}
    tokens = {"documents": "line", "kind": TOKENIZERS[name], "vocabulary": 5000}
    langue.prepare(texts["train"], folder / "store", **held_out, **tokens)
    return folder / "store", {
        "data": write(folder / "train.tsv", rows["train"][:: max(len(rows["train"]) // count, 1)][:count]),
        "valid": write(folder / "valid.tsv", rows["dev"][:1000]),
        "test": write(folder / "test.tsv", rows["test"]),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("sets", nargs="*", default=["thucnews", "sst2"])
    options.add_argument("--steps", type=int, default=3000)
    options.add_argument("--labeled", type=int, default=5000)
    options.add_argument("--epochs", type=int, default=3, help="more where labeled texts are few")
    options.add_argument("--seeds", type=int, default=3)
    chosen = options.parse_args()
    for name in chosen.sets:
        if not (DATA / name).is_dir():
            print(f"{name}: not in {DATA}, skipped")
            continue
        with tempfile.TemporaryDirectory() as temporary:
            compare(name, Path(temporary), chosen)


def compare(name: str, folder: Path, chosen: argparse.Namespace) -> None:
    steps, count = chosen.steps, chosen.labeled
    store, files = prepared(name, folder, count)
    langue.train("bert", store, folder / "bert", **SHAPE, **TASK, steps=steps, **TRAINING)
    print(
        f"{name}: a BERT of {SHAPE}, {TASK}, {steps} steps of {TRAINING}; {count} labeled texts, "
        f"{chosen.epochs} epochs",
        flush=True,
    )
    for start in ("random", "pretrained"):
        found = langue.finetune(
            folder / "bert",
            output=folder / start,
            init=start,
            epochs=chosen.epochs,
            seeds=chosen.seeds,
            learning_rate=5e-4,
            **files,
        )
        print(f"from {'pretraining' if start == 'pretrained' else 'random weights'}\n{found}\n", flush=True)


if __name__ == "__main__":
    main()
