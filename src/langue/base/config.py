"""Configuration: TOML tables into frozen, strict, typed structs.

An unknown key is an error that names the nearest known one and its full path; a wrong type or a
value out of bounds names the path too. Nothing is guessed and nothing is silently ignored.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar, final

import msgspec

from langue.base.deprecated import rename_keys, warn_renamed
from langue.base.errors import Damaged, InvalidSetting, LangueError
from langue.base.files import read_json
from langue.base.values import check_fields, check_plain, explain, field_types, without_auto
from langue.base.values import nearest as nearest  # which whoever checks names of settings takes from here


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section of a recipe. Bounds stand in the annotation (`base.bounds`).

    Whoever builds one, a constructor or `decode`, gets values of these types within these bounds, or an
    `InvalidSetting`; what settings ask of each other stands in `check`. A section repeats `frozen=True`,
    which type checkers do not inherit. A setting that was renamed is still read under its old name: `RENAMED`
    says which, and `RENAMED_VALUES` which of its values were.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {}  # old name → name
    RENAMED_VALUES: ClassVar[Mapping[str, Mapping[str, str]]] = {}  # name → old value → value

    @final
    def __post_init__(self) -> None:
        check_fields(self)
        try:
            self.check()
        except InvalidSetting:
            raise
        except ValueError as error:
            raise InvalidSetting(str(error)) from None

    def check(self) -> None:
        """What settings ask of each other.

        Raises:
            ValueError: they do not go together; its text says which, and what to do.
        """


C = TypeVar("C", bound=Config)


def field_names(kind: type[Config]) -> tuple[str, ...]:
    return kind.__struct_fields__


def decode(kind: type[C], table: Mapping[str, Any], where: str, *, stored: bool = False) -> C:
    """Build a section from a table.

    Args:
        where: path of the section for messages, such as `model` or `recipes/a.toml: training`.
        stored: langue wrote the table itself, so old names in it are no one's mistake.

    Raises:
        InvalidSetting: a key is unknown (the nearest is named), a value has the wrong type or bounds.
    """
    if not isinstance(table, Mapping):
        raise InvalidSetting(f"{where} is to be a table, not {str(table)[:40]} ({type(table).__name__})")
    table = with_new_names(kind, table, None if stored else where)
    types = field_types(kind)
    for key, value in table.items():
        if key not in types:
            raise InvalidSetting(f"unknown key {where}.{key}{nearest(key, field_names(kind))}")
        check_plain(value, types[key], f"{where}.{key}")
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        path = path.rstrip("`")
        if path in table:
            message = explain(message, table[path], types[path])
        raise InvalidSetting(f"{where}.{path}: {message}" if path else f"{where}: {message}") from None


def with_new_names(kind: type[Config], table: Mapping[str, Any], where: str | None) -> dict[str, Any]:
    """A table of a section with its old names and values replaced by those of now.

    Args:
        where: path of the section for the warnings; None: no warnings.
    """
    names, values = old_names(kind), _inherited(kind, "RENAMED_VALUES")
    if where is not None:
        for key in table.keys() & names.keys():
            warn_renamed(f"{where}.{key}", f"{where}.{names[key]}")
    result = rename_keys(table, names)
    for key, choices in values.items():
        old = result.get(key)
        if isinstance(old, str) and old in choices:
            if where is not None:
                warn_renamed(f'{where}.{key} = "{old}"', f'"{choices[old]}"')
            result[key] = choices[old]
    return result


def old_names(kind: type[Config]) -> dict[str, str]:
    """Old names of the settings of a section, those of its bases included → names."""
    return _inherited(kind, "RENAMED")


def _inherited(kind: type[Config], attribute: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        result |= vars(base).get(attribute, {})
    return result


S = TypeVar("S")


def read_struct(kind: type[S], path: Path) -> S:
    """What a JSON file holds, every field of its type.

    Raises:
        Damaged: it cannot be read, is no JSON, or a field is missing or of another type; it is named.
    """
    return convert(kind, read_json(path), path)


def convert(kind: type[S], table: Any, path: Path) -> S:
    """What was read from a file, every field of its type.

    Raises:
        Damaged: a field is missing or of another type; it is named.
    """
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        message, _, field = str(error).partition(" - at `$")
        raise Damaged(
            f"{path} is damaged: {field.strip('.`') or 'its contents'}: {message}; make it again"
        ) from None


def encode(config: Config) -> dict[str, Any]:
    """The section as a plain table, every default written out: equal to what is read back from a file."""
    return dict(msgspec.json.decode(msgspec.json.encode(config)))


def encode_changes(config: Config) -> dict[str, Any]:
    """The section as a table of what is not as by default: what its maker asked for."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(config)}
    return {name: value for name, value in encode(config).items() if getattr(config, name) != defaults[name]}


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; a `LangueError` names the file and the line of a mistake."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LangueError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise LangueError(f"{path} is not UTF-8: byte {error.start}") from error
    except RecursionError:
        raise LangueError(f"{path} is not valid TOML: its brackets are too many, one in another") from None
    except ValueError as error:  # of the form, or of a number of thousands of digits
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
        InvalidSetting: no `=`, an unknown section or key, a bare key that several sections have, or a 0 where
            it would be taken for a default.
    """
    result = {
        name: with_new_names(sections[name], table, name) if name in sections else dict(table)
        for name, table in tables.items()
    }
    for name, given in (read_assignments(assignments) | dict(settings or {})).items():
        section, key = _resolve(name, sections)
        result.setdefault(section, {})[key] = given
    return {name: without_auto(name, table) for name, table in result.items()}


def read_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """The settings that `--set` assignments make, by name, in their order; the last of a name counts.

    Raises:
        InvalidSetting: one has no `=`.
    """
    result = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise InvalidSetting(
                f"--set {assignment}: write section.key=value, for example training.steps=100"
            )
        result[name.strip()] = _value(value.strip())
    return result


def _resolve(name: str, sections: Mapping[str, type[Config]]) -> tuple[str, str]:
    """Section and name of a setting; one that was renamed gets its new name, with a warning."""
    section, dot, key = name.partition(".")
    if dot:
        if section not in sections:
            raise InvalidSetting(f"{name}: unknown section {section}{nearest(section, list(sections))}")
        searched = [section]
    else:
        searched, key = list(sections), name
    owners = [owner for owner in searched if key in field_names(sections[owner])]
    former = [owner for owner in searched if key in old_names(sections[owner])]
    if former and not owners:
        new = old_names(sections[former[0]])[key]
        warn_renamed(name, f"{section}.{new}" if dot else new)
        owners, key = former, new
    if len(owners) > 1:
        raise InvalidSetting(
            f"{name} is a key of several sections; write {' or '.join(f'{o}.{key}' for o in owners)}"
        )
    if not owners:
        known = [field for owner in searched for field in field_names(sections[owner])]
        raise InvalidSetting(f"unknown key {name}{nearest(key, known)}")
    return owners[0], key


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
