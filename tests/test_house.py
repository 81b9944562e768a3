"""The house keeps its measure: few files on the floor of models, no wing too large, no file too long."""

from pathlib import Path

import pytest
from tests.tracer import ROOT, files_run, table

import langue

BELOW = {"base", "corpus", "tokens", "protocols", "inference", "nn", "models"}
LINES = {path: len(path.read_text("utf-8").splitlines()) for path in ROOT.rglob("*.py")}


def test_models_shows_three_files_and_its_wings() -> None:
    files = {path.name for path in (ROOT / "models").glob("*.py")} - {"__init__.py"}
    assert files == {"family.py", "registry.py", "folder.py"}


@pytest.mark.parametrize("above", [ROOT, ROOT / "models"])
def test_no_wing_holds_much_of_the_source(above: Path) -> None:
    wings = [wing for wing in above.iterdir() if wing.is_dir() and wing != ROOT / "models"]
    sizes = {wing.name: sum(n for path, n in LINES.items() if wing in path.parents) for wing in wings}
    assert max(sizes.values()) <= 0.15 * sum(LINES.values()), sizes


def test_no_file_is_long() -> None:
    assert {str(path): lines for path, lines in LINES.items() if lines > 400} == {}


def test_the_type_checker_is_told_to_look_away_at_most_twenty_times() -> None:
    lines = [line for path in LINES for line in path.read_text("utf-8").splitlines()]
    assert sum("type: ignore" in line for line in lines) <= 20


def test_evaluating_enters_few_files(small_models: dict[str, Path], small_store: Path) -> None:
    langue.evaluate(small_models["trigram"], small_store)  # what is looked up once, by name, is
    for model in small_models.values():
        files = files_run(lambda model=model: langue.evaluate(model, small_store))  # type: ignore[misc]
        above = {path: lines for path, lines in files.items() if path.split("/")[0] not in BELOW}
        assert len(above) <= 10, table(above)
