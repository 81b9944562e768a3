"""Names of earlier versions, which still work and warn of the name that took their place."""

import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class RenamedWarning(FutureWarning):
    """Something was called by a name of an earlier version."""


def warn_renamed(old: str, new: str, *, stacklevel: int = 2) -> None:
    """Warn that `old` is now `new`; `stacklevel` as in `warnings.warn`, counted from the caller."""
    warnings.warn(
        f"{old} is now {new}; the next version no longer knows the old name",
        RenamedWarning,
        stacklevel=stacklevel + 1,
    )


def rename_keys(table: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The table with old keys replaced; of two keys for one thing the later one counts."""
    result: dict[str, Any] = {}
    for key, value in table.items():
        new = names.get(key, key)
        result.pop(new, None)
        result[new] = value
    return result


def renamed_keywords(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function so that it also takes keywords of an earlier version: `old="new"`."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for old in kwargs.keys() & names.keys():
                if names[old] in kwargs:
                    raise TypeError(
                        f"{function.__name__}() got both {old} and {names[old]}: the same argument"
                    )
                warn_renamed(f"{function.__name__}({old}=…)", f"{names[old]}=…", stacklevel=2)
            return function(*args, **rename_keys(kwargs, names))

        return call

    return decorate


def renamed_method(old: str, method: Callable[P, R]) -> Callable[P, R]:
    """A method under its name of an earlier version."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        warn_renamed(f"{old}()", f"{method.__name__}()", stacklevel=2)
        return method(*args, **kwargs)

    return call


def renamed_property(old: str, new: str) -> Any:
    """An attribute under its name of an earlier version."""

    def get(self: object) -> Any:
        warn_renamed(old, new, stacklevel=2)
        return getattr(self, new)

    return property(get)


def renamed_options(arguments: list[str], options: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The arguments of a command line with its options of an earlier version replaced.

    Args:
        options: by verb, the first of the arguments: option of an earlier version → option.
    """
    names = options.get(arguments[0], {}) if arguments else {}
    end = arguments.index("--") if "--" in arguments else len(arguments)
    result = []
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if index < end and name in names:
            warn_renamed(name, names[name])
            argument = names[name] + equals + value
        result.append(argument)
    return result
