"""`langue classify`: the label of a text, or of every line of a file."""

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

from langue.base.errors import LangueError
from langue.base.progress import log
from langue.base.wording import counted
from langue.cli.options import (
    MOST,
    Json,
    Quiet,
    TextField,
    names_input,
    print_items,
    read_line_batches,
    some_text,
    text_of,
)
from langue.cli.parameters import Argument, Option

if TYPE_CHECKING:
    from langue.api.models.classifier import ClassifierModel

PAIRS = 1 << 16  # characters of pairs read at a time


def command(
    model: Annotated[str, Argument(help="Folder of a classifier.")],
    text: Annotated[
        str,
        Argument(
            metavar="TEXT|FILE", help="A text; a file, a text a line or a record each; - for standard input."
        ),
    ],
    second: Annotated[str | None, Argument(callback=text_of, help="The other text of a pair.")] = None,
    top: Annotated[int, Option(min=1, max=MOST, help="How many labels to show for each text.")] = 1,
    text_field: TextField = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell what a text is.

    Of a file of pairs, each line is two texts with a tab between them, or a record has `text` and `second`.
    A blank line keeps its place and has no label.
    Where a text may have several labels, all that are likelier than not are told.
    """
    from langue.api.models.classifier import ClassifierModel

    held = ClassifierModel.load(model)
    if second is not None:
        batches: Iterable[list[list[str]]] = [[[text, second]]]
    elif names_input(text, "classify"):
        batches = _read(text, held.texts, text_field)
    elif text_field is not None:
        raise LangueError("--text-field is of a file of records; leave it out, or name one")
    else:
        batches = [[str(some_text(text)).split("\t")]]
    rows = _classified(held, model, batches, top)
    if json:
        print_items(
            {"text": example, "labels": [{"label": name, "probability": share} for name, share in row]}
            for example, row in rows
        )
        return
    for example, row in rows:
        print("  ".join(f"{label} {share:.1%}" for label, share in row) + "\t" + "\t".join(example))


def _classified(
    held: "ClassifierModel", model: str, batches: Iterable[list[list[str]]], top: int
) -> Iterator[tuple[list[str], list[tuple[str, float]]]]:
    """Each example with its likeliest labels, as batches come; a blank line keeps its place and has none."""
    before = blank = 0
    for examples in batches:
        written = []
        for number, example in enumerate(examples, before + 1):
            if _is_blank(example):
                blank += 1
                continue
            if len(example) != held.texts:
                what = "one text" if held.texts == 1 else "two texts with a tab between them"
                raise LangueError(f"line {number} is not {what}, which {model} reads, but {len(example)}")
            written.append(example)
        rows = iter(held.classify_all(written))
        for example in examples:
            row = [] if _is_blank(example) else next(rows)
            several = sum(share >= 0.5 for _, share in row) if held.multilabel else 0
            yield example, row[: max(top, several)]
        sys.stdout.flush()
        before += len(examples)
    if blank:
        log.warning("no label of %s", counted(blank, "blank line"))


def _is_blank(example: list[str]) -> bool:
    return not any(map(str.strip, example))


def _read(name: str, texts: int, text_field: str | None) -> Iterator[list[list[str]]]:
    """The examples of a file, some at a time."""
    if texts == 1:
        yield from ([[text] for text in batch] for batch in read_line_batches(name, text_field))
        return
    from langue.base.groups import group_by_size
    from langue.corpus.read import read_pairs

    pairs = (list(pair) for pair in read_pairs(name))
    yield from group_by_size(pairs, lambda pair: sum(map(len, pair)) + 1, PAIRS)
