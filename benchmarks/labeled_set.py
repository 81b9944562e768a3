"""A labeled set as a corpus: a store of its texts, and files to fine-tune from."""

from pathlib import Path

import langue
from finetuning import read, spread_out, write

TOKENIZERS = {"sst2": "bpe", "thucnews": "chars"}
VALID = 1000  # examples, at most


def prepare_set(name: str, folder: Path, count: int) -> tuple[Path, dict[str, Path]]:
    """A store of the texts of a set, and so many of its labeled ones, measured on its whole test part."""
    train, valid, test = read(name)
    texts = {"train": train, "valid": valid, "test": test}
    files = {
        split: write(folder / f"{split}.txt", [(one[0],) for one in rows]) for split, rows in texts.items()
    }
    store = folder / "store"
    langue.prepare(
        files["train"],
        store,
        documents="line",
        kind=TOKENIZERS[name],
        vocabulary=5000,
        valid=[files["valid"]],
        test=[files["test"]],
    )
    return store, {
        "data": write(folder / "train.tsv", spread_out(train, count)),
        "valid": write(folder / "valid.tsv", valid[:VALID]),
        "test": write(folder / "test.tsv", test),
    }
