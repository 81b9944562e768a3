"""Finding strings and copied pieces, against searching the text itself."""

import json
from pathlib import Path

import pytest

import langue
from langue.api import InfiniGramModel
from langue.tokens.store import TokenStore


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> tuple[InfiniGramModel, list[str]]:
    """A model over bytes, and its training documents."""
    folder = tmp_path_factory.mktemp("verbatim")
    documents = ["the cat sat on the mat", "the cat ran", "a dog, the cat and 语言模型", "语言和模型"]
    (folder / "text").write_text("\n".join(documents), encoding="utf-8")
    langue.prepare(
        folder / "text", folder / "store", documents="line", kind="bytes",
        valid=[folder / "text"], test=[folder / "text"],
    )  # fmt: skip
    model = langue.train("infinigram", folder / "store", folder / "model")
    split = TokenStore(folder / "store").split("train")
    return model, [model.tokenizer.decode(ids) for ids in split.documents()]


@pytest.mark.parametrize(
    "text", ["the cat", "cat", "t", "语言", "dog, the", "absent", "the cat sat on the mat"]
)
def test_every_occurrence_is_found(letters: tuple[InfiniGramModel, list[str]], text: str) -> None:
    model, documents = letters
    found = model.find(text, limit=99)
    assert found.count == sum(
        document.startswith(text, place) for document in documents for place in range(len(document))
    )
    assert found.documents == sum(text in document for document in documents)
    assert len(found.occurrences) == found.count
    for place in found.occurrences:
        around = f"{place.before}{text}{place.after}".strip()
        assert around in documents[place.document] or not around.isascii()
    json.dumps(found.to_json(), allow_nan=False)


def test_what_was_copied_is_measured(letters: tuple[InfiniGramModel, list[str]]) -> None:
    model, documents = letters
    text = "xyz the cat sat on the mouse 语言模型 q"
    found = model.copied(text, min_tokens=5)
    pieces = [" the cat sat on the m"[1:], "语言模型"]
    assert found.spans[0].text.strip() == "the cat sat on the m"
    for span in found.spans:
        assert span.text in documents[span.document]
        assert span.tokens == len(span.text.encode()) >= 5
    assert found.copied >= sum(len(piece.encode()) for piece in pieces)
    assert found.copied < found.bytes == len(text.encode())
    assert model.copied(documents[0]).share == 1
    assert model.copied("").share == 0
    assert model.copied("QQQQ").spans == []
    json.dumps(found.to_json(), allow_nan=False)


def test_the_family_passes_the_self_tests(small_store: Path, tmp_path: Path) -> None:
    model = langue.train("infinigram", small_store, tmp_path / "model", alpha=0.01)
    found = langue.evaluate(model, small_store, check=True)
    assert found.passed, str(found)


def test_other_families_keep_no_text(small_models: dict[str, Path]) -> None:
    with pytest.raises(langue.LangueError, match="infinigram"):
        InfiniGramModel.load(small_models["trigram"])
