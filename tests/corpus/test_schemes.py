"""Spans and their spellings."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langue.corpus.schemes import (
    Scheme,
    Span,
    convert,
    in_scheme,
    may_follow,
    obeys,
    scheme_of,
    spans,
    spell,
    usual,
)

SCHEMES: tuple[Scheme, ...] = ("IOB1", "BIO", "BIOES", "BMES", "BILOU")


@st.composite
def some_spans(draw: st.DrawFn) -> tuple[list[Span], int]:
    found, end = [], 0
    types = draw(st.sampled_from([["X", "Y"], [""]]))
    for _ in range(draw(st.integers(0, 4))):
        begin = end + draw(st.integers(0, 2))
        end = begin + draw(st.integers(1, 4))
        found.append(Span(begin, end, draw(st.sampled_from(types))))
    return found, end + draw(st.integers(0, 2))


@given(some_spans(), st.sampled_from(SCHEMES))
def test_spelling_and_reading_are_inverse_and_legal(case: tuple[list[Span], int], scheme: Scheme) -> None:
    found, length = case
    tags = spell(found, length, scheme)
    assert spans(tags) == found
    assert obeys(tags, scheme)
    for other in SCHEMES:
        assert convert(convert(tags, other), scheme) == tags


@pytest.mark.parametrize("scheme", SCHEMES)
def test_legal_sequences_are_exactly_the_spellings(scheme: Scheme) -> None:
    letters = {"IOB1": "BI", "BIO": "BI", "BIOES": "BIES", "BMES": "BMES", "BILOU": "BILU"}[scheme]
    tags = ["O", *(f"{letter}-{type}" for letter in letters for type in "XY")]
    for length in range(4):
        for sequence in product(tags, repeat=length):
            canonical = convert(sequence, scheme) == list(sequence)
            # IOB1 may begin with B needlessly in files, but not here: B means a boundary inside a run.
            assert obeys(sequence, scheme) == canonical, sequence


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["O", "B-X", "I-X"], "BIO"),
        (["O", "I-X", "B-X"], "IOB1"),
        (["I-X", "O", "B-X", "I-Y"], "BIO"),  # a slip does not make it IOB1
        (["B-X", "E-X", "S-X"], "BIOES"),
        (["B-X", "M-X", "E-X"], "BMES"),
        (["NOUN", "VERB"], None),
        (["O", "O"], None),
        (["B", "I"], "BIO"),
        (["I", "O", "I"], "IOB1"),
        (["B", "M", "E", "S", "B", "E"], "BMES"),
        (["B-X", "L-X", "U-X", "B-X", "I-X", "L-X"], "BILOU"),
        (["B-X", "I-X", "O", "0"], "BIO"),  # what spells nothing changes nothing
        (["B-X", "O", "B-X", "O", "B-Y", "S-X"], "BIO"),  # nor does a letter of another scheme
        (["I-X", "O", "I-X", "S-X"], "IOB1"),
        (["B-X", "I-X", "O", "B-X", "M-X"], "BIO"),
        (["B-X", "B"], "BIO"),
        (["-", "B-X", "here", "I-X"], "BIO"),
        (["S", "O", "S"], None),  # a letter by itself is a label, unless some begin
        (["N", "V", "I", "B"], None),
        (["X-B", "X-I"], None),
        (["B_X", "I_X"], None),
        ([], None),
    ],
)
def test_schemes_are_recognized(tags: list[str], scheme: Scheme | None) -> None:
    assert scheme_of([tags]) == scheme


def test_slips_are_read_as_conlleval_reads_them() -> None:
    from seqeval.metrics.sequence_labeling import get_entities

    tags = ["O", *(f"{letter}-{type}" for letter in "BIES" for type in "XY")]
    for sequence in product(tags, repeat=4):
        expected = [Span(begin, end + 1, type) for type, begin, end in get_entities(list(sequence))]
        assert spans(sequence) == expected, sequence


def test_no_step_out_of_an_open_span() -> None:
    assert not may_follow("B-X", "O", "BIOES")
    assert may_follow("B-X", "O", "BIO")
    assert not may_follow("O", "I-X", "BIO")


@pytest.mark.parametrize(
    ("tags", "meant"),
    [
        ("PER-B PER-I O", {"PER-B": "B-PER", "PER-I": "I-PER"}),
        ("B_A_B -", {"B_A_B": "B-A_B"}),
        ("b-per per", {}),  # as many others
        ("per_b o", {"per_b": "B-per", "o": "O"}),
        ("B_X L_X U_X -", {"B_X": "B-X", "L_X": "L-X", "U_X": "U-X", "-": "?"}),
        ("E_X S_X", {}),  # none begins
        ("NOUN VERB", {}),
        ("PRP$ -LRB-", {}),
        ("B-X I-X -", {}),
        ("x-y", {}),
        ("", {}),
    ],
)
def test_what_is_meant_for_spans_is_read_so(tags: str, meant: dict[str, str]) -> None:
    assert usual([["O", *tags.split()]]) == meant


def test_a_tag_in_the_letters_of_another_scheme() -> None:
    given = ("B-X", "I-X", "E-X", "S-X", "O")
    assert [in_scheme(tag, "BIO") for tag in given] == ["B-X", "I-X", "I-X", "B-X", "O"]
    assert [in_scheme(tag, "BILOU") for tag in given] == ["B-X", "I-X", "L-X", "U-X", "O"]
    assert [in_scheme(tag, "BMES") for tag in given] == ["B-X", "M-X", "E-X", "S-X", "O"]
    assert in_scheme("S", "BIO") == "B"
