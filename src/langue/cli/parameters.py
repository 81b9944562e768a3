"""The parameters of a verb: arguments and options, told from the signature of its function.

    def command(
        model: Annotated[str, Argument("Model folder.")],
        top: Annotated[int, Option("--top", min=1, help="…")] = 10,
    ) -> None: ...

`parser` hands them to argparse: a library that reads signatures takes longer to import than some verbs take
to run.
"""

import argparse
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

KINDS = {str: "text", int: "integer", float: "number", Path: "path", bool: ""}


class Argument:
    """What a verb takes by position.

    Args:
        metavar: its name in the help; left out, that of the parameter in capitals.
        callback: what its value passes through.
    """

    def __init__(
        self, help: str = "", *, metavar: str = "", callback: Callable[[Any], Any] | None = None
    ) -> None:
        self.help = help
        self.metavar = metavar
        self.callback = callback


class Option:
    """What a verb takes by name; one of type `bool` is a flag without a value, a list may be repeated.

    Args:
        names: with their dashes; left out, that of the parameter.
        min, max: bounds of a number.
        metavar: of its value in the help; left out, by its type.
        beside: the parameter without which nothing reads it.
        empty: whether an empty text is a value.
        callback: what its value passes through.
    """

    def __init__(
        self,
        *names: str,
        help: str = "",
        min: float = -math.inf,
        max: float = math.inf,
        metavar: str = "",
        beside: str = "",
        empty: bool = False,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        self.names = names
        self.help = help
        self.min = min
        self.max = max
        self.metavar = metavar
        self.beside = beside
        self.empty = empty
        self.callback = callback


class Given(NamedTuple):
    """A parameter of this type tells a verb which of its others stood on the command line."""

    names: frozenset[str]


class Parameter(NamedTuple):
    """One parameter of a verb."""

    name: str  # of the function's
    declared: Argument | Option
    type: Any  # of a value
    repeated: bool
    default: Any  # inspect.Parameter.empty: it must be given

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty

    @property
    def flag(self) -> bool:
        return self.type is bool

    @property
    def names(self) -> tuple[str, ...]:
        """Those of an option, with their dashes."""
        assert isinstance(self.declared, Option)
        return self.declared.names or (f"--{self.name.replace('_', '-')}",)

    @property
    def metavar(self) -> str:
        """What stands for its value in the help."""
        if self.declared.metavar or isinstance(self.declared, Argument):
            return self.declared.metavar or self.name.upper() + ("..." if self.repeated else "")
        if get_origin(self.type) is Literal:
            return "|".join(get_args(self.type))
        return KINDS[self.type].upper()

    def convert(self, text: str) -> Any:
        """A value as it was typed, as one of the parameter's type.

        Raises:
            argparse.ArgumentTypeError: it is none, or out of bounds.
        """
        if get_origin(self.type) is Literal:
            if text not in get_args(self.type):
                raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(get_args(self.type))}")
            return text
        if self.type is Path and not text:  # which would be the folder one stands in
            raise argparse.ArgumentTypeError("'' is the name of no file or folder")
        named = isinstance(self.declared, Option) and not (self.declared.empty or self.declared.callback)
        if named and self.type is str and not text:
            raise argparse.ArgumentTypeError("'' says nothing; give a value, or leave it out")
        try:
            value = self.type(text)
        except ValueError:
            kind = "a whole number" if self.type is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {kind}") from None
        if self.type is float and not math.isfinite(value):  # NaN lies within all bounds
            raise argparse.ArgumentTypeError(f"{text} is no number to work with; give one that is finite")
        if isinstance(self.declared, Option) and self.type in (int, float):
            low, high = self.declared.min, self.declared.max
            if value < low or value > high:
                bounds = [f"at least {low:g}"] if low > -math.inf else []
                bounds += [f"at most {high:.16g}"] if high < math.inf else []
                raise argparse.ArgumentTypeError(f"{text} is out of bounds; give {' and '.join(bounds)}")
        return value


def parameters_of(command: Callable[..., None]) -> list[Parameter]:
    """The parameters of a verb, in their order."""
    annotations = inspect.get_annotations(command)
    return [
        _parameter(name, annotations[name], default.default)
        for name, default in inspect.signature(command).parameters.items()
        if annotations[name] is not Given
    ]


def _parameter(name: str, annotation: Any, default: Any) -> Parameter:
    assert get_origin(annotation) is Annotated, name
    type, declared = get_args(annotation)
    if isinstance(type, UnionType) or get_origin(type) is Union:  # a Literal or None is of the older kind
        (type,) = (one for one in get_args(type) if one is not NoneType)
    repeated = get_origin(type) is list
    if repeated:
        (type,) = get_args(type)
    return Parameter(name, declared, type, repeated, default)


def given_name(command: Callable[..., None]) -> str | None:
    """The parameter that is told which others were given; None: the verb does not ask."""
    annotations = inspect.get_annotations(command)
    return next((name for name, annotation in annotations.items() if annotation is Given), None)
