"""An error speaks the language of whoever reads it."""

import pytest

from langue.base.errors import LangueError

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
    "Expected -- or `--x`": "Expected -- or `x`",
    "a--b is no option": "a--b is no option",
}


@pytest.mark.parametrize("message", SPOKEN)
def test_options_and_verbs_are_spelled_for_python(message: str) -> None:
    error = LangueError(message)
    assert str(error) == SPOKEN[message]
    assert error.message == message  # which the command line prints
