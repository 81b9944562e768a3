"""What can be set: every setting of a section with its type, its default and the reason for it.

The reason is the comment that stands beside the field in the source, or above it: one text for whoever reads
the code, for `langue families` and for the page of settings.
"""

import ast
import inspect
import textwrap
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from langue.base.config import Config


@dataclass(frozen=True)
class Option:
    """One setting of a section."""

    name: str
    type: str  # in the words of TOML: "integer", "number", "text", "true or false", or the choices
    default: Any  # None: it must be given
    required: bool
    reason: str  # "" where the name says it all

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "default": msgspec.to_builtins(self.default),
            "required": self.required,
            "reason": self.reason,
        }


def options_of(section: type[Config]) -> list[Option]:
    """The settings of a section, in the order of the source, those of its bases first."""
    hints = get_type_hints(section, include_extras=True)
    reasons = _reasons(section)
    return [
        Option(
            name=field.name,
            type=spell_type(hints[field.name]),
            default=_default(field),
            required=field.required,
            reason=reasons.get(field.name, ""),
        )
        for field in msgspec.structs.fields(section)
    ]


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return None if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def spell_type(hint: Any) -> str:
    """A type in the words of someone who writes TOML."""
    if get_origin(hint) is Annotated:
        bare, *notes = get_args(hint)
        return _bounded(spell_type(bare), notes)
    if get_origin(hint) is Literal:
        return ", ".join(str(choice) for choice in get_args(hint))
    if get_origin(hint) is tuple:
        return f"list of {spell_type(get_args(hint)[0])}"
    if isinstance(hint, type) and issubclass(hint, Config):
        return f"table of {', '.join(hint.__struct_fields__)}"
    names = {int: "integer", float: "number", str: "text", bool: "true, false"}
    return names.get(hint, "table")


def _bounded(name: str, notes: list[Any]) -> str:
    bounds = []
    for note in notes:
        if isinstance(note, msgspec.Meta):
            pairs = ((note.ge, "≥"), (note.gt, ">"), (note.le, "≤"), (note.lt, "<"))
            bounds += [f"{sign} {limit:g}" for limit, sign in pairs if limit is not None]
    return f"{name} {', '.join(bounds)}" if bounds else name


def _reasons(section: type[Config]) -> dict[str, str]:
    """The comments beside or above the fields of a section and of its bases."""
    reasons: dict[str, str] = {}
    for kind in reversed(section.__mro__):
        if isinstance(kind, type) and issubclass(kind, Config) and kind is not Config:
            reasons |= dict(_comments(kind))
    return reasons


def _comments(kind: type[Config]) -> Iterator[tuple[str, str]]:
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):  # made in a session without a file
        return
    beside: dict[int, str] = {}
    alone: dict[int, str] = {}
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            lines = alone if token.line.strip().startswith("#") else beside
            lines[token.start[0]] = token.string.lstrip("# ").rstrip()
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    for node in definition.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        above: list[str] = []
        line = node.lineno - 1
        while line in alone:
            above.insert(0, alone[line])
            line -= 1
        here = [
            beside[line]
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
            if line in beside
        ]
        yield node.target.id, " ".join(here or above)
