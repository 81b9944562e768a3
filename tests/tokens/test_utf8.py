"""Which tokens may follow, against Python's own decoder."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langue.tokens.utf8 import START, WellFormed

# The edges of every range of the table, and what lies just outside them.
EDGES = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED]
EDGES += [0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF]
BYTES = [bytes([byte]) for byte in range(256)]


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def accepts(data: bytes) -> bool:
    """Whether the bytes one after another are allowed, and end between two characters."""
    single = WellFormed(BYTES)
    state = START
    for byte in data:
        if not single.allowed(state)[byte]:
            return False
        state = single.after(state, byte)
    return state == START


@pytest.mark.parametrize("length", [1, 2, 3])
def test_accepts_what_python_decodes(length: int) -> None:
    for combination in product(EDGES, repeat=length):
        assert accepts(bytes(combination)) == is_text(bytes(combination)), bytes(combination)


@given(st.tuples(st.sampled_from([0xF0, 0xF1, 0xF3, 0xF4, 0xF5]), *[st.sampled_from(EDGES)] * 3))
def test_accepts_four_bytes_that_python_decodes(four: tuple[int, ...]) -> None:
    assert accepts(bytes(four)) == is_text(bytes(four))


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=6))
def test_a_token_of_many_bytes_is_its_bytes_in_turn(tokens: list[bytes]) -> None:
    whole = WellFormed(tokens)
    single = WellFormed(BYTES)
    state = START
    for id, token in enumerate(tokens):
        expected: int | None = state
        for byte in token:
            expected = single.after(expected, byte) if single.allowed(expected)[byte] else None
            if expected is None:
                break
        if not token and state != START:
            expected = None
        assert bool(whole.allowed(state)[id]) == (expected is not None)
        if expected is None:
            return
        assert whole.after(state, id) == expected
        state = expected


def test_what_is_no_text_is_never_allowed_and_an_end_only_between_characters() -> None:
    tokens = WellFormed([None, b"", b"a", "中".encode()[:2], "中".encode()[2:]])
    assert tokens.allowed(START).tolist() == [False, True, True, True, False]
    inside = tokens.after(START, 3)
    assert tokens.allowed(inside).tolist() == [False, False, False, False, True]
    assert tokens.after(inside, 4) == START
