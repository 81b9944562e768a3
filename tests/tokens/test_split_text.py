"""Plain text cut into tokens: as the Penn Treebank does it, in any script, and nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langue.tokens.split_text import split_text


@pytest.mark.parametrize(
    "tokens",
    [
        "I do n't ca n't is n't it 's I 'm we 've they 'll he 'd you 're",
        "Mr. Smith of Acme Inc. and Dr. No",
        "3,000.50 at 10:30 on 12/25/2020 , 1990s",
        "the U.S. dog at 5 p.m. , e.g. here",
        'John F. Kennedy , Ph.D. , said " no "',
        "fine :) really ;-) ok",
        "see http://t.co/x?y=1 , mail a.b@c.org or @bob #topic",
        "state-of-the-art O'Brien o'clock",
        "$ 5 10 % ( 7 ) ... -- !",
        "\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902 cafe\u0301 na\u00efve \u0645\u064f\u062f",
        "\u30ab\u30bf\u30ab\u30ca \u3068 GitHub \u3092",
    ],
)
def test_tokens_of_a_corpus_come_back_from_its_text(tokens: str) -> None:
    assert split_text(tokens, "words") == tokens.split()
    glued = tokens
    for mark in ("n't", "'s", "'m", "'ve", "'ll", "'d", "'re", ",", ":)", "%", "!"):
        glued = glued.replace(f" {mark}", mark)
    if ":)" not in tokens and "$" not in tokens:
        assert split_text(glued, "words") == tokens.split()


def test_scripts_side_by_side() -> None:
    assert split_text("\u79c1\u306f\u30ab\u30bf\u30ab\u30ca\u3068GitHub", "words") == [
        "\u79c1", "\u306f", "\u30ab\u30bf\u30ab\u30ca", "\u3068", "GitHub",
    ]  # fmt: skip


@given(st.text(max_size=40), st.sampled_from(["words", "characters"]))
def test_nothing_is_lost_but_white_space(text: str, unit: str) -> None:
    assert "".join("".join(split_text(text, unit)).split()) == "".join(text.split())
    assert all(split_text(text, unit))


def test_long_runs_are_cut_in_no_time() -> None:
    for run in ("+", "a.", "-a", "@", "a", "1.", "\u0301", "http://"):
        assert split_text(run * 20_000, "words")
