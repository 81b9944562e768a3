from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
import pytest

from langue.base.config import Config, decode, encode, override, read_struct, read_toml
from langue.base.deprecated import RenamedWarning
from langue.base.errors import LangueError


class Training(Config):
    steps: Annotated[int, msgspec.Meta(ge=1)] = 10
    seed: int = 0
    schedule: Literal["cosine", "linear"] = "cosine"


class Model(Config):
    order: int = 5
    kind: str = "plain"
    seed: int = 0


BELOW = f"write one below {2**53}"
SECTIONS = {"model": Model, "training": Training}


def test_defaults_are_filled_and_written_out() -> None:
    expected = {"steps": 3, "seed": 0, "schedule": "cosine"}
    assert encode(decode(Training, {"steps": 3}, "training")) == expected


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"steps": float("inf")},
            f"training.steps: inf is no number that can be kept; {BELOW}",
        ),
        (
            {"seed": float("nan")},
            f"training.seed: nan is no number that can be kept; {BELOW}",
        ),
        (
            {"seed": [1.0, float("-inf")]},
            f"training.seed: -inf is no number that can be kept; {BELOW}",
        ),
        ({"seed": 10**23}, f"training.seed: {10**23} is no number that can be kept; {BELOW}"),
        ({"stesp": 3}, "unknown key training.stesp; did you mean steps?"),
        ({"steps": "many"}, "training.steps: Expected `int`, got `str`"),
        ({"steps": 0}, "training.steps: Expected `int` >= 1"),
        ({"schedule": "line"}, "training.schedule: Invalid enum value 'line'; did you mean linear?"),
        ({"schedule": "x"}, "training.schedule: Invalid enum value 'x'; known: cosine, linear"),
    ],
)
def test_mistakes_are_named_with_their_path(table: dict[str, object], message: str) -> None:
    with pytest.raises(LangueError) as caught:
        decode(Training, table, "training")
    assert str(caught.value) == message


def test_overrides_take_the_full_name_or_an_unambiguous_last_name() -> None:
    tables = override({"training": {"seed": 1}}, ["training.steps=5", "order=3", "kind=词"], SECTIONS)
    assert tables == {"training": {"seed": 1, "steps": 5}, "model": {"order": 3, "kind": "词"}}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("steps", "write section.key=value"),
        ("seed=1", "write model.seed or training.seed"),
        ("ordr=1", "did you mean order"),
        ("trainin.steps=1", "did you mean training"),
        ("training.stepz=1", "did you mean steps"),
    ],
)
def test_bad_overrides_say_what_to_write(assignment: str, message: str) -> None:
    with pytest.raises(LangueError, match=message):
        override({}, [assignment], SECTIONS)


class Renamed(Training, frozen=True):
    RENAMED: ClassVar[dict[str, str]] = {"updates": "steps"}
    RENAMED_VALUES: ClassVar[dict[str, dict[str, str]]] = {"schedule": {"cos": "cosine", "line": "linear"}}


class Inherited(Renamed, frozen=True):
    RENAMED: ClassVar[dict[str, str]] = {"start": "seed"}


def test_old_names_and_values_are_read_with_a_warning() -> None:
    table = {"updates": 3, "schedule": "line", "start": 1}
    expected = {"steps": 3, "seed": 1, "schedule": "linear"}
    with pytest.warns(RenamedWarning) as told:
        assert encode(decode(Inherited, table, "training")) == expected
    assert sorted(str(warning.message).partition(";")[0] for warning in told) == [
        'training.schedule = "line" is now "linear"',
        "training.start is now training.seed",
        "training.updates is now training.steps",
    ]
    assert encode(decode(Inherited, table, "training", stored=True)) == expected


def test_an_old_name_overrides_a_new_one_and_is_overridden_by_it() -> None:
    sections = {"model": Model, "training": Inherited}
    for older, newer in (("updates", "steps"), ("steps", "updates")):
        with pytest.warns(RenamedWarning, match="updates is now (training.)?steps"):
            tables = override({"training": {older: 2}}, [f"{newer}=3"], sections)
        assert tables == {"training": {"steps": 3}}
    with pytest.warns(RenamedWarning, match=r"^training\.updates is now training\.steps"):
        assert override({}, [], sections, {"training.updates": 4}) == {"training": {"steps": 4}}


def test_suggestions_are_new_names() -> None:
    with pytest.raises(LangueError) as caught:
        decode(Inherited, {"update": 3}, "training")
    assert str(caught.value) == "unknown key training.update; known: schedule, seed, steps"


def test_broken_toml_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("a = 1\nb = = 2\n")
    with pytest.raises(LangueError, match=r"recipe\.toml is not valid TOML: .*line 2"):
        read_toml(path)
    with pytest.raises(LangueError, match="cannot read"):
        read_toml(tmp_path / "none.toml")


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "1" * 5000, "a = ="])
def test_toml_that_breaks_readers_is_a_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(LangueError, match="is not valid TOML"):
        read_toml(tmp_path / "a.toml")


class Record(msgspec.Struct):
    size: Annotated[int, msgspec.Meta(ge=1)]
    files: dict[str, list[int]] = {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "its contents: Expected `object`, got `array`"),
        ("null", "its contents: Expected `object`, got `null`"),
        ("{}", "its contents: Object missing required field `size`"),
        ('{"size": -1}', "size: Expected `int` >= 1"),
        ('{"size": 1, "files": {"a": 3}}', r"files\[...\]: Expected `array`, got `int`"),
    ],
)
def test_a_file_is_read_as_what_it_must_hold(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(LangueError, match=f"a.json is damaged: {message}"):
        read_struct(Record, path)
