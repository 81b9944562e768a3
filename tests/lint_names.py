"""What `make lint` asks of the source beside ruff and mypy: `python tests/lint_names.py`.

Names: a word that says nothing of what it names is refused as an identifier, or as a part of one.
Functions: each is annotated and takes a bounded number of positional parameters, but those compiled by numba,
whose types are those of the call; mypy and ruff could only ask this of whole files.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "langue"

# Words that are refused, and what to write instead.
WORDS = {
    "found": "name a result by what it is",
    "place": "index, position, offset, row or slot",
    "places": "indices, positions, offsets, rows or slots",
}
POSITIONAL = 8  # parameters: more are given by name. A command's are options, which all are
COMPILED = {"njit", "overload", "intrinsic"}


def identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name that the source itself chooses or uses, and its line."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                yield line, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield line, name
            case ast.keyword(arg=str(name)) | ast.alias(asname=str(name)) | ast.alias(name=name):
                yield line, name
            case (
                ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
                | ast.ExceptHandler(name=str(name))
            ):
                yield line, name
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                yield from ((line, name) for name in names)


def refused(tree: ast.AST) -> Iterator[str]:
    """A message for each identifier that has a refused word in it; the aliases of earlier versions may."""
    seen = set()
    aliases = {
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assign) and _is_alias(node.value)
    }
    for line, name in identifiers(tree):
        if line in aliases:
            continue
        for word in WORDS.keys() & set(name.lower().strip("_").split("_")):
            if (line, name) not in seen:
                seen.add((line, name))
                yield f"{line}: `{name}`: {WORDS[word]}"


def _is_alias(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and _name(value).startswith("renamed_")


def malformed(tree: ast.AST, *, compiled: bool = False) -> Iterator[str]:
    """A message for each function without types, or with too many positional parameters."""
    for node in ast.iter_child_nodes(tree):
        inside = compiled
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside |= any(_name(decorator) in COMPILED for decorator in node.decorator_list)
            if not inside and not _is_annotated(node):
                yield f"{node.lineno}: `{node.name}` has a parameter or a result without a type"
            listed = [*node.args.posonlyargs, *node.args.args]
            if not inside and node.name != "command" and len(listed) > POSITIONAL + _is_method(listed):
                yield f"{node.lineno}: `{node.name}` has more than {POSITIONAL} positional parameters"
        yield from malformed(node, compiled=inside)


def _is_method(listed: list[ast.arg]) -> bool:
    return bool(listed) and listed[0].arg in ("self", "cls", "ctx")


def _name(decorator: ast.expr) -> str:
    if isinstance(decorator, ast.Call):
        decorator = decorator.func
    return ast.unparse(decorator).rpartition(".")[2]


def _is_annotated(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    listed = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    listed += [argument for argument in (function.args.vararg, function.args.kwarg) if argument]
    untyped = [argument.arg for argument in listed if argument.annotation is None]
    if untyped[:1] in (["self"], ["cls"]):
        untyped = untyped[1:]
    return not untyped and (function.returns is not None or (function.name == "__init__" and len(listed) > 1))


def main() -> int:
    messages = []
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        kinds = [malformed(tree), refused(tree)]
        messages += [f"{path.relative_to(SOURCE.parents[1])}:{message}" for kind in kinds for message in kind]
    print("\n".join(messages) or f"names and types of {SOURCE.name}: no issue")
    return bool(messages)


if __name__ == "__main__":
    sys.exit(main())
