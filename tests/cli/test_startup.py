"""What a user waits for before anything happens."""

import subprocess
import sys

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
