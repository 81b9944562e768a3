"""Feature templates: what a CRF looks at, written as text.

    word[-1]             the word before
    lower|pos[1]         the word in lower case together with the tag of the next
    pos[-2..2]           five templates at once
    prefix3, suffix2     the first three, the last two characters; words must be longer than that
    shape, short         Xxxxx-00 and Xx-0 for "Paris-24"; Han characters are h
    class                one of: han, digit, latin, other letter, punctuation, mixed
    spelled              how the word is written elsewhere in its document: in lower case, capitalized, in
                         capitals; and whether it stands in a headline or starts a sentence
    name_before          what stands before it in the longest run of capitalized words with it there,
    name_after           and what after it
    left, right          its neighbors at the first other place where it occurs there
    segment              where it stands in a word of a Chinese segmenter: B, M, E or S
    TRUE                 always there: how frequent each tag is

A part is a name and, in brackets, how far from the token (0 if left out); `|` joins parts. A name is a
column of the data, or a function of the word. Outside the sentence a part says how far outside.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from langue.base.config import nearest
from langue.base.errors import LangueError
from langue.base.scripts import HAN
from langue.models.taggers.crf.document import ELSEWHERE
from langue.models.taggers.crf.segments import SEGMENTED

_PART = re.compile(r"([A-Za-z_]+\d*)(?:\[([+-]?\d+)(?:\.\.([+-]?\d+))?\])?")
_HAN = re.compile(f"[{HAN}]")
_RUNS = re.compile(r"(.)\1+")
FARTHEST = 9  # positions from the token
WIDEST = 4  # parts of a template

Function = Callable[[str], str | None]


class Part(NamedTuple):
    """One thing to look at: a function of a column, or the column itself."""

    name: str
    offset: int

    def __str__(self) -> str:
        return f"{self.name}[{self.offset}]"


class Template(NamedTuple):
    """Parts that are looked at together."""

    parts: tuple[Part, ...]

    def __str__(self) -> str:
        return "|".join(map(str, self.parts))


def shape(word: str) -> str:
    """Each character by its kind: `Xxxxx-00`."""
    return "".join(map(_kind, word))


def short_shape(word: str) -> str:
    """The shape with runs of one kind cut to one."""
    return _RUNS.sub(r"\1", shape(word))


def _kind(character: str) -> str:
    if _HAN.match(character):
        return "h"
    if character.isdigit():
        return "0"
    if character.isupper():
        return "X"
    return "x" if character.isalpha() else character


def character_class(word: str) -> str:
    """Script of a word or character: han, latin, digit, punctuation ..., or mixed."""
    kinds = {_class(character) for character in word}
    return kinds.pop() if len(kinds) == 1 else "mixed"


def _class(character: str) -> str:
    if _HAN.match(character):
        return "han"
    if character.isdigit():
        return "digit"
    if character.isalpha():
        return "latin" if unicodedata.name(character, "").startswith("LATIN") else "other letter"
    return "punctuation"


def _prefix(length: int, word: str) -> str | None:
    return word[:length] if len(word) > length else None


def _suffix(length: int, word: str) -> str | None:
    return word[-length:] if len(word) > length else None


def _always(word: str) -> str:
    """A function by name: a lambda could not be pickled with the model that has it."""
    return ""


FUNCTIONS: dict[str, Function] = {
    "lower": str.lower,
    "shape": shape,
    "short": short_shape,
    "class": character_class,
    "TRUE": _always,
    **{f"prefix{length}": partial(_prefix, length) for length in range(1, 8)},
    **{f"suffix{length}": partial(_suffix, length) for length in range(1, 8)},
}

_NEAR = ("word[-2..2]", "word[-1]|word", "word|word[1]")
# What to look at where the user names no templates.
SETS: dict[str, tuple[str, ...]] = {
    "words": (
        *_NEAR,
        "lower[-2..2]",
        *(f"prefix{length}" for length in range(1, 6)),
        *(f"suffix{length}" for length in range(1, 6)),
        "suffix3[-1]",
        "suffix3[1]",
        "shape[-1..1]",
        "short[-2..2]",
        "short[-1]|short|short[1]",
        *ELSEWHERE,
        "TRUE",
    ),
    "characters": (
        *_NEAR,
        "word[-2]|word[-1]",
        "word[1]|word[2]",
        "word[-1]|word[1]",
        "word[-1]|word|word[1]",
        "class[-1]|class|class[1]",
        "segment[-1..1]",
        "TRUE",
    ),
}
# For each column beside the word.
COLUMN = ("{}[-2..2]", "{}[-2]|{}[-1]", "{}[-1]|{}", "{}|{}[1]", "{}[1]|{}[2]")
COLUMN_WIDE = ("{}[-2]|{}[-1]|{}", "{}[-1]|{}|{}[1]", "{}|{}[1]|{}[2]", "word|{}")


def default_templates(unit: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The set for words or characters, and what looks at each other column."""
    about = tuple(text.replace("{}", name) for name in columns[1:] for text in (*COLUMN, *COLUMN_WIDE))
    return SETS[unit] + about


def parse(texts: Sequence[str], columns: Sequence[str]) -> list[Template]:
    """The templates that texts stand for, each once.

    Args:
        columns: names of the columns of the data, the word first.

    Raises:
        LangueError: a text is not of this form, or names what is neither a column nor a function.
    """
    templates: dict[Template, None] = {}
    for text in texts:
        for template in _expand(text, columns):
            templates[template] = None
    if not templates:
        raise LangueError("a CRF needs at least one template")
    return list(templates)


def _expand(text: str, columns: Sequence[str]) -> list[Template]:
    choices: list[list[Part]] = []
    for part in text.split("|"):
        match = _PART.fullmatch(part.strip())
        if not match:
            raise LangueError(f"template {text}: {part!r} is not like word, word[-1] or word[-2..2]")
        name, low, high = match.groups()
        known = [*columns, *FUNCTIONS, *ELSEWHERE, *SEGMENTED]
        if name not in known:
            raise LangueError(f"template {text}: unknown name {name}{nearest(name, known)}")
        first, last = int(low or 0), int(high or low or 0)
        if not -FARTHEST <= first <= last <= FARTHEST:
            raise LangueError(f"template {text}: from {first} to {last} is not a range within ±{FARTHEST}")
        choices.append([Part(name, offset) for offset in range(first, last + 1)])
    if len(choices) > WIDEST:
        raise LangueError(f"template {text} joins {len(choices)} parts; at most {WIDEST} fit")
    if sum(len(choice) > 1 for choice in choices) > 1:
        raise LangueError(f"template {text} has two ranges; write one for each pair")
    widest = max(len(choice) for choice in choices)
    return [
        Template(tuple(choice[min(index, len(choice) - 1)] for choice in choices)) for index in range(widest)
    ]
