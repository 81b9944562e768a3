"""Benchmarks go on running: what they import from langue and from one another is there.

They are too long to be run by the tests, and a figure in the docs is only worth as much as the command that
prints it.
"""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(BENCHMARKS.glob("*.py"))


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Modules and names that are taken from them, within functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                yield node.module, name.name


def test_there_are_benchmarks() -> None:
    assert len(SCRIPTS) > 30


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_benchmark_imports_only_what_is_there(script: Path) -> None:
    missing = []
    for module, name in imported(ast.parse(script.read_text(encoding="utf-8"))):
        if module.split(".")[0] == "langue":
            whole = importlib.import_module(module)
            if not hasattr(whole, name):
                try:
                    importlib.import_module(f"{module}.{name}")
                except ModuleNotFoundError:
                    missing.append(f"{module}.{name}")
        elif (BENCHMARKS / f"{module}.py").exists():
            other = ast.parse((BENCHMARKS / f"{module}.py").read_text(encoding="utf-8"))
            if name not in set(names_of(other)):
                missing.append(f"{module}.{name}")
    assert not missing, f"{script.name} takes what is no longer there: {', '.join(missing)}"


def names_of(tree: ast.Module) -> Iterator[str]:
    """What a script defines at its top."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (one.asname or one.name for one in node.names)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                elements = target.elts if isinstance(target, ast.Tuple) else [target]
                yield from (one.id for one in elements if isinstance(one, ast.Name))
