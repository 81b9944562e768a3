"""What may not stand in a setting that someone gives, though types and bounds let it pass.

Folders that langue wrote are not looked at here: what was once accepted is still read.
"""

from collections.abc import Mapping
from typing import Any

from langue.base.errors import LangueError

AUTO = "auto"
# Settings of which 0 stands for what the size of the model, or another setting, says.
DERIVED = (
    "layers", "width", "heads", "context", "d_ff", "order", "hidden", "embedding_size", "generator_layers",
    "generator_heads", "key_value_heads", "padded_vocab_size", "vocabulary",
)  # fmt: skip


def check_values(section: str, table: Mapping[str, Any]) -> None:
    """Look at the values of a table that a person wrote.

    Raises:
        LangueError: a seed is negative, or a text is not UTF-8.
    """
    for key, value in table.items():
        _check(f"{section}.{key}", value)
        if key == "seed" and isinstance(value, int) and value < 0:
            raise LangueError(f"{section}.{key}: a seed is 0 or more, not {value}")


def without_auto(section: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """A table without the settings that are to be as if they were left out.

    Raises:
        LangueError: 0 is asked for, which would be taken for that in silence.
    """
    result = {}
    for key, value in table.items():
        if key in DERIVED and value == AUTO:
            continue
        if key in DERIVED and isinstance(value, int | float) and value == 0:
            raise LangueError(
                f'{section}.{key}: 0 is nothing to work with; write "{AUTO}", or leave it out, for what '
                "suits the rest"
            )
        result[key] = value
    return result


def _check(name: str, value: Any) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise LangueError(f"{name}: {value!r} is not UTF-8") from None
    if isinstance(value, Mapping):
        for key, one in value.items():
            _check(f"{name}.{key}", one)
    elif isinstance(value, list | tuple):
        for one in value:
            _check(name, one)
