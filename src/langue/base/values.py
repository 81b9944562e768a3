"""Values of settings, one by one: whether they are of the type and within the bounds of their field."""

import difflib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from langue.base.errors import InvalidSetting

LARGEST = 2**53  # of a setting: what every reader of JSON keeps as it is
AUTO = "auto"
# Settings whose default of 0 stands for what the size of the model, or another setting, says.
DERIVED = (
    "layers", "width", "heads", "context", "d_ff", "order", "hidden", "embedding_size", "generator_layers",
    "generator_heads", "key_value_heads", "padded_vocab_size", "norm_eps",
)  # fmt: skip


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
    """Refuse what a type would let pass, or refuse in riddles.

    That is: infinity and NaN, numbers that JSON cannot keep, a text for a list, half a character, a seed
    below 0.

    Raises:
        InvalidSetting: the value is such a one.
    """
    if isinstance(value, int | float) and not abs(value) <= LARGEST:
        raise InvalidSetting(f"{where}: {value} is no number that can be kept; write one below {LARGEST}")
    if isinstance(value, int) and value < 0 and where.endswith("seed"):
        raise InvalidSetting(f"{where}: a seed is 0 or more, not {value}")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidSetting(f"{where}: {value!a} is not UTF-8") from None
    if isinstance(value, str) and get_origin(_bare(hint)) is tuple:
        raise InvalidSetting(_no_list(value, hint, where))
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for one in inner:
        check_plain(one, None, where)


def _no_list(value: str, hint: Any, where: str) -> str:
    if get_args(_bare(hint))[0] is str:
        return f"{where} is to be a list of texts, not one text; write [{value[:20]!r}]"
    numbers = ", ".join(value.replace(",", " ").split())[:40]
    return f"{where} is to be a list of numbers, not text; write [{numbers}]"


def without_auto(section: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """A table without the settings that are to be as if they were left out.

    Raises:
        InvalidSetting: 0 is asked for, which would be taken for that in silence.
    """
    result = {}
    for key, value in table.items():
        if key in DERIVED and value == AUTO:
            continue
        if key in DERIVED and isinstance(value, int | float) and value == 0:
            raise InvalidSetting(
                f'{section}.{key}: 0 is nothing to work with; write "{AUTO}", or leave it out, for what '
                "suits the rest"
            )
        result[key] = value
    return result


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
