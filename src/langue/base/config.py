"""Configuration: TOML tables into frozen, strict, typed structs.

An unknown key is an error that names the nearest known one and its full path; a wrong type or a
value out of bounds names the path too. Nothing is guessed and nothing is silently ignored.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from langue.base.errors import Damaged, LangueError
from langue.base.files import read_json


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section of a recipe. Bounds stand in the annotation: `msgspec.Meta(ge=1)`.

    A section repeats `frozen=True`, which type checkers do not inherit.
    """


C = TypeVar("C", bound=Config)


def field_names(kind: type[Config]) -> tuple[str, ...]:
    return kind.__struct_fields__


def decode(kind: type[C], table: Mapping[str, Any], where: str) -> C:
    """Build a section from a table.

    Args:
        where: path of the section for messages, such as `model` or `recipes/a.toml: training`.

    Raises:
        LangueError: a key is unknown (the nearest is named), a value has the wrong type or bounds.
    """
    for key in table:
        if key not in field_names(kind):
            raise LangueError(f"unknown key {where}.{key}{nearest(key, field_names(kind))}")
    try:
        return msgspec.convert(dict(table), kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        path = path.rstrip("`")
        if message.startswith("Invalid enum value") and path in table:
            choices = [str(choice) for choice in get_args(get_type_hints(kind)[path])]
            message += nearest(str(table[path]), choices)
        raise LangueError(f"{where}.{path}: {message}" if path else f"{where}: {message}") from None


S = TypeVar("S", bound=msgspec.Struct)


def read_struct(kind: type[S], path: Path) -> S:
    """What a JSON file holds, every field of its type.

    Raises:
        Damaged: it cannot be read, is no JSON, or a field is missing or of another type; it is named.
    """
    table = read_json(path)
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        message, _, field = str(error).partition(" - at `$.")
        raise Damaged(f"{path}{'.' + field.rstrip('`') if field else ''}: {message}; make it again") from None


def encode(config: Config) -> dict[str, Any]:
    """The section as a plain table, every default written out: equal to what is read back from a file."""
    return dict(msgspec.json.decode(msgspec.json.encode(config)))


def nearest(name: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known: {', '.join(sorted(known))}" if known else "; it takes no settings"


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; a `LangueError` names the file and the line of a mistake."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LangueError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise LangueError(f"{path} is not UTF-8: byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise LangueError(f"{path} is not valid TOML: {error}") from error


def override(
    tables: Mapping[str, Mapping[str, Any]],
    assignments: Sequence[str],
    sections: Mapping[str, type[Config]],
    settings: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:
    """Apply `--set` assignments, and settings given as values, to the tables of a recipe.

    An assignment is `section.key=value`, or `key=value` where only one section has that key. The
    value is read as TOML and, failing that, as a bare string.

    Raises:
        LangueError: no `=`, an unknown section or key, or a bare key that several sections have.
    """
    result = {name: dict(table) for name, table in tables.items()}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise LangueError(f"--set {assignment}: write section.key=value, for example training.steps=100")
        section, key = _resolve(name.strip(), sections)
        result.setdefault(section, {})[key] = _value(value.strip())
    for name, given in (settings or {}).items():
        section, key = _resolve(name, sections)
        result.setdefault(section, {})[key] = given
    return result


def _resolve(name: str, sections: Mapping[str, type[Config]]) -> tuple[str, str]:
    section, dot, key = name.partition(".")
    if dot:
        if section not in sections:
            raise LangueError(f"--set {name}: unknown section {section}{nearest(section, list(sections))}")
        if key not in field_names(sections[section]):
            raise LangueError(
                f"--set {name}: unknown key {name}{nearest(key, field_names(sections[section]))}"
            )
        return section, key
    owners = [owner for owner, kind in sections.items() if name in field_names(kind)]
    if len(owners) > 1:
        raise LangueError(
            f"--set {name}: several sections have it; write {' or '.join(f'{o}.{name}' for o in owners)}"
        )
    if not owners:
        known = [field for kind in sections.values() for field in field_names(kind)]
        raise LangueError(f"--set {name}: unknown key {name}{nearest(name, known)}")
    return owners[0], name


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
