"""Arguments that a person gives to a function, checked where they come in, and named by what is refused."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from langue.base.config import nearest
from langue.base.errors import InvalidSetting

T = TypeVar("T")


def check_text(name: str, value: object) -> str:
    """The text.

    Raises:
        InvalidSetting: it is none; a list of texts goes to the function that takes several.
    """
    if not isinstance(value, str):
        raise InvalidSetting(f"{name} is to be one text (a str), not {_spell(value)}")
    return value


def check_path(name: str, value: object) -> Path:
    """The path.

    Raises:
        InvalidSetting: it is none.
    """
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else value
    if not isinstance(path, str):
        raise InvalidSetting(f"{name} is to be a path (a str or a Path), not {_spell(value)}")
    try:
        is_name = bool(path) and b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:  # half of a character
        is_name = False
    if not is_name:
        raise InvalidSetting(f"{name} = {path!r} is the name of no file or folder")
    return Path(path)


def check_path_or_none(name: str, value: object) -> Path | None:
    """As `check_path`, of an argument that may be left out."""
    return None if value is None else check_path(name, value)


def check_paths(name: str, values: object) -> list[str]:
    """The paths as they were given, one or several.

    Raises:
        InvalidSetting: one is none.
    """
    if isinstance(values, str | os.PathLike):
        check_path(name, values)
        return [os.fspath(values)]
    if isinstance(values, bytes) or not isinstance(values, Iterable):
        raise InvalidSetting(f"{name} is to be a path (a str or a Path) or a list, not {_spell(values)}")
    paths = list(values)
    for index, path in enumerate(paths):
        check_path(f"{name}[{index}]", path)
    return [os.fspath(path) for path in paths]


def check_several(name: str, values: Iterable[T]) -> Iterable[T]:
    """The values, a list of some kind.

    Raises:
        InvalidSetting: it is one text, which would be taken apart into characters, or no list at all.
    """
    if isinstance(values, str):
        raise InvalidSetting(f"{name} is to be a list of texts, not one text; write [{values[:20]!r}]")
    if isinstance(values, bytes) or not isinstance(values, Iterable):
        raise InvalidSetting(f"{name} is to be a list, not {_spell(values)}")
    return values


def check_texts(name: str, values: Iterable[str]) -> list[str]:
    """The texts as a list.

    Raises:
        InvalidSetting: it is none, or holds something else.
    """
    texts = list(check_several(name, values))
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidSetting(f"{name}[{index}] is to be a text (a str), not {_spell(text)}")
    return texts


def check_choice(name: str, value: T, choices: Sequence[T]) -> T:
    """The value.

    Raises:
        InvalidSetting: it is not among the choices; the nearest is named.
    """
    if value not in choices:
        raise InvalidSetting(
            f"{name} = {value!r} is unknown{nearest(str(value), [str(one) for one in choices])}"
        )
    return value


def check_count(name: str, value: object, *, least: int = 0, most: int = 2**31) -> int:
    """The whole number.

    Raises:
        InvalidSetting: it is none, or out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidSetting(f"{name} is to be a whole number from {least} to {most:,}, not {_spell(value)}")
    return value


def check_number(name: str, value: object, *, least: float, most: float) -> float:
    """The number.

    Raises:
        InvalidSetting: it is none, or out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InvalidSetting(f"{name} is to be a number from {least:g} to {most:g}, not {_spell(value)}")
    return value


def _spell(value: object) -> str:
    return f"{str(value)[:40]} ({type(value).__name__})"
