"""What the defaults are worth: no setting but the time, on little text and on more, English and Chinese.

    python benchmarks/defaults.py [--minutes M] [--every] [--models MODEL,…] [--keep FOLDER] [NAME…]

NAME is of the corpora below. Each is prepared and each family trained by the commands that a user types; the
table is `langue compare`'s, in bits per byte of the test split. Without --minutes a network takes the budget
of its rule, which is of tokens, so that other work on the machine changes no figure. --every trains all
families of text, --models those named beside the 5-gram. A mixture's network has a row of its own. Beside
them the plain man's anchors, where they are installed: 7-Zip's PPMd at the best of a few orders and zpaq's
best method, as the bytes that the test split adds to the compressed training and validation splits.
"""

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import zstandard

from langue.corpus.sample import sample_path
from langue.tokens.store import TOKENIZER, TokenStore
from langue.tokens.tokenizer import Tokenizer
from turns import cpu

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
FIRST = {
    "trigram": ["ngram", "--set", "order=3"],
    "5-gram": ["ngram"],
    "gpt2": ["gpt2"],
    "mixture": ["mixture"],
}
EVERY = {
    "bigram": ["ngram", "--set", "order=2"],
    "∞-gram": ["infinigram"],
    "class-ngram": ["class-ngram"],
    "loglinear": ["loglinear"],
    "hmm": ["hmm"],
    "nplm": ["nplm"],
    "charcnn": ["charcnn"],
    "lstm": ["rnn"],
    "transformer": ["transformer"],
}
SEVEN = 7_000_000  # bytes
ORDERS = (5, 6, 8, 16, 32)  # of PPMd: more is not always better


class Corpus(NamedTuple):
    paths: Callable[[Path], list[Path]]  # of its files, which may be made in a folder
    documents: str  # how they are cut


def rfc(folder: Path) -> list[Path]:
    """The first seven million bytes of the RFCs, up to the end of a document."""
    with zstandard.open(DATA / "rfc" / "rfc.txt.zst", "rb") as file:
        text = file.read(SEVEN)
    (folder / "rfc.txt").write_bytes(text[: text.rindex(b"\f")])
    return [folder / "rfc.txt"]


CORPORA = {
    "english-1": Corpus(lambda _: [sample_path("english")], "form-feed"),
    "chinese-1": Corpus(lambda _: [sample_path("chinese")], "form-feed"),
    "english-7": Corpus(rfc, "form-feed"),
    "chinese-7": Corpus(lambda _: sorted((DATA / "chinese-classics").glob("*.txt")), "blank-line"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(CORPORA), help=", ".join(CORPORA))
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--models", default="", help=f"of {', '.join(FIRST | EVERY)}")
    parser.add_argument("--keep", type=Path, help="a folder of models, which are not trained anew")
    options = parser.parse_args()
    models = FIRST | (EVERY if options.every or options.models else {})
    if options.models:
        asked = {"5-gram", *options.models.split(",")}
        models = {model: how for model, how in models.items() if model in asked}
    print(f"`python benchmarks/defaults.py {' '.join(sys.argv[1:])}`, {cpu()}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.names:
            folder = (options.keep or Path(temporary)) / name
            folder.mkdir(parents=True, exist_ok=True)
            measure(name, folder, models, options.minutes)


def measure(name: str, folder: Path, models: dict[str, list[str]], minutes: float | None) -> None:
    corpus = CORPORA[name]
    store = folder / "store"
    if not store.exists():
        paths = [str(path) for path in corpus.paths(folder)]
        langue("prepare", *paths, "-o", str(store), "--documents", corpus.documents)
    for model, arguments in models.items():
        if not (folder / model).exists():
            timed = ["--set", f"training.minutes={minutes:g}"] if minutes and arguments[0] in TIMED else []
            langue("train", arguments[0], str(store), "-o", str(folder / model), *arguments[1:], *timed)
    folders = [str(folder / model) for model in models]
    if "mixture" in models:
        folders.append(str(folder / "mixture" / "1"))  # the network among its parts
    rows = json.loads(langue("compare", *folders, "--on", str(store), "--json"))
    ours = {Path(row["model"]).name: row["bits_per_byte"] or math.inf for row in rows["models"]}
    if "1" in ours:
        ours["the mixture's network alone"] = ours.pop("1")
    five = ours["5-gram"]
    size = store_text(store, folder)
    print(f"\n{name}: {size:,} bytes of training text\n")
    print("| model | bits/byte | against the 5-gram |\n|---|---|---|")
    for label, bits in sorted((ours | anchors(folder)).items(), key=lambda item: item[1]):
        print(f"| {label} | {bits:.4f} | {100 * (bits / five - 1):+.1f} % |", flush=True)


TIMED = {"gpt2", "mixture", "rnn", "nplm", "charcnn", "transformer"}


def langue(*arguments: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "langue", *arguments, "--quiet"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def store_text(path: Path, folder: Path) -> int:
    """Write what was seen, and that with the test split, for the anchors; the bytes of the training split."""
    store, tokenizer = TokenStore(path), Tokenizer.load(path / TOKENIZER)
    parts = {}
    for split in ("train", "valid", "test"):
        documents = (tokenizer.decode(ids[:-1]) for ids in store.split(split).documents())
        parts[split] = "\n".join(documents).encode()
    (folder / "seen.txt").write_bytes(parts["train"] + b"\n" + parts["valid"] + b"\n")
    (folder / "all.txt").write_bytes(parts["train"] + b"\n" + parts["valid"] + b"\n" + parts["test"])
    (folder / "test.txt").write_bytes(parts["test"])
    return len(parts["train"])


def anchors(folder: Path) -> dict[str, float]:
    """Bits per byte that the test split adds to a compressed text."""
    made: dict[str, float] = {}
    size = (folder / "test.txt").stat().st_size
    commands = {"zpaq, best method": ["zpaq", "a"]}
    for order in ORDERS:
        how = f"-m0=PPMd:o={order}:mem=256m"
        commands[f"7-Zip's PPMd, order {order}"] = ["7z", "a", how, "-bso0", "-bsp0"]
    for label, command in commands.items():
        if shutil.which(command[0]) is None:
            print(f"{label}: {command[0]} is not installed")
            continue
        sizes = []
        for text in ("seen.txt", "all.txt"):
            archive = folder / f"{text}.{command[0]}"
            archive.unlink(missing_ok=True)
            after = ["-m5", "-t1"] if command[0] == "zpaq" else []
            subprocess.run(
                [*command, archive.name, text, *after], cwd=folder, check=True, capture_output=True
            )
            archive = archive if archive.exists() else archive.with_name(archive.name + ".zpaq")
            sizes.append(archive.stat().st_size)
            archive.unlink()
        made[label] = 8 * (sizes[1] - sizes[0]) / size
    worse = sorted((label for label in made if "PPMd" in label), key=lambda label: made[label])[1:]
    return {label: bits for label, bits in made.items() if label not in worse}


if __name__ == "__main__":
    main()
