"""Texts by words that are known: the ids that the library gives them as a whole."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as HFTokenizer

from langue.tokens import known_words
from langue.tokens.known_words import KnownWords, goes_by_words
from langue.tokens.tokenizer import Tokenizer
from langue.tokens.train import TokenizerConfig, train_tokenizer

TEXT = (
    "It's what they'll say, isn't it? In 1859 the café's  menu:\n\n    x = f(y)  # naïve 中文\u3000了。\r\n"
)
PIECES = [
    "a", "B", "is", " ", "  ", "\n", "\t", "'", "'s", "'ll", "'re", "1", "23", "!", "...", "é", "́", "\u3000",
    "\xa0", "\x85", "\u2028", "\u200b", "中", "\r\n", "_", "\x1c", "\x00", "\x7f", "²", "<eos>", "𝒳",
]  # fmt: skip


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    return train_tokenizer(TokenizerConfig(vocabulary=400), [TEXT * 20])


@pytest.fixture(autouse=True, scope="module")
def any_text_goes_by_words() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_words, "LEAST", 0)
        patch.setattr(known_words, "FEW", 1 << 30)
        yield


def as_a_whole(bpe: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in bpe._hf.encode_batch_fast(texts, add_special_tokens=False)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), min_size=1, max_size=3))
def test_ids_are_those_of_the_library(bpe: Tokenizer, texts: list[str]) -> None:
    known = KnownWords(bpe._hf)
    for _ in range(2):
        ids = known.encode(texts)
        assert ids is not None
        assert [own.tolist() for own in ids] == as_a_whole(bpe, texts)


def test_every_character_stands_beside_others_as_in_the_library(bpe: Tokenizer) -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    known = KnownWords(bpe._hf)
    text = [f"a{one}b! {one}'s\n{one}" for one in characters[:0x3100] + characters[0x3100::97]]
    ids = known.encode(text)
    assert ids is not None
    assert [own.tolist() for own in ids] == as_a_whole(bpe, text)


def test_words_are_forgotten_where_they_are_many_or_long(
    bpe: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_words, "MOST_WORDS", 30)
    known = KnownWords(bpe._hf)
    for number in range(20):
        texts = [f"{TEXT} {number} {'long' * 30}"]
        ids = known.encode(texts)
        assert ids is not None
        assert [own.tolist() for own in ids] == as_a_whole(bpe, texts)
        assert max(map(len, known._known)) <= known_words.LONG
    assert len(known._known) < 40


def test_only_tokenizers_of_that_pattern_go_by_words(bpe: Tokenizer) -> None:
    assert goes_by_words(bpe._hf)
    for kind in ("unigram", "wordpiece", "words", "chars", "bytes"):
        other = train_tokenizer(TokenizerConfig(kind=kind), [TEXT * 20])  # type: ignore[arg-type]
        assert not goes_by_words(other._hf)
    added = HFTokenizer.from_str(bpe._hf.to_str())
    added.add_tokens(["x = f"])
    assert not goes_by_words(added)
