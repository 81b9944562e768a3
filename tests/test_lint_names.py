"""The house's own lint refuses what it says, and nothing else."""

import ast

import pytest
from tests.lint_names import malformed, refused


@pytest.mark.parametrize(
    "source",
    [
        "found = 1",
        "def place(x): ...",
        "def f(places): ...",
        "for place, x in y: ...",
        "f(found=1)",
        "x.found",
        "_place = 0",
        "import x as found",
        "def f():\n    nonlocal found",
        "best_found = 2",
    ],
)
def test_words_that_say_nothing_are_refused(source: str) -> None:
    assert list(refused(ast.parse(source)))


def test_the_same_words_in_prose_and_within_others_are_not() -> None:
    source = 'foundation = replace(x, \'found\')  # found in place\n"""found a place"""'
    assert not list(refused(ast.parse(source)))
    assert not list(refused(ast.parse("class A:\n    places = renamed_property('places', 'tokens')")))


@pytest.mark.parametrize(
    "source",
    [
        "def f(x): ...",
        "def f(x: int): ...",
        "class A:\n    def f(self, x) -> int: ...",
        "def f(*x) -> int: ...",
    ],
)
def test_functions_without_types_are_refused(source: str) -> None:
    assert len(list(malformed(ast.parse(source)))) == 1


def test_positional_parameters_have_a_bound() -> None:
    names = [f"x{number}: int" for number in range(9)]
    assert not list(malformed(ast.parse(f"def f({', '.join(names[:8])}) -> int: ...")))
    assert list(malformed(ast.parse(f"def f({', '.join(names)}) -> int: ...")))
    assert not list(malformed(ast.parse(f"def f({', '.join(names[:8])}, *, y: int) -> int: ...")))
    assert not list(malformed(ast.parse(f"class A:\n    def f(self, {', '.join(names[:8])}) -> int: ...")))


@pytest.mark.parametrize(
    "source",
    [
        "@njit\ndef f(x): ...",
        "@njit(inline='always')\ndef f(x):\n    def g(y): ...",
        "@overload(f, inline='always')\ndef g(x):\n    def h(y): ...",
        "class A:\n    def f(self, x: int) -> int: ...",
        "def f() -> None: ...",
    ],
)
def test_functions_with_types_and_compiled_ones_are_not(source: str) -> None:
    assert not list(malformed(ast.parse(source)))
