"""What a user waits for before anything happens."""

import subprocess
import sys
from pathlib import Path

import pytest

import langue
from langue import cli
from langue.configs import DataConfig, TokenizerConfig

HEAVY = ("torch", "numba", "transformers", "tokenizers", "rjieba", "pyarrow", "numpy")


def imported_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def test_importing_langue_imports_nothing_heavy() -> None:
    assert not imported_by("import langue").intersection(HEAVY)


def test_help_imports_nothing_heavy() -> None:
    help_of_every_verb = """
from langue import cli
for arguments in (["--help"], ["prepare", "--help"], ["train", "--help"], ["evaluate", "--help"]):
    cli.run(arguments)
"""
    assert not imported_by(help_of_every_verb).intersection(HEAVY)


# Of what no count needs. numba asks for the version of SciPy, and loads it with its functions of arrays.
NEEDLESS = ("torch", "scipy.linalg", "pydantic", "typer", "transformers", "sklearn", "pyarrow")


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, a text, and a tagged file."""
    folder = tmp_path_factory.mktemp("counted")
    lines = [f"the king of {place} is {how}" for place in ("rome", "spain", "here") for how in "abcdefgh"]
    (folder / "text.txt").write_text("".join(line + "\n" for line in lines))
    (folder / "tagged.tsv").write_text("the\tD\nking\tN\nis\tV\n\na\tD\nqueen\tN\n\n" * 9)
    words = DataConfig(documents="line"), TokenizerConfig(kind="whitespace")
    langue.prepare(folder / "text.txt", folder / "store", data=words[0], tokenizer=words[1])
    return folder


@pytest.mark.parametrize("family", ["ngram", "markov", "class-ngram", "infinigram", "loglinear", "crf"])
def test_a_command_of_counts_imports_no_more_than_it_runs(family: str, counted: Path) -> None:
    model, text = counted / family, counted / "text.txt"
    settings = {"class-ngram": ["--set", "classes=3"], "loglinear": ["--set", "epochs=1"]}.get(family, [])
    if family == "crf":
        data = counted / "tagged.tsv"
        uses = [["tag", model, text, "--format", "text"], ["evaluate", model, data]]
    else:
        data = counted / "store"
        uses = [
            ["score", model, text], ["evaluate", model, data], ["next", model, "the"],
            ["generate", model, "the", "--max-tokens", 2],
        ]  # fmt: skip
    commands = [["train", family, data, "-o", model, "--quiet", "--overwrite", *settings], *uses]
    commands = [[str(part) for part in command] for command in commands]
    for command in commands:  # keeps the compiled code
        assert cli.run(command) == 0
    script = f"""
import sys
from langue import cli
for command in {commands}:
    assert cli.run(command) == 0
    needless = sys.modules.keys() & {NEEDLESS}
    assert not needless, (command, needless)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_process_that_is_done_runs_what_was_registered_and_tells_an_error_of_our_own() -> None:
    """It ends without taking its modules apart, and as Python would in all else."""
    script = """
import atexit, sys
from langue import __main__, cli
def run(arguments):
    atexit.register(print, "registered")
    print("done", end=" ")
    return 3 // {divisor}
cli.run_process = run
__main__.main()
"""
    done, broken = (
        subprocess.run(
            [sys.executable, "-c", script.format(divisor=divisor)],
            capture_output=True,
            text=True,
            check=False,
        )
        for divisor in (1, 0)
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "done registered\n", "")
    assert (broken.returncode, broken.stdout) == (1, "done registered\n")
    assert "ZeroDivisionError" in broken.stderr
