"""Values of settings, one by one: whether they are of the type and within the bounds of their field."""

import difflib
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from langue.base.errors import InvalidSetting


def check_fields(config: msgspec.Struct) -> None:
    """Check every value of a section that is not its default.

    Raises:
        InvalidSetting: one has another type than its field, or is out of bounds; it is named.
    """
    kind = type(config)
    for name, default, hint in _fields(kind):
        value = getattr(config, name)
        if value is not default:
            where = f"{kind.__name__}.{name}"
            check_plain(value, hint, where)
            try:
                read = msgspec.convert(value, hint)
            except msgspec.ValidationError as error:
                raise InvalidSetting(f"{where}: {explain(str(error), value, hint)}") from None
            if type(read) is not type(value) and not isinstance(value, int):  # 1 does for 1.0
                raise InvalidSetting(
                    f"{where} is to be a {type(read).__name__}, not a {type(value).__name__}; write {read!r}"
                )


def check_plain(value: Any, hint: Any, where: str) -> None:
    """Refuse what a type would let pass, or refuse in riddles: a number without end, a text for a list.

    Raises:
        InvalidSetting: the value is such a one.
    """
    if isinstance(value, float) and not math.isfinite(value):  # nor could JSON keep it
        raise InvalidSetting(f"{where}: {value} is no number that can be kept; write one that is finite")
    if isinstance(value, str) and get_origin(_bare(hint)) is tuple:
        raise InvalidSetting(f"{where} is to be a list of texts, not one text; write [{value[:20]!r}]")
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for one in inner:
        check_plain(one, None, where)


def explain(message: str, value: Any, hint: Any) -> str:
    """What msgspec says of a value; of one that is none of its choices, with the nearest of them."""
    if message.startswith("Invalid enum value") and get_origin(_bare(hint)) is Literal:
        return message + nearest(str(value), [str(choice) for choice in get_args(_bare(hint))])
    return message.replace(" - at `$", " at `")


def nearest(name: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known: {', '.join(sorted(known))}" if known else "; it takes no settings"


@cache
def field_types(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of a section by name, with their annotations, bounds included."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: hints[name] for name in kind.__struct_fields__}


@cache
def _fields(kind: type[msgspec.Struct]) -> list[tuple[str, Any, Any]]:
    hints = field_types(kind)
    return [(field.name, field.default, hints[field.name]) for field in msgspec.structs.fields(kind)]


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint
