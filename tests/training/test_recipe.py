"""Recipes: by name, by file, on a base; a mistake is named."""

from pathlib import Path

import pytest

from langue.base.errors import LangueError
from langue.training import recipe
from langue.training.recipe import BUDGETS, own_recipes, read_data, read_recipe


@pytest.mark.parametrize("name", sorted(own_recipes()))
def test_every_recipe_of_ours_is_one(name: str) -> None:
    found = read_recipe(name)
    assert found.training is not None
    read_data(name)


def test_ours_are_found_by_name_and_where_the_wheel_puts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"shakespeare-gpt2", "shakespeare-gpt2-quick", "chinese-gpt2", "gpt2-124m"} <= set(own_recipes())
    (tmp_path / "mine.toml").write_text('family = "ngram"\n[model]\norder = 2\n')
    monkeypatch.setattr(recipe, "INSTALLED", tmp_path)
    assert set(own_recipes()) == {"mine"}
    assert read_recipe("mine").family.name == "ngram"


def test_a_recipe_on_a_base_holds_only_what_differs() -> None:
    quick, large = read_recipe("shakespeare-gpt2-quick"), read_recipe("shakespeare-gpt2")
    assert large.training and quick.training
    assert large.to_table()["model"]["activation"] == quick.to_table()["model"]["activation"] == "relu2"
    assert large.to_table()["model"]["width"] == 256
    assert (large.training.minutes, large.training.steps, large.training.optimizer) == (0.0, 6000, "muon")


@pytest.mark.parametrize(
    ("typed", "budget"),
    [
        ({"training.minutes": 3}, {"minutes": 3}),
        ({"minutes": 3.5}, {"minutes": 3.5}),
        ({"steps": 7, "minutes": 1}, {"steps": 7, "minutes": 1}),
        ({"tokens": 10_000}, {"tokens": 10_000}),
        ({"training.epochs": 0.5}, {"epochs": 0.5}),
    ],
)
@pytest.mark.parametrize("name", ["chinese-gpt2", "shakespeare-gpt2", "ptb-lstm-small", "chinese-bert-quick"])
def test_a_budget_that_is_typed_beats_one_of_the_recipe(
    name: str, typed: dict[str, float], budget: dict[str, float]
) -> None:
    for resolved in (
        read_recipe(name, settings=typed), read_recipe(name, [f"{key}={n}" for key, n in typed.items()])
    ):  # fmt: skip
        training = resolved.to_table()["training"]
        assert {key: training[key] for key in BUDGETS if training[key]} == budget


def test_a_budget_of_nothing_leaves_that_of_the_recipe(tmp_path: Path) -> None:
    for typed in ({"minutes": 0}, {"learning_rate": 1.0}, {}):
        training = read_recipe("chinese-gpt2", settings=typed).to_table()["training"]
        assert training["epochs"] == 6
    base = 'family = "rnn"\n[training]\nepochs = 3\nlearning_rate = 0.5\n'
    (tmp_path / "base.toml").write_text(base)
    (tmp_path / "on.toml").write_text('base = "base.toml"\n[training]\nminutes = 2\n')
    training = read_recipe(str(tmp_path / "on.toml")).to_table()["training"]
    assert (training["epochs"], training["minutes"], training["learning_rate"]) == (0, 2, 0.5)


def test_a_wrong_name_gets_the_nearest_right_one() -> None:
    with pytest.raises(LangueError, match="no family and no recipe chinese-gpt; did you mean chinese-gpt2"):
        read_recipe("chinese-gpt")
    with pytest.raises(LangueError, match=r"cannot read nothing\.toml"):
        read_recipe("nothing.toml")


def test_a_recipe_cannot_be_its_own_base(tmp_path: Path) -> None:
    for name, base in (("self", "self"), ("one", "two"), ("two", "one")):
        (tmp_path / f"{name}.toml").write_text(f'family = "ngram"\nbase = "{base}.toml"\n')
    for name in ("self", "one"):
        with pytest.raises(LangueError, match="is its own base, by way of"):
            read_recipe(str(tmp_path / f"{name}.toml"))
