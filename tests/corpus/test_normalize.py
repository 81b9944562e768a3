import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langue.corpus.normalize import Normalization

ANY = st.text(st.characters(codec=None), max_size=60)
KINDS = [Normalization(), Normalization(form="NFKC"), Normalization(fold_width=True)]


@given(ANY, st.sampled_from(KINDS))
def test_twice_is_once_and_the_result_is_encodable(text: str, kind: Normalization) -> None:
    once = kind.apply(text)
    assert kind.apply(once) == once
    assert unicodedata.is_normalized(kind.form, once)
    once.encode()


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("\n\t")))
def test_plain_text_is_left_alone(text: str) -> None:
    assert Normalization().apply(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc", "a\nb\nc"),
        ("e\u0301", "é"),
        ("a\x0cb", "a\nb"),
        ("\ufeffa\x00\x1bb", "ab"),
        ("a \ufeff b", "a \ufeff b"),
        ("\x00\ufeff\ufeffa", "a"),
        ("\ud800", "\ufffd"),
        ("ＡＢ　！", "ＡＢ　！"),
    ],
)
def test_what_the_default_does(text: str, expected: str) -> None:
    assert Normalization().apply(text) == expected


def test_what_the_options_do() -> None:
    assert Normalization(fold_width=True).apply("ＡＢ　！，。") == "AB !,。"
    assert Normalization(form="NFKC").apply("ﬁ①") == "fi1"


def test_removed_characters_are_counted() -> None:
    assert Normalization().count("a\x00b\x07\r\n").removed == 2


@pytest.mark.parametrize("kind", [Normalization(), Normalization(form="NFKC", fold_width=True)])
@pytest.mark.parametrize(
    "text", ["plain", "cafe\u0301 \x07no", "\u1112\u1161\u11ab 天下，ﬁ\r\nend", "\ufeffx", ""]
)
def test_aligned_says_where_characters_stood(kind: Normalization, text: str) -> None:
    aligned = kind.aligned(text)
    assert aligned.text == kind.apply(text)
    origins = list(aligned.origins)
    assert len(origins) == len(aligned.text) + 1 and origins == sorted(origins) and origins[-1] == len(text)
    for character, origin in zip(aligned.text, origins, strict=False):
        if character in "plainofdx天下":
            assert text[origin] == character or text[origin] == "ﬁ"
