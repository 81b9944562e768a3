"""`/v1/classify` says what Python says: of one label, of several, of pairs."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Address, running

import langue

MODELS = Path(__file__).parents[1] / "compat" / "data" / "models"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One of several labels is that of one label, with a temperature, said to be of several."""
    several = tmp_path_factory.mktemp("models") / "several"
    shutil.copytree(MODELS / "classifier", several)
    description = json.loads((several / "model.json").read_text())
    description["config"] |= {"task": "multilabel", "temperature": 2.0}
    (several / "model.json").write_text(json.dumps(description))
    return {"one": MODELS / "classifier", "several": several, "pairs": MODELS / "classifier-pair"}


@pytest.fixture(scope="module")
def address(folders: dict[str, Path]) -> Iterator[Address]:
    with running(folders) as address:
        yield address


@pytest.mark.parametrize("name", ["one", "several", "pairs"])
def test_labels_are_those_of_python(address: Address, folders: dict[str, Path], name: str) -> None:
    examples = [["the king", "a queen"], ["天", "the sky"]] if name == "pairs" else [["the king"], ["天"]]
    own = langue.load(folders[name]).classify_all(examples)
    card = address.ask(f"/v1/models/{name}").json
    assert card["texts"] == len(examples[0])  # told before it is loaded
    asked = examples if name == "pairs" else [text for (text,) in examples]
    told = address.ask("/v1/classify", {"model": name, "text": asked}).json
    assert told["multilabel"] == (name == "several")
    for labels, expected in zip(told["results"], own, strict=True):
        assert [one["label"] for one in labels] == [label for label, _ in expected]
        assert [one["probability"] for one in labels] == pytest.approx([p for _, p in expected], abs=1e-5)
    sums = [sum(one["probability"] for one in labels) for labels in told["results"]]
    assert (sums == pytest.approx([1.0] * 2, abs=1e-4)) == (name != "several")
    assert address.ask(f"/v1/models/{name}").json["labels"] == list(langue.load(folders[name]).labels)


def test_many_texts_are_labeled_in_their_order(address: Address) -> None:
    texts = [f"the king {number}" for number in range(40)]  # more than are read at a time
    told = address.ask("/v1/classify", {"model": "one", "text": texts}).json["results"]
    own = langue.load(MODELS / "classifier").classify_all([[text] for text in texts])
    assert [row[0]["probability"] for row in told] == pytest.approx([row[0][1] for row in own], abs=1e-5)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"model": "pairs", "text": "a"}, "pairs reads pairs of texts"),
        ({"model": "pairs", "text": ["a", "b"]}, "pairs reads pairs of texts"),
        ({"model": "one", "text": [["a", "b"]]}, "one reads single texts"),
        ({"text": []}, "text"),
        ({"text": [["a", "b", "c"]]}, "text"),
        ({"text": [True]}, "text"),
        ({"text": "a", "top": 1}, "top"),
        ({"text": "a" * 200_000}, "at most 131,072"),
    ],
)
def test_what_is_wrong_is_named(address: Address, body: dict[str, Any], said: str) -> None:
    reply = address.ask("/v1/classify", body)
    assert reply.status == 400 and said in reply.error
