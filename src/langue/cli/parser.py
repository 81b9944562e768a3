"""A command line, read as the parameters of a verb; and the help of a verb."""

import inspect
import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langue.base.errors import LangueError
from langue.cli.parameters import Argument, Given, Option, Parameter, given_name, parameters_of

HELP = ("-h", "--help")
WIDEST = 100  # columns of a help: longer lines are hard to read
INDENT = 28


class HelpRequested(Exception):
    """The command line asks for help."""


def parse(verb: str, command: Callable[..., None], arguments: Sequence[str]) -> dict[str, Any]:
    """The parameters of a verb by name, from what was typed after it.

    Raises:
        HelpRequested: an option asks for help.
        LangueError: an option is unknown (the nearest is named), a value is missing or none of its type,
            there are too few arguments or too many.
    """
    parameters = parameters_of(command)
    options = {
        name: parameter
        for parameter in parameters
        if isinstance(parameter.declared, Option)
        for name in parameter.names
    }
    typed: dict[str, list[str]] = {}
    positional = _read_options(verb, options, list(arguments), typed)
    takers = [parameter for parameter in parameters if isinstance(parameter.declared, Argument)]
    _share_out(verb, takers, positional, typed)
    values = {parameter.name: _value(verb, parameter, typed) for parameter in parameters}
    asking = given_name(command)
    if asking is not None:
        values[asking] = Given(frozenset(typed))
    return values


def _read_options(
    verb: str, options: dict[str, Parameter], arguments: list[str], typed: dict[str, list[str]]
) -> list[str]:
    """Enter the options' values into `typed`; returns what is left, the arguments by position."""
    positional: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return positional + list(rest)
        if not argument.startswith("-") or argument == "-":
            positional.append(argument)
            continue
        if argument in HELP:
            raise HelpRequested
        name, value = _split(options, argument)
        parameter = options.get(name)
        if parameter is None:
            raise LangueError(f"langue {verb} has no option {name}{_nearest(name, list(options))}")
        if parameter.flag:
            if value is not None:
                raise LangueError(f"{name} takes no value; see langue {verb} --help")
            value = ""
        elif value is None:
            value = next(rest, None)
            if value is None:
                raise LangueError(f"{name} needs a value; see langue {verb} --help")
        typed.setdefault(parameter.name, []).append(value)
    return positional


def _split(options: dict[str, Parameter], argument: str) -> tuple[str, str | None]:
    """The name and value of `--name=value`, `-nvalue`, or of an option alone."""
    if argument.startswith("--"):
        name, equals, value = argument.partition("=")
        return name, value if equals else None
    name, value = argument[:2], argument[2:]
    return name, value or None


def _nearest(name: str, known: list[str]) -> str:
    from langue.base.config import nearest  # which takes longer to import than to be right

    return nearest(name, known)


def _share_out(
    verb: str, takers: list[Parameter], positional: list[str], typed: dict[str, list[str]]
) -> None:
    """Give each argument what stands in its position; one that may be repeated takes what is left."""
    for index, parameter in enumerate(takers):
        after = len(takers) - index - 1
        count = max(len(positional) - after, 0) if parameter.repeated else 1
        taken, positional = positional[:count], positional[count:]
        if taken:
            typed[parameter.name] = taken
    if positional:
        raise LangueError(f"one argument too many: {positional[0]!r}; see langue {verb} --help")


def _value(verb: str, parameter: Parameter, typed: dict[str, list[str]]) -> Any:
    texts = typed.get(parameter.name)
    if texts is None:
        if parameter.required:
            raise LangueError(f"{parameter.title} is missing; see langue {verb} --help")
        return parameter.default
    value: Any
    if parameter.flag:
        value = True
    elif parameter.repeated:
        value = [parameter.convert(text) for text in texts]
    else:
        value = parameter.convert(texts[-1])
    return parameter.declared.callback(value) if parameter.declared.callback else value


def help_of(verb: str, command: Callable[..., None]) -> str:
    """The help of a verb."""
    parameters = parameters_of(command)
    arguments = [one for one in parameters if isinstance(one.declared, Argument)]
    options = [one for one in parameters if isinstance(one.declared, Option)]
    usage = [one.metavar if one.required else f"[{one.metavar}]" for one in arguments]
    required = [f"{one.names[-1]} {one.metavar}" for one in options if one.required]
    lines = [f"Usage: langue {' '.join([verb, *usage, *required])} [OPTIONS]", ""]
    for paragraph in inspect.cleandoc(command.__doc__ or "").split("\n\n"):
        lines += [*textwrap.wrap(paragraph, _width()), ""]
    if arguments:
        lines += ["Arguments:", *_rows([(one.metavar, _explained(one)) for one in arguments]), ""]
    rows = [(f"{', '.join(one.names)} {one.metavar}".rstrip(), _explained(one)) for one in options]
    return "\n".join([*lines, "Options:", *_rows([*rows, (", ".join(HELP), "Show this and leave.")])])


def list_verbs(commands: dict[str, str], about: str) -> str:
    """The help of langue.

    Args:
        commands: what each verb is for, by its name.
    """
    rows = _rows([("--version", "Print the version and leave."), (", ".join(HELP), "Show this and leave.")])
    return "\n".join(
        [
            *("Usage: langue VERB [ARGUMENTS] [OPTIONS]", "", *textwrap.wrap(about, _width()), ""),
            *("Verbs:", *_rows(list(commands.items()), indent=12), "", "Options:", *rows, ""),
            "langue VERB --help tells what a verb takes.",
        ]
    )


def _explained(parameter: Parameter) -> str:
    if parameter.required or parameter.flag or parameter.default in (None, ""):
        return parameter.declared.help
    return f"{parameter.declared.help} [default: {parameter.default}]"


def _rows(rows: list[tuple[str, str]], indent: int = INDENT) -> Iterator[str]:
    for name, text in rows:
        head = f"  {name}"
        lines = textwrap.wrap(text, max(_width() - indent, 20)) or [""]
        if len(head) > indent - 2:
            yield head
            head = ""
        yield f"{head:{indent}}{lines[0]}".rstrip()
        yield from (" " * indent + line for line in lines[1:])


def _width() -> int:
    return min(shutil.get_terminal_size().columns, WIDEST)
