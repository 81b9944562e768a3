"""What there is to train and to set is told whole, from the source itself."""

import json

import pytest

import langue
from langue import cli
from langue.base.config import field_names
from langue.base.options import options_of
from langue.models.registry import MODULES, family
from langue.training.config import TrainingConfig


def test_every_family_and_every_setting_is_listed() -> None:
    assert [entry.name for entry in langue.families()] == list(MODULES)
    for name in MODULES:
        (entry,) = langue.families(name)
        assert [option.name for option in entry.options["model"]] == list(field_names(family(name).config))
        json.dumps(entry.to_json(), allow_nan=False)


def test_a_setting_has_its_type_its_default_and_its_reason() -> None:
    options = {option.name: option for option in options_of(TrainingConfig)}
    assert options["learning_rate"].type == "number > 0"
    assert options["learning_rate"].default == 1e-3
    assert "nanoGPT" in options["learning_rate"].reason
    assert options["optimizer"].type == "adamw, muon, lamb, sgd"
    assert options["fsdp"].type == "true, false"
    (model,) = langue.families("bert")
    options = {option.name: option for option in model.options["model"]}
    assert "a part of a word" in options["masking"].reason  # of the base of the section


def test_recipes_say_what_they_are() -> None:
    recipes = {recipe.name: recipe for recipe in langue.recipes()}
    assert recipes["ptb-lstm-small"].family == "rnn"
    assert all(recipe.summary for recipe in recipes.values())


def test_the_command_line_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["families"]) == 0
    assert "langue families NAME" in capsys.readouterr().out
    assert cli.run(["families", "ngram", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["learns_from"] == "a token store"
    assert cli.run(["families", "crf"]) == 0
    assert "learns from a labelled file" in capsys.readouterr().out
    assert cli.run(["families", "ngrams"]) == 2
    assert "did you mean ngram?" in capsys.readouterr().err
    assert cli.run(["recipes", "--json"]) == 0
    assert {"name", "family", "summary"} == set(json.loads(capsys.readouterr().out)[0])


def test_every_public_name_is_there() -> None:
    assert {name for name in langue.__all__ if getattr(langue, name) is None} == set()
    with pytest.warns(FutureWarning, match="CausalModel"):
        assert langue.LanguageModel is langue.CausalModel  # type: ignore[attr-defined]
