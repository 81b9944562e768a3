"""What `model.json` says is of its type, whoever made it, its digest right: else it is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.fuzz.campaign import ARTEFACTS, prepared
from tests.fuzz.edits import make_right

import langue
from langue.base.errors import LangueError

DATA = Path(__file__).parents[1] / "compat" / "data"


def use(folder: Path) -> None:
    """As whoever loads a model, shows it, and measures it."""
    model: Any = langue.load(folder)
    repr(model)
    if isinstance(model, langue.TaggerModel):
        assert model.unit and model.columns
        langue.evaluate(model, DATA / "texts" / model.info()["data"]["file"])
    else:
        langue.compare([model], on=DATA / "texts" / "held-out.txt")


@pytest.mark.filterwarnings("ignore::langue.base.deprecated.RenamedWarning")
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("markov", {"tokenizer": None}),
        ("markov", {"measured": {}}),
        ("markov", {"measured.seconds": "long"}),
        ("markov", {"measured.seconds": -1}),
        ("crf", {"data": None, "data.columns": None, "data.tags": -1, "data.unit": "lines"}),
        ("rnn-tagger", {"measured.valid": {}, "measured.valid.f1": "good"}),
        ("encoder-tagger", {"config.labels": [], "config.labels.0": "O"}),
    ],
)
def test_an_entry_that_is_not_what_it_must_be_is_named(
    name: str, wrong: dict[str, Any], tmp_path: Path
) -> None:
    folder = prepared(ARTEFACTS[name], tmp_path / name)
    use(folder)
    path = folder / "model.json"
    whole = path.read_text()
    for where, value in wrong.items():
        table = json.loads(whole)
        *parents, last = (int(part) if part.isdigit() else part for part in where.split("."))
        inner = table
        for part in parents:
            inner = inner[part]
        inner[last] = value
        path.write_text(json.dumps(table))
        make_right(folder)
        with pytest.raises(LangueError, match=r"model\.json"):
            use(folder)
