"""What a command costs beside its work: CPU seconds of the command, and of the same work in a warm process.

    python benchmarks/start.py [CORPUS [FAMILY ...]]

CORPUS is a text, a document a line; by default PTB's training text. Each figure is the least of a few, of one
thread. The code of compiled functions is kept from a first run, as it is after anybody's first command.
"""

import contextlib
import io
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's Python keeps what it compiled
REPEATS = 3
SETTINGS = {"class-ngram": ["--set", "classes=50"], "loglinear": ["--set", "epochs=1"]}
FAMILIES = ("ngram", "markov", "class-ngram", "infinigram", "loglinear", "crf")


def main() -> None:
    corpus = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared/data/ptb/train.txt"
    print(f"{processor()}, {os.cpu_count()} processors, Python {platform.python_version()}; one thread")
    print(f"langue --help: {command(['--help']):.2f} s")
    print(f"{'family':12} {'verb':10} {'command':>8} {'warm':>8} {'more':>8}   CPU seconds")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "text.txt").write_text("the king is dead\nlong live the king\n")
        (folder / "tagged.tsv").write_text("the\tD\nking\tN\nis\tV\ndead\tA\n\na\tD\nqueen\tN\n\n" * 200)
        store = str(folder / "store")
        command(["prepare", str(corpus), "-o", store, "--documents", "line", "--tokenizer", "whitespace"])
        for family in sys.argv[2:] or FAMILIES:
            for arguments in commands(family, folder, store):
                warm(arguments)  # compiles what is not kept yet
                own, work = (min(run(arguments) for _ in range(REPEATS)) for run in (command, warm))
                print(f"{family:12} {arguments[0]:10} {own:8.2f} {work:8.2f} {own - work:8.2f}", flush=True)


def commands(family: str, folder: Path, store: str) -> list[list[str]]:
    model, text = str(folder / family), str(folder / "text.txt")
    if family == "crf":
        data = str(folder / "tagged.tsv")
        uses = [["tag", model, text, "--format", "text"], ["evaluate", model, data]]
    else:
        data = store
        generate = ["generate", model, "the", "--max-tokens", "20"]
        uses = [["score", model, text], ["evaluate", model, data], ["next", model, "the king"], generate]
    return [["train", family, data, "-o", model, "--overwrite", *SETTINGS.get(family, [])], *uses]


def command(arguments: list[str]) -> float:
    """CPU seconds of a command, in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "langue", *arguments], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def warm(arguments: list[str]) -> float:
    """CPU seconds of the same in this process, which has done it before."""
    from langue.cli import run

    hidden = io.StringIO()
    with contextlib.redirect_stdout(hidden), contextlib.redirect_stderr(hidden):
        started = time.process_time()
        code = run(arguments)
        spent = time.process_time() - started
    assert code == 0, hidden.getvalue()
    return spent


def processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())


if __name__ == "__main__":
    main()
