"""What the rest of a document says of a word: by hand, and what a CRF makes of it."""

from pathlib import Path
from typing import Literal

import pytest

from langue.corpus.tagged import Sentence
from langue.models.family import TaggedData
from langue.models.taggers.crf import CRFConfig, estimate, load
from langue.models.taggers.crf.document import ELSEWHERE, elsewhere, hide_documents

TEXT = (
    "HENMAN WINS IN LONDON",
    "Tim Henman of Britain won .",
    '" Henman is good , " said the coach .',
    "The Bank of England cut rates ; a bank did so too .",
    "银行 说 Henman 好",
)


def document(*texts: str, tags: tuple[str, ...] = ()) -> list[Sentence]:
    columns = tuple((tuple(text.split()),) for text in texts)
    given = [tuple(line.split()) for line in tags] or [()] * len(columns)
    return [Sentence(one, known, document=columns) for one, known in zip(columns, given, strict=True)]


def told(sentences: list[Sentence], number: int, word: str) -> dict[str, str]:
    place = sum(len(one.words) for one in sentences[:number]) + sentences[number].words.index(word)
    values = (column.names[column.numbers[place]] for column in elsewhere(sentences))
    return dict(zip(ELSEWHERE, values, strict=True))


def test_by_hand() -> None:
    found = document(*TEXT)
    headline = told(found, 0, "HENMAN")
    assert headline == {
        "spelled": "CHS", "name_before": "Tim", "name_after": "", "left": "tim", "right": "of",
    }  # fmt: skip
    assert told(found, 1, "Henman")["right"] == "is"  # not its own, but that of the next place
    assert told(found, 1, "Tim") == {
        "spelled": "S", "name_before": "", "name_after": "Henman", "left": "", "right": "",
    }  # fmt: skip
    assert told(found, 3, "bank")["spelled"] == "lC"
    assert told(found, 3, "bank")["left"] == ""  # what is in lower case is no name
    assert told(found, 3, ".") == dict.fromkeys(ELSEWHERE, "")
    assert told(found, 4, "银行")["spelled"] == "S"  # which has no capitals
    assert told(found, 4, "Henman")["left"] == "tim"


def test_a_sentence_that_stands_alone_has_none_of_it() -> None:
    for numbers, names in elsewhere([Sentence((("Tim", "won"),))]):
        assert [names[number] for number in numbers] == [None, None]
    for numbers, _ in elsewhere([]):
        assert not len(numbers)


def test_that_a_document_says_nothing_is_something_to_see() -> None:
    """A name of which the rest is unknown differs from one that is never told in full."""
    told_in_full = [document(f"{first} Xan won", "Xan left", tags=("O O O", "A O")) for first in "ABC"]
    never = [document("Xan won", "Xan left", tags=("O O", "B O")) for _ in "ABC"]
    training = [sentence for one in (*told_in_full, *never) for sentence in one]
    model = estimate(CRFConfig(templates=("name_before", "word[1]")), TaggedData(("word",), training))
    assert model.tag(document("Zoe Xan won", "Xan left"))[1][0] == "A"
    assert model.tag(document("Xan won", "Xan left"))[1][0] == "B"


def test_a_name_is_known_by_its_document(tmp_path: Path) -> None:
    """ "Xan" is a person where "Tim Xan" was named, else a place: nothing in its sentence says which."""
    person, place = ("Tim {} came .", "{} won ."), ("In {} it rains .", "{} won .")
    training = [
        sentence
        for name in ("Xan", "Yor", "Zed", "Qui")
        for texts, tags in (
            (person, ("B-PER I-PER O O", "B-PER O O")),
            (place, ("O B-LOC O O O", "B-LOC O O")),
        )
        for sentence in document(*(text.format(name) for text in texts), tags=tags)
    ]
    model = estimate(CRFConfig(), TaggedData(("word",), training))
    people = document(*(text.format("Wim") for text in person))
    places = document(*(text.format("Wim") for text in place))
    assert model.tag(people)[1][0] == "B-PER"
    assert model.tag(places)[1][0] == "B-LOC"
    # A sentence carries its document along: alone, in another order and from the disk it is the same.
    model.save(tmp_path)
    for tagger in (model, load(tmp_path, CRFConfig())):
        assert tagger.tag([people[1]]) == [model.tag(people)[1]]
        assert tagger.tag([places[1], people[1]]) == [model.tag(places)[1], model.tag(people)[1]]
        assert tagger.best(people[1], 1)[0][1] == model.tag(people)[1]


def test_half_of_the_documents_are_hidden() -> None:
    sentences = [one for n in range(9) for one in document(f"a {n}", f"b {n}")]
    for seed in range(4):
        told = [bool(one.document) for one in hide_documents(sentences, seed)]
        assert told[::2] == told[1::2]  # a document whole
        assert [told[i] + told[i + 2] for i in range(0, 16, 4)] == [1] * 4  # one of each two
    assert hide_documents(sentences, 1) != hide_documents(sentences, 2)
    alone = [Sentence((("a",),)), Sentence((("b",),))]
    assert hide_documents(alone, 0) == alone
    single = hide_documents(document("a", "b", "c"), 0)
    assert [bool(one.document) for one in single] == [True, False, True]
    assert [one.columns for one in single] == [one.columns for one in document("a", "b", "c")]


@pytest.mark.parametrize("passes", [1, 2])
def test_a_model_of_documents_tags_a_sentence_alone(passes: Literal[1, 2]) -> None:
    """A document says nothing of punctuation, which says much there: alone, it must be known by itself."""
    texts, tags = ("Tim Xan left ;", "a dog ran (", "no ; ("), ("N N V P", "D N V P", "D P P")
    training = [one for _ in range(10) for one in document(*texts, tags=tags)]
    model = estimate(CRFConfig(passes=passes), TaggedData(("word",), training))
    for sentences in (document(*texts), [one._replace(document=()) for one in document(*texts)]):
        assert model.tag(sentences) == [tuple(line.split()) for line in tags]
