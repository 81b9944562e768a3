from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import pytest

from langue.base.arrays import Array
from langue.base.checked import ArraySpec, arrays_of, check, once, read_array, rises_within
from langue.base.errors import Damaged


class Rows(NamedTuple):
    starts: Annotated[Array, ArraySpec("uint32", ("rows + 1",), rising=True, first=0, last="pairs")]
    word: Annotated[Array, ArraySpec("uint32", ("pairs",), below="V")]
    weight: Annotated[Array, ArraySpec("float32", ("pairs",), most=9)]


ROWS = Rows(np.array([0, 2, 3], "u4"), np.array([1, 4, 0], "u4"), np.array([0.5, -1, 9], "f4"))


def test_what_is_right_gives_the_sizes() -> None:
    assert check(ROWS, "here", V=5) == {"V": 5, "rows": 2, "pairs": 3}


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("word", np.array([1, 4, 0], ">u4"), "word is of the type >u4, not uint32"),
        ("word", np.array([[1, 4, 0]], "u4"), "word has 2 dimensions, not 1"),
        ("weight", np.zeros(2, "f4"), r"weight has the shape \(2,\), where 2 should be 3 .*where word has"),
        ("word", np.array([1, 5, 0], "u4"), "word holds 5, and everything there must be below 5"),
        ("starts", np.array([0, 4, 3], "u4"), "starts falls"),
        ("starts", np.array([1, 2, 3], "u4"), "starts begins with 1, not with 0"),
        ("starts", np.array([0, 2, 2], "u4"), "starts ends with 2, not with 3"),
        ("weight", np.array([0, np.nan, 0], "f4"), "weight holds numbers that are not finite"),
        ("weight", np.array([0, -np.inf, 0], "f4"), "weight holds numbers that are not finite"),
        ("weight", np.array([0, 10, 0], "f4"), "weight holds 10.0, .* more than 9"),
    ],
)
def test_what_is_wrong_is_named(name: str, array: Array, message: str) -> None:
    with pytest.raises(Damaged, match=f"here is damaged: {message}"):
        check(ROWS._replace(**{name: array}), "here", V=5)


def test_a_missing_array_is_named() -> None:
    with pytest.raises(Damaged, match="weight is missing"):
        check({"starts": ROWS.starts, "word": ROWS.word}, "here", arrays_of(Rows), V=5)


def test_a_field_without_a_spec_is_a_mistake_of_ours() -> None:
    class Forgotten(NamedTuple):
        one: Annotated[Array, "no spec"]

    with pytest.raises(ValueError, match="one"):
        arrays_of(Forgotten)


@pytest.mark.parametrize(
    ("array", "starts", "rises"),
    [
        ([1, 2, 1, 2], [0, 2, 4], True),
        ([1, 2, 1, 1], [0, 2, 4], False),
        ([9, 1, 2], [1, 3], True),
        ([], [0], True),
    ],
)
def test_ranges_rise_within_themselves(array: list[int], starts: list[int], rises: bool) -> None:
    assert rises_within(np.array(array, "u4"), np.array(starts, "u4")) == rises


def test_a_file_is_checked_again_only_where_it_changed(tmp_path: Path) -> None:
    path, calls = tmp_path / "a.npy", []
    np.save(path, np.arange(3))
    for _ in range(2):
        once([path], 5, lambda: calls.append(1))
    assert len(calls) == 1
    once([path], 6, lambda: calls.append(1))
    np.save(path, np.arange(3))
    once([path], 5, lambda: calls.append(1))
    assert len(calls) == 3


def test_what_failed_is_checked_again(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(3))

    def fail() -> None:
        raise Damaged("no")

    for _ in range(2):
        with pytest.raises(Damaged):
            once([path], 0, fail)


def test_arrays_are_read_as_mapped_ones_are(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    for mapped in (True, False):
        array = read_array(tmp_path / "a.npy", mapped=mapped)
        assert array.tolist() == [0, 1, 2] and not array.flags.writeable
