"""What commit 35113c5 left on disk still reads, and gives the figures it gave then.

`write.py` made everything under `data/`; `expected.json` has the figures.
"""

import gzip
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.compat import figures

import langue
from langue import import_model
from langue.nn import precision
from langue.nn.machine_class import MachineClass
from langue.training import muon

# What an earlier version wrote has its names.
pytestmark = pytest.mark.filterwarnings("ignore::langue.base.deprecated.RenamedWarning")

DATA = Path(__file__).with_name("data")
EXPECTED = json.loads((DATA / "expected.json").read_text(encoding="utf-8"))
WEIGHTS = "weights.safetensors"
HALF = re.compile(r"(?:\\x[0-9a-f]{2}|\ufffd)+")
CLOSE = 1e-5  # of sums of 32-bit numbers on another processor
# Training multiplies the differences between processors; a lost moment or another drawing costs far more.
TRAINED = 1e-3


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As `write.py` has: another number of threads adds up in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in; recipes name models and stores relative to it, and `data` stays as it is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def copied(name: str, to: Path) -> Path:
    """A part of `data` at the same place below another folder, its packed files unpacked."""
    shutil.copytree(DATA / name, to / name)
    for path in sorted((to / name).rglob("*.gz")):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    return to / name


def assert_like(found: Any, expected: Any, where: str, *, close: float = CLOSE) -> None:
    """Equal, but for the last digits of numbers that are not whole."""
    if isinstance(expected, dict):
        expected = {figures.RENAMED.get(key, key): value for key, value in expected.items()}
        wanted = {key: value for key, value in expected.items() if key not in figures.NOT_FIGURES}
        assert isinstance(found, dict) and set(wanted) <= set(found), f"{where}: {found}"
        for key, value in wanted.items():
            if key == "best":
                assert_better(found[key], value, f"{where}, {key}", close)
            else:
                assert_like(found[key], value, f"{where}, {key}", close=close)
    elif isinstance(expected, list):
        assert isinstance(found, list) and len(found) == len(expected), f"{where}: {found}, not {expected}"
        for index, value in enumerate(expected):
            assert_like(found[index], value, f"{where}[{index}]", close=close)
    elif isinstance(expected, float) and isinstance(found, int | float):
        near = abs(found - expected) <= close * max(1.0, abs(expected))
        assert near, f"{where}: {found}, not {expected}"
    else:
        expected = figures.RENAMED.get(expected, expected) if isinstance(expected, str) else expected
        if where.endswith((", greedy", ", sampled", ", beam")) and isinstance(found, str):
            # Words between blanks have theirs before them, not behind, and a model of lines ends with one.
            found = found.split()
            expected = str(expected).split()[: len(found) or 1]
        elif isinstance(expected, str) and "\ufffd" in expected:  # bytes of half a character are told now
            found, expected = HALF.sub("\ufffd", found), HALF.sub("\ufffd", expected)
        assert found == expected, f"{where}: {found!r}, not {expected!r}"


def assert_better(found: Any, expected: Any, where: str, close: float) -> None:
    """The likeliest taggings: labelings that spell the same tags count as one now, so none is less likely."""
    for taggings, before in zip(found, expected, strict=True):
        assert taggings[0][0] >= before[0][0] - close, where


def test_nothing_is_left_out() -> None:
    for part in ("models", "stores", "runs"):
        assert {path.name for path in (DATA / part).iterdir()} == set(EXPECTED[part]), part


@pytest.mark.parametrize("name", EXPECTED["models"])
def test_a_model_gives_the_figures_it_gave(name: str, data: Path) -> None:
    expected = EXPECTED["models"][name]
    on = DATA / expected["on"] if expected["on"] else None
    found = figures.of_model(copied(f"models/{name}", data), on)
    assert_like({"on": expected["on"], **found}, expected, f"models/{name}")


@pytest.mark.parametrize("name", EXPECTED["stores"])
def test_a_store_reads_and_can_be_learned_from(name: str, data: Path) -> None:
    store, expected = DATA / "stores" / name, EXPECTED["stores"][name]
    assert_like(figures.of_store(store), expected, f"stores/{name}")
    model = langue.train("ngram", store, data / "model", order=2)
    tokenizer = model.tokenizer
    for ids, text in zip(expected["ids"], expected["texts"], strict=True):
        assert tokenizer.decode(ids[:-1]) == text, f"stores/{name}"
        assert tokenizer.encode(text).tolist() == ids[:-1], f"stores/{name}"
    assert langue.evaluate(model, store).perplexity < expected["vocabulary"], f"stores/{name}"


@pytest.mark.parametrize("path", sorted((DATA / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_a_recipe_still_reads(path: Path, data: Path) -> None:
    for name in figures.STARTED_FROM:
        copied(name, data)
    figures.read_recipe(path)


def test_an_arpa_file_gives_the_model_it_gave(data: Path) -> None:
    import_model(DATA / "texts" / "lines.arpa", data / "model")
    expected = EXPECTED["models"]["ngram-arpa"]
    # It says now that it reads a sentence a line, and is measured and continued so; before, text was cut into
    # passages, and went on past the end of a line.
    # What stands for padding is an n-gram of its own, `<pad>` being a word like any other: ids are others.
    changed = ("on", "evaluation", "greedy", "sampled", "beam", "next", "size", "log_probs")
    now = without(figures.of_model(data / "model"), *changed)
    assert_like(now, without(expected, *changed), "texts/lines.arpa")


def without(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name not in keys}


def orthogonalize_as_then(matrices: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Muon was torch's, which takes a matrix at a time and rounds to bfloat16 on every machine."""
    of_one = torch.optim._muon._zeropower_via_newtonschulz
    return torch.stack([of_one(matrix, muon.QUINTIC, muon.ITERATIONS, 1e-7) for matrix in matrices])


@pytest.fixture
def in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the runs were written: another class of machine would multiply in bfloat16."""
    monkeypatch.setattr(precision, "machine_class", lambda device: MachineClass.AVX2)


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("name", EXPECTED["runs"])
def test_an_unfinished_run_ends_where_it_would_have(
    name: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the machine of `write.py` to the very bits; elsewhere sums differ in their last bits."""
    monkeypatch.setattr(muon, "orthogonalize", orthogonalize_as_then)
    expected = EXPECTED["runs"][name]
    recipe, store = DATA / "recipes" / f"run-{name}.toml", DATA / expected["store"]
    run = copied(f"runs/{name}", data)
    langue.train(recipe, store, data / "straight")
    langue.train(recipe, store, run / "model", resume=True)
    assert not (run / "model.run").exists()
    before, straight, resumed = (
        load_file(path / WEIGHTS) for path in (run / "straight", data / "straight", run / "model")
    )
    assert set(resumed) == set(straight)
    if all(torch.equal(straight[part], weights) for part, weights in before.items() if part in straight):
        for part, weights in straight.items():
            assert torch.equal(resumed[part], weights), f"runs/{name}: {part} of the resumed run"
    assert_like(figures.of_model(run / "straight"), expected["final"], f"runs/{name}/straight")
    final = without(
        expected["final"], "sampled"
    )  # where a last digit decides, another machine draws otherwise
    for path in (data / "straight", run / "model"):
        assert_like(figures.of_model(path), final, f"runs/{name}, {path.name}", close=TRAINED)
    for part, weights in before.items():
        np.testing.assert_allclose(resumed[part], weights, atol=TRAINED, err_msg=f"runs/{name}: {part}")
    measured = langue.load(run / "model").info()["measured"]
    assert measured["sessions"] == 2 and not measured["interrupted"], f"runs/{name}"


@pytest.mark.usefixtures("in_float32")
def test_a_run_of_another_muon_goes_on(data: Path) -> None:
    """In today's type of products, and near to where it would have ended."""
    expected = EXPECTED["runs"]["gpt2"]
    run = copied("runs/gpt2", data)
    langue.train(DATA / "recipes" / "run-gpt2.toml", DATA / expected["store"], run / "model", resume=True)
    final = without(expected["final"], "sampled")
    assert_like(figures.of_model(run / "model"), final, "runs/gpt2", close=10 * TRAINED)


@pytest.mark.parametrize("name", EXPECTED["runs"])
def test_the_model_of_an_unfinished_run_reads(name: str, data: Path) -> None:
    found = langue.load(copied(f"runs/{name}", data) / "model").info()["measured"]
    assert found["interrupted"] and found["steps"] == EXPECTED["runs"][name]["step"], f"runs/{name}"
