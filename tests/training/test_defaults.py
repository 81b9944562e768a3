"""Settings that were left out are chosen once for a run, recorded with it, and kept when it goes on."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

import langue
from langue.models.family import Family
from langue.models.registry import family
from langue.nn import device, machine_class
from langue.training.defaults import Defaults
from langue.training.recipe import read_recipe
from langue.training.run_folder import RUN, run_folder

SHORT: dict[str, Any] = {"training.steps": 2, "training.batch_tokens": 128, "training.evaluations": 1}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pretends to be of a class."""

    def pretend(name: str) -> None:
        kind = machine_class.MachineClass[name]
        monkeypatch.setattr(machine_class, "machine_class", lambda of: kind)

    assert device.best_device().type == "cpu"
    return pretend


def complete(store: Path, output: Path | None = None, *, resume: bool = False, **settings: Any) -> Any:
    defaults = Defaults(store, output, resume=resume)
    return read_recipe("gpt2", settings=settings, complete=defaults.complete).model, defaults.chosen


def test_what_was_chosen_and_why_is_said_and_recorded(
    small_store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "langue"):
        model = langue.train("gpt2", small_store, tmp_path / "m", **SHORT)
    assert "with the options of Qwen3" in caplog.text and "--set size=tiny" in caplog.text
    described = json.loads((tmp_path / "m" / "model.json").read_text())
    chosen = described["recipe"]["chosen"]
    assert chosen["reason"] in caplog.text
    assert chosen["circumstances"]["tokens"] == langue.info(small_store)["splits"]["train"]["tokens"]
    assert model.folder.model.config.position == "rotary"
    plain: Any = langue.train("gpt2", small_store, tmp_path / "p", **SHORT, size="tiny", layers=1)
    assert "chosen" not in json.loads((tmp_path / "p" / "model.json").read_text())["recipe"]
    assert plain.folder.model.config.position == "learned"


def test_numbers_that_a_recipe_file_gives_mean_a_published_network(small_store: Path, tmp_path: Path) -> None:
    """As they did before there was a rule; those that are typed are what it chooses the rest around."""
    (tmp_path / "of-mine.toml").write_text('family = "gpt2"\n[model]\nlayers = 1\n')
    defaults = Defaults(small_store)
    recipe = read_recipe(str(tmp_path / "of-mine.toml"), complete=defaults.complete)
    assert recipe.model == family("gpt2").config(layers=1) and defaults.chosen is None
    model, chosen = complete(small_store, layers=1)
    assert model.layers == 1 and model.position == "rotary" and chosen is not None


def test_the_same_seed_gives_the_same_bits(small_store: Path, tmp_path: Path) -> None:
    files = [
        langue.train("gpt2", small_store, tmp_path / name, **SHORT).info()["files"]["weights.safetensors"]
        for name in ("a", "b")
    ]
    assert files[0] == files[1]


def test_a_run_goes_on_as_it_was_begun_on_another_machine_too(
    small_store: Path, tmp_path: Path, machine: Any
) -> None:
    machine("AVX2")
    begun, chosen = complete(small_store)
    machine("CUDA_BF16")
    other, _ = complete(small_store)
    assert other.shape != begun.shape
    run = run_folder(tmp_path / "m")
    run.mkdir()
    recipe = {"family": "gpt2", "model": {}, "training": {}}
    circumstances = {
        name: getattr(chosen.circumstances, name) for name in ("tokens", "vocabulary", "minutes")
    }
    chosen_table = {"circumstances": circumstances | {"machine": "AVX2"}, "reason": chosen.reason}
    (run / RUN).write_text(json.dumps(recipe | {"chosen": chosen_table}))
    assert complete(small_store, tmp_path / "m", resume=True) == (begun, chosen)
    # More time, asked for when it goes on, makes no other model of it.
    assert complete(small_store, tmp_path / "m", resume=True, **{"training.minutes": 600.0})[0] == begun
    # Without --resume it is another run.
    assert complete(small_store, tmp_path / "m")[0] == other
    # One of an earlier version, for which nothing was chosen, stays the GPT-2 of 2019.
    (run / RUN).write_text(json.dumps(recipe))
    assert complete(small_store, tmp_path / "m", resume=True)[0] == family("gpt2").config()


def test_a_finished_model_is_found_finished(
    small_store: Path, tmp_path: Path, machine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    langue.train("gpt2", small_store, tmp_path / "m", **SHORT)
    machine("AMX")
    with caplog.at_level(logging.INFO, "langue"):
        langue.train("gpt2", small_store, tmp_path / "m", **SHORT, resume=True)
    assert "nothing is left to do" in caplog.text


def test_a_family_without_a_rule_is_left_alone(small_store: Path) -> None:
    kind: Family[Any] = family("ngram")
    defaults = Defaults(small_store)
    assert defaults.complete(kind, {"model": {"order": 3}}) == {"model": {"order": 3}}
    assert defaults.chosen is None


def test_a_wrong_value_is_told_as_ever(small_store: Path) -> None:
    for settings in ({"training.minutes": "many"}, {"training.tokens": -1}, {"model.dropout": 2.0}):
        with pytest.raises(langue.InvalidSetting, match=next(iter(settings))):
            complete(small_store, **settings)
