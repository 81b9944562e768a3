"""Finding strings and copied pieces, against searching the text itself."""

import json
import random
import unicodedata
from pathlib import Path

import pytest

import langue
from langue import InfiniGramModel
from langue.base.errors import LangueError
from langue.evaluation.verbatim import Occurrence, Piece, _longest, _occurrence

DOCUMENTS = [
    "the cat sat on the mat", "the cat ran", "a dog, the cat and 语言模型", "语言和模型",
    "white whale, the White Whale", "却说猪八戒与八戒的师兄孙悟空，八八戒戒。", "哈哈哈哈哈",
    "  blanks  before and after  ", "café na\u0308ive 🙂🙂🙂",
]  # fmt: skip
STRINGS = [
    "the cat", "cat", "t", "e ca", " the", "hite whal", "语言", "dog, the", "absent",
    "the cat sat on the mat", "八戒", "天", "悟空，", "哈哈", " ", "  b", "🙂", "🙂🙂", "é", "n",
]  # fmt: skip
Trained = tuple[InfiniGramModel, list[str]]


@pytest.fixture(scope="module", params=["bytes", "bpe", "words", "chars", "wordpiece", "unigram"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A model over each kind of tokenizer, and its training documents."""
    folder = tmp_path_factory.mktemp("verbatim")
    (folder / "text").write_text("\n".join(DOCUMENTS), encoding="utf-8")
    langue.prepare(
        folder / "text", folder / "store", documents="line", kind=request.param, vocabulary=330,
        valid=[folder / "text"], test=[folder / "text"],
    )  # fmt: skip
    langue.train("infinigram", folder / "store", folder / "model")
    return InfiniGramModel.load(folder / "model"), [unicodedata.normalize("NFC", text) for text in DOCUMENTS]


def test_find_is_string_counting_whatever_the_tokenizer(trained: Trained) -> None:
    model, documents = trained
    for text in STRINGS:
        found = model.find(text, limit=99)
        places = [
            (number, begin)
            for number, document in enumerate(documents)
            for begin in range(len(document))
            if document.startswith(text, begin)
        ]
        assert (found.count, found.split) == (len(places), "train")
        assert found.documents == len({number for number, _ in places})
        for (number, begin), occurrence in zip(places, found.occurrences, strict=True):
            assert occurrence.document == number
            assert occurrence.before == documents[number][:begin]
            assert occurrence.after == documents[number][begin + len(text) :]
        assert (model.find(text, limit=0).count, model.find(text, limit=0).occurrences) == (found.count, [])
        json.dumps(found.to_json(), allow_nan=False)
    assert "3 times in 3 documents of the train split (valid and test are not searched)" in str(
        model.find("the cat")
    )
    with pytest.raises(LangueError, match="the text is empty"):
        model.find("")


def test_a_vocabulary_that_is_closed_is_searched_as_it_spells(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("the king is dead\nlong live the king\n")
    langue.prepare(
        tmp_path / "text", tmp_path / "store", documents="line", kind="whitespace",
        valid=[tmp_path / "text"], test=[tmp_path / "text"],
    )  # fmt: skip
    langue.train("infinigram", tmp_path / "store", tmp_path / "model")
    found = InfiniGramModel.load(tmp_path / "model").find("ki")
    around = [(one.before, one.after) for one in found.occurrences]
    assert around == [("the ", "ng is dead "), ("long live the ", "ng ")]


def test_what_is_shown_around_is_cut_between_characters() -> None:
    data = ("语" * 100 + "word" + "🙂" * 100).encode()
    assert _occurrence(0, data, 300, 304) == Occurrence(0, "语" * 40, "🙂" * 40)


def pieces_of(text: str, documents: list[str], least: int) -> tuple[set[str], int]:
    """Every piece of a text that stands in a document and can be made no longer, and the bytes they cover."""
    pieces, covered = set(), [False] * len(text)
    for begin in range(len(text)):
        ends = [
            end for end in range(begin + 1, len(text) + 1) if any(text[begin:end] in one for one in documents)
        ]
        if ends and len(text[begin : ends[-1]].encode()) >= least:
            covered[begin : ends[-1]] = [True] * (ends[-1] - begin)
            if not begin or not any(text[begin - 1 : ends[-1]] in one for one in documents):
                pieces.add(text[begin : ends[-1]])
    return pieces, sum(len(text[at].encode()) for at in range(len(text)) if covered[at])


@pytest.mark.parametrize("least", [1, 5, 9])
def test_what_was_copied_is_what_trying_every_piece_says(trained: Trained, least: int) -> None:
    model, documents = trained
    for text in (
        "xyz the cat sat on the mouse 语言模型 q", "猪八戒与八戒的师兄沙僧", "哈哈哈哈哈哈哈", documents[0],
        "QQQQ", "", "the White Whale, the cat and 语言和模型",
    ):  # fmt: skip
        found = model.copied(text, min_bytes=least, limit=99)
        pieces, covered = pieces_of(text, documents, least)
        assert {span.text for span in found.spans} == pieces
        assert (found.copied, found.bytes) == (covered, len(text.encode()))
        for span in found.spans:
            assert span.text in documents[span.document]
            assert span.bytes == len(span.text.encode())
        json.dumps(found.to_json(), allow_nan=False)
    assert model.copied(documents[0], min_bytes=8).share == 1


def test_a_long_copy_takes_no_square_of_its_length() -> None:
    text = "".join(random.Random(0).choices("abcd efgh\n", k=300_000))
    documents = [Piece(0, text.encode()), Piece(1, b"x" * 1000)]
    lengths, owners = _longest(documents, ("QQ" + text + "QQ" + text[:1000]).encode())
    assert (lengths[2], lengths[300_004], owners[2]) == (300_000, 1000, 0)


def test_the_family_passes_the_self_tests(small_store: Path, tmp_path: Path) -> None:
    model = langue.train("infinigram", small_store, tmp_path / "model", alpha=0.01)
    found = langue.evaluate(model, small_store, check=True)
    assert found.passed, str(found)


def test_other_families_keep_no_text(small_models: dict[str, Path]) -> None:
    with pytest.raises(langue.LangueError, match="infinigram"):
        InfiniGramModel.load(small_models["trigram"])
