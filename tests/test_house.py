"""The house keeps its measure: few files on the floor of models, no wing too large, no file too long."""

import warnings
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


def entered(model: Path, on: Path) -> dict[str, int]:
    """The files above tokens and models that an evaluation runs in, and their lines."""
    langue.evaluate(model, on)  # what is looked up once, by name, is
    files = files_run(lambda: langue.evaluate(model, on))
    return {path: lines for path, lines in files.items() if path.split("/")[0] not in BELOW}


def test_evaluating_enters_few_files(small_models: dict[str, Path], small_store: Path) -> None:
    for model in small_models.values():
        above = entered(model, small_store)
        assert len(above) <= 10, table(above)


@pytest.mark.parametrize(
    ("model", "on"),
    [
        ("bert", "stores/bpe"),
        ("pair", "stores/bpe"),
        ("crf", "texts/names.conll"),
        ("hmm-tagger", "texts/words.conllu"),
        ("classifier", "texts/topics.tsv"),
    ],
)
def test_evaluating_any_kind_of_model_enters_few_files(model: str, on: str) -> None:
    data = Path(__file__).parent / "compat" / "data"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names of an earlier version
        above = entered(data / "models" / model, data / on)
    assert len(above) <= 10, table(above)
