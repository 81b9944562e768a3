import pytest
from hypothesis import given
from hypothesis import strategies as st

from langue.tokens.words import count_words, segment


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the king  is\ndead.", 4),
        ("", 0),
        ("我来到北京清华大学", 4),  # 我 来到 北京 清华大学
        ("我来到北京，他也来到北京。", 9),  # punctuation stands alone between words
        ("see 北京 now", 3),
        ("café 🙂", 2),
    ],
)
def test_words_are_counted_in_both_scripts(text: str, words: int) -> None:
    assert count_words(text) == words


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=1))
def test_segments_join_to_the_run(run: str) -> None:
    assert "".join(segment(run)) == run
    assert count_words(run) == len(segment(run))


@given(st.text(st.characters(max_codepoint=127)))
def test_words_of_ascii_are_those_python_splits_off(text: str) -> None:
    assert count_words(text) == len(text.split())
