"""A command line, read by argparse as the parameters of a verb."""

import argparse
import inspect
import shutil
import textwrap
from collections.abc import Callable, Container, Sequence
from typing import Any, NoReturn

from langue.base.errors import LangueError
from langue.cli.parameters import Argument, Given, Option, Parameter, given_name, parameters_of

HELP = ("-h", "--help")
WIDEST = 100  # columns of a help: longer lines are hard to read


class Parser(argparse.ArgumentParser):
    """What argparse cannot read is bad input like any other."""

    def error(self, message: str) -> NoReturn:
        raise LangueError(f"{message.removeprefix('argument ')}; see {self.prog} --help")


def parse(verb: str, command: Callable[..., None], arguments: Sequence[str]) -> dict[str, Any]:
    """The parameters of a verb by name, from what was typed after it.

    Raises:
        SystemExit: an option asks for help, which was printed.
        LangueError: an option is unknown (the nearest is named), or read only beside another, which is not
            there; a value is missing or none of its type; there are too few arguments or too many.
    """
    parameters = parameters_of(command)
    parser = parser_of(verb, command, parameters)
    typed, unknown = parser.parse_known_intermixed_args(arguments)
    if unknown:
        raise LangueError(_unknown(verb, unknown[0].partition("=")[0], parameters))
    given = vars(typed)
    _refuse_unread(given, parameters)
    values = {one.name: _value(one, given) for one in parameters}
    asking = given_name(command)
    if asking is not None:
        values[asking] = Given(frozenset(given))
    return values


def _refuse_unread(given: Container[str], parameters: Sequence[Parameter]) -> None:
    """Raise a `LangueError` for an option that nothing reads without another."""
    names = {one.name: one.names[-1] for one in parameters if isinstance(one.declared, Option)}
    for one in parameters:
        beside = one.declared.beside if isinstance(one.declared, Option) else ""
        if beside and one.name in given and beside not in given:
            raise LangueError(
                f"{names[one.name]} is read beside {names[beside]} alone; give that, too, or leave "
                f"{names[one.name]} out"
            )


def parser_of(verb: str, command: Callable[..., None], parameters: Sequence[Parameter]) -> Parser:
    parser = Parser(
        prog=f"langue {verb}",
        description=inspect.cleandoc(command.__doc__ or ""),
        formatter_class=_formatter,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    for one in parameters:
        explained = one.declared.help.replace("%", "%%")
        if not (one.required or one.flag or one.default in (None, "")):
            explained += f" [default: {str(one.default).replace('%', '%%')}]"
        if isinstance(one.declared, Argument):
            count = ("+" if one.required else "*") if one.repeated else (None if one.required else "?")
            parser.add_argument(one.name, nargs=count, metavar=one.metavar, type=_reader(one), help=explained)
        elif one.flag:
            parser.add_argument(*one.names, dest=one.name, action="store_true", help=explained)
        else:
            parser.add_argument(
                *one.names,
                dest=one.name,
                required=one.required,
                metavar=one.metavar,
                type=_reader(one),
                action="append" if one.repeated else "store",
                help=explained,
            )
    return parser


def _reader(parameter: Parameter) -> Callable[[str], Any]:
    """How a value is read; argparse sends what stands for no value through it, too."""
    return lambda text: text if text is argparse.SUPPRESS else parameter.convert(text)


def _formatter(prog: str) -> argparse.HelpFormatter:
    width = min(shutil.get_terminal_size().columns, WIDEST)
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=width)


def _value(parameter: Parameter, given: dict[str, Any]) -> Any:
    if parameter.name not in given:
        return parameter.default
    value = given[parameter.name]
    return parameter.declared.callback(value) if parameter.declared.callback else value


def _unknown(verb: str, typed: str, parameters: Sequence[Parameter]) -> str:
    from langue.base.config import nearest  # which takes longer to import than to be right

    if not typed.startswith("-"):
        return f"one argument too many: {typed!r}; see langue {verb} --help"
    known = [name for one in parameters if not isinstance(one.declared, Argument) for name in one.names]
    return f"langue {verb} has no option {typed}{nearest(typed, known)}"


def list_verbs(commands: dict[str, str], about: str) -> str:
    """The help of langue.

    Args:
        commands: what each verb is for, by its name.
    """
    width = min(shutil.get_terminal_size().columns, WIDEST)
    rows = [
        textwrap.fill(f"{name:10}{summary}", width, initial_indent="  ", subsequent_indent=" " * 12)
        for name, summary in commands.items()
    ]
    more = "langue VERB --help tells what a verb takes; langue --version prints the version."
    head = ["usage: langue VERB [ARGUMENTS] [OPTIONS]", "", *textwrap.wrap(about, width), "", "verbs:"]
    return "\n".join([*head, *rows, "", more])
