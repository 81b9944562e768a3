"""Compiled functions are compiled again when a file that they call into has changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from langue.base import compiled

CALLED = "from langue.base.compiled import njit\n\n\n@njit\ndef called(x):\n    return x + {}\n"
CALLER = (
    "from langue.base.compiled import njit\nfrom langue.called import called\n\n\n"
    "@njit\ndef caller(x):\n    return called(x)\n\n\n"
    "print(caller(1), sum(caller.stats.cache_hits.values()))\n"
)


def test_machine_code_of_another_version_is_not_run(tmp_path: Path) -> None:
    package = tmp_path / "langue"
    (package / "base").mkdir(parents=True)
    shutil.copyfile(compiled.__file__, package / "base" / "compiled.py")
    for folder in (package, package / "base"):
        (folder / "__init__.py").touch()
    (package / "caller.py").write_text(CALLER)

    def run(added: int) -> str:
        (package / "called.py").write_text(CALLED.format(added))
        # The folder comes before the installed package.
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "langue.caller"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert run(1) == "2 0\n"
    assert run(1) == "2 1\n"  # kept
    assert run(5) == "6 0\n"
