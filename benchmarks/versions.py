"""Two checkouts of langue side by side: CPU time of the same commands, in turns.

    .venv/bin/python benchmarks/versions.py OLD [--new .] [--rounds 3] [NAME …]

OLD is the root of another checkout, such as a `git worktree` of an earlier commit; both run on the packages
of this environment. Each command is a process of its own, start included, and its CPU time, of all threads
together, is what counts: other work on the machine disturbs it least. The best of the rounds is shown for
each, and new by old: below 1 the new one is faster. Corpora are those of ../shared/data; where one is absent,
what needs it is skipped. Names: start prepare ngram gpt2 bert lstm crf hmm.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from turns import cpu

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TINY = "--set layers=4 --set width=192 --set heads=4 --set context=128 --set steps=30 --set batch_tokens=2048"
# name → (what it needs, the command); STORE is what `prepare` wrote there, NEW a folder that is not yet there
COMMANDS = {
    "start": ("", "--help"),
    "prepare": ("shakespeare/input.txt", "prepare {data} -o NEW --quiet"),
    "ngram": ("shakespeare/input.txt", "train ngram STORE -o NEW --quiet"),
    "gpt2": ("shakespeare/input.txt", f"train gpt2 STORE -o NEW --quiet --set precision=float32 {TINY}"),
    "bert": ("shakespeare/input.txt", f"train bert STORE -o NEW --quiet --set precision=float32 {TINY}"),
    "lstm": (
        "shakespeare/input.txt",
        "train rnn STORE -o NEW --quiet --set precision=float32 --set layers=2 --set width=256 "
        "--set steps=30",
    ),
    "crf": ("conll2000/train.txt", "train crf {data} -o NEW --quiet --set iterations=10"),
    "hmm": ("shakespeare/input.txt", "train hmm STORE -o NEW --quiet --set states=64 --set iterations=5"),
}


def measure(checkout: Path, folder: Path, command: str) -> float:
    """Seconds of CPU that a command takes, its threads and start included."""
    shutil.rmtree(folder / "new", ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        [sys.executable, "-m", "langue", *command.replace("NEW", "new").replace("STORE", "store").split()],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(checkout / "src")},
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode:
        sys.exit(f"{checkout}: langue {command}: {run.stderr.strip()}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("names", nargs="*", default=[], metavar="NAME", choices=[*COMMANDS, []])
    parser.add_argument("--new", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    checkouts = {"old": arguments.old.resolve(), "new": arguments.new.resolve()}
    print(f"{cpu()}\n{'':8} {'old s':>8} {'new s':>8} {'new/old':>8}")
    with tempfile.TemporaryDirectory() as scratch:
        folders = {name: Path(scratch) / name for name in checkouts}
        for name, folder in folders.items():
            folder.mkdir()
            if (text := DATA / "shakespeare" / "input.txt").is_file():
                measure(checkouts[name], folder, f"prepare {text} -o STORE --quiet --vocabulary 2048")
        for name in arguments.names or COMMANDS:
            needed, command = COMMANDS[name]
            if needed and not (DATA / needed).is_file():
                print(f"{name:8} skipped: no {needed}")
                continue
            best = dict.fromkeys(checkouts, float("inf"))
            for _ in range(arguments.rounds):
                for which, checkout in checkouts.items():
                    spent = measure(checkout, folders[which], command.format(data=DATA / needed))
                    best[which] = min(best[which], spent)
            print(
                f"{name:8} {best['old']:8.2f} {best['new']:8.2f} {best['new'] / best['old']:8.2f}", flush=True
            )


if __name__ == "__main__":
    main()
