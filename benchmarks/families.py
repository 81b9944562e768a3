"""What each family is worth: all of them trained on the embedded English text, measured in bits per byte.

The neural ones see the text the same number of times, with the defaults of their families but a batch
that suits a megabyte; the table says what they cost in seconds, one after another on this machine.

    .venv/bin/python benchmarks/families.py [epochs [folder]]

A folder keeps the models: a run that was stopped goes on there.
"""

import sys
import tempfile
from pathlib import Path

from langue.corpus.config import DataConfig
from langue.corpus.sample import sample_path
from langue.evaluation.compare import compare
from langue.models.folder import load
from langue.tokens.prepare import prepare
from langue.tokens.store import TokenStore
from langue.tokens.train import TokenizerConfig
from langue.training.recipe import read_recipe
from langue.training.train import train
from turns import cpu

BY_COUNTS = {
    "ngram, order 3": ("ngram", ["order=3"]),
    "ngram, order 5": ("ngram", ["order=5"]),
    "loglinear, order 4": ("loglinear", ["order=4"]),
    "loglinear, order 4, skips": ("loglinear", ["order=4", "skips=true"]),
}
BY_GRADIENT = {
    "nplm": ("nplm", []),
    "rnn, elman": ("rnn", ["cell=elman"]),
    "rnn, gru": ("rnn", ["cell=gru"]),
    "rnn, lstm": ("rnn", []),
    "rnn, lstm, tied": ("rnn", ["model.tied=true"]),
    "charcnn": ("charcnn", []),
    "transformer": ("transformer", []),
    "gpt2": ("gpt2", []),
}
GRADIENT = ["batch_tokens=1024", "learning_rate=2e-3", "evaluations=5"]


def main(epochs: float, folder: Path) -> None:
    if not (folder / "store").exists():
        prepare(
            [str(sample_path("english"))],
            folder / "store",
            data=DataConfig(documents="form-feed"),
            tokenizer=TokenizerConfig(vocabulary=4096),
        )
    store = TokenStore(folder / "store")
    for name, (family, settings) in (BY_COUNTS | BY_GRADIENT).items():
        more = [*GRADIENT, f"epochs={epochs}"] if name in BY_GRADIENT else []
        if not (folder / name).exists() or (folder / f"{name}.run").exists():
            train(read_recipe(family, [*settings, *more]), store, folder / name, resume=name in BY_GRADIENT)
    print(f"`python benchmarks/families.py {epochs:g}`: {epochs:g} epochs, {cpu()}\n")
    print(compare([load(folder / name) for name in BY_COUNTS | BY_GRADIENT], store))


if __name__ == "__main__":
    main(
        float(sys.argv[1]) if len(sys.argv) > 1 else 4,
        Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp()),
    )
