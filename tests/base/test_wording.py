"""An error speaks the language of whoever reads it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import langue
from langue import cli
from langue.base.errors import LangueError
from langue.base.wording import in_python, in_requests

SPOKEN = {
    "pass --overwrite": "pass overwrite=True",
    "go on with --resume, or not": "go on with resume=True, or not",
    "leave --valid out": "leave valid out",
    "name files (--valid FILE --test FILE)": "name files (valid=FILE test=FILE)",
    "try --distance 12": "try distance=12",
    "pass --invalid=skip or not": 'pass invalid="skip" or not',
    "the shares (--set data.valid_fraction=0.2)": "the shares (valid_fraction=0.2)",
    'two or more: --set \'models=["A", "B"]\'': 'two or more: models=["A", "B"]',
    "make one: langue train FAMILY STORE -o a/b.c": 'make one: langue.train("FAMILY", "STORE", "a/b.c")',
    "made by langue finetune MODEL DATA --task tag": 'made by langue.finetune("MODEL", "DATA", task="tag")',
    "is fine-tuned (langue finetune), and": "is fine-tuned (langue.finetune), and",
    "use langue tag": "use langue.load(…).tag",
    "one that does: langue classify MODEL TEXT": 'one that does: langue.load("MODEL").classify("TEXT")',
    "use langue answer --model": 'use langue.answer(model="…")',
    "import it: langue import a/b_c -o FOLDER": 'import it: langue.import_model("a/b_c", "FOLDER")',
    "pairs (langue prepare PAIRS --documents=pairs)": 'pairs (langue.prepare("PAIRS", documents="pairs"))',
    "Expected -- or `--x`": "Expected -- or `x`",
    "a--b is no option": "a--b is no option",
}


@pytest.mark.parametrize("message", SPOKEN)
def test_options_and_verbs_are_spelled_for_python(message: str) -> None:
    error = LangueError(message)
    assert str(error) == SPOKEN[message]
    assert error.message == message  # which the command line prints


def test_an_answer_of_the_server_names_fields_and_what_its_owner_types() -> None:
    error = "leave --top-k out, or --max-tokens 3; make one: langue train FAMILY STORE -o a/b"
    asked = "leave top_k out, or max_tokens=3; make one: langue train FAMILY STORE -o a/b"
    assert in_requests(error) == asked


def sentences() -> Iterator[str]:
    """Whatever stands in the source that might be told, with `x` for what is filled in."""
    for path in sorted(Path(langue.__file__).parent.rglob("*.py")):
        parts = path.relative_to(Path(langue.__file__).parent).parts
        for node in ast.walk(ast.parse(path.read_text())) if parts[0] not in ("cli", "server") else ():
            if isinstance(node, ast.Raise | ast.Return | ast.Assign | ast.AnnAssign):
                for inner in ast.walk(node):
                    if isinstance(inner, ast.JoinedStr):
                        values = inner.values
                        yield "".join(
                            str(one.value) if isinstance(one, ast.Constant) else "x" for one in values
                        )
                    elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                        yield inner.value


def test_no_verb_or_option_is_left_as_it_is_typed_in_what_python_tells() -> None:
    verbs = "|".join(cli.VERBS)
    typed = rf"\blangue ({verbs})\b|(?<!\S)[('`]*--[a-z]"
    told = [sentence for sentence in sentences() if re.search(typed, sentence)]
    assert len(told) > 80
    assert not [in_python(one) for one in told if re.search(typed, in_python(one))]
    # Nor a verb without what is given to it, or with a part of it.
    half = r'\blangue\.\w+ (\S+ )?[A-Z]{2,}\b|"\)\.\w+='
    assert not [in_python(one) for one in told if re.search(half, in_python(one))]
