"""Where tokens stand in words: by hand, and what a CRF of characters makes of it."""

from langue.corpus.tagged import Sentence
from langue.models.family import TaggedData
from langue.models.taggers.crf import CRFConfig, estimate
from langue.models.taggers.crf.segments import segment_sentences


def places(*sentences: Sentence) -> str:
    (column,) = segment_sentences(sentences)
    return "".join(str(column.names[number]) for number in column.numbers)


def sentence(text: str, tags: str = "") -> Sentence:
    return Sentence((tuple(text),), tuple(tags))


def test_by_hand() -> None:
    assert places(sentence("他在北京大学读书，1965年")) == "SSBMMEBESBMMES"
    assert places(Sentence((("北京", "大学", "读书"),))) == "BES"  # of tokens of more than one character
    assert places(Sentence(((),)), sentence("北京"), Sentence(((),))) == "BE"
    assert places() == ""


def test_the_words_of_a_sentence_are_its_own() -> None:
    together = (sentence("在北京"), sentence("大学读书"))
    assert places(*together) == "".join(map(places, together))


def test_characters_are_told_apart_by_the_words_they_stand_in() -> None:
    training = [sentence("他在北京读书", "OOBEOO"), sentence("我去上海工作", "OOBEOO")] * 3
    model = estimate(CRFConfig(templates=("segment[-1..1]", "word")), TaggedData(("word",), training))
    assert model.tag([sentence("她来广州学习")])[0][2:4] == ("B", "E")  # of which no character was seen
    assert any("segment" in weight.feature for weight in model.strongest(20))


def test_a_column_of_that_name_comes_first() -> None:
    training = [Sentence((tuple("北京"), ("x", "y")), ("A", "B"))] * 2
    model = estimate(CRFConfig(templates=("segment",)), TaggedData(("word", "segment"), training))
    assert model.tag([Sentence((tuple("大学"), ("y", "x")))]) == [("B", "A")]
