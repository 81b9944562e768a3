"""Every neural family from a store to a talking model, as a user has it."""

import json
from pathlib import Path
from typing import Any

import pytest

from langue import cli

SMALL = {
    "rnn": ["layers=1", "width=32", "context=16", "tied=true"],
    "charcnn": ["layers=1", "width=32", "context=16"],
    "transformer": ["layers=1", "width=32", "heads=2", "context=16"],
    "nplm": ["order=3", "width=8", "hidden=16"],
}


@pytest.fixture(scope="module")
def trained(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of each family, trained for a moment; and a log-linear one."""
    folder = tmp_path_factory.mktemp("families")
    settings = {name: [*given, "steps=30", "batch_tokens=256"] for name, given in SMALL.items()}
    settings["loglinear"] = ["order=3", "epochs=1"]
    for name, given in settings.items():
        options = [part for setting in given for part in ("--set", setting)]
        assert cli.run(["train", name, str(small_store), "-o", str(folder / name), *options]) == 0
    return {name: folder / name for name in settings}


@pytest.mark.parametrize("name", [*SMALL, "loglinear"])
def test_scores_pass_their_checks_and_text_comes_out(
    capsys: pytest.CaptureFixture[str], trained: dict[str, Path], small_store: Path, name: str
) -> None:
    assert cli.run(["evaluate", str(trained[name]), str(small_store), "--check", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0.5 < found["bits_per_byte"] < 8
    assert all(check["passed"] for check in found["checks"])
    assert cli.run(["generate", str(trained[name]), "却说", "--max-tokens", "5"]) == 0
    assert capsys.readouterr().out.startswith("却说")


@pytest.mark.parametrize("name", SMALL)
def test_dry_run(capsys: pytest.CaptureFixture[str], small_store: Path, name: str) -> None:
    options = [part for setting in SMALL[name] for part in ("--set", setting)]
    assert cli.run(["train", name, str(small_store), "--dry-run", *options]) == 0
    assert "tokens/s" in capsys.readouterr().out


def test_gradients(capsys: pytest.CaptureFixture[str], trained: dict[str, Path], small_store: Path) -> None:
    def run(*arguments: Any, code: int = 0) -> Any:
        assert cli.run(["gradients", *map(str, arguments)]) == code
        return capsys.readouterr()

    assert "a hundredth is left" in run(trained["rnn"], small_store, "--distance", 20).out
    found = json.loads(run(trained["charcnn"], small_store, "--distance", 20, "--json").out)
    assert len(found["norms"]) == 21
    assert "take a model of rnn or charcnn" in run(trained["nplm"], small_store, code=2).err
    assert (
        "no document of the test split has"
        in run(trained["rnn"], small_store, "--distance", 10**6, code=2).err
    )


@pytest.mark.parametrize("name", ["transformer", "rnn"])
def test_beam_search(capsys: pytest.CaptureFixture[str], trained: dict[str, Path], name: str) -> None:
    arguments = ["generate", str(trained[name]), "却说", "--num-beams", "3", "--max-tokens", "6"]
    assert cli.run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found) == 3
    assert len({one["text"] for one in found}) > 1
    assert all("\ufffd" not in one["text"] for one in found)
    assert cli.run(arguments) == 0
    assert capsys.readouterr().out == f"却说{found[0]['text']}\n"
