"""`langue classify`: the label of a text, or of every line of a file."""

from typing import Annotated

from langue.base.errors import LangueError
from langue.cli.options import (
    MOST,
    Json,
    Quiet,
    TextField,
    is_input,
    is_named_like_a_file,
    no_such_input,
    print_json,
    read_lines,
    text_of,
)
from langue.cli.parameters import Argument, Option


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
    """
    from langue.api.models.classifier import ClassifierModel

    held = ClassifierModel.load(model)
    if second is not None:
        examples = [[text, second]]
    elif is_input(text):
        examples = _read(text, held.texts, text_field)
    elif is_named_like_a_file(text):
        raise no_such_input(text, "classify")
    else:
        text_of(text)
        examples = [text.split("\t")]
    wrong = [number for number, example in enumerate(examples, 1) if len(example) != held.texts]
    if wrong:
        what = "one text" if held.texts == 1 else "two texts with a tab between them"
        raise LangueError(
            f"line {wrong[0]} is not {what}, which {model} reads, but {len(examples[wrong[0] - 1])}"
        )
    ranked = [row[:top] for row in held.classify_all(examples)]
    if json:
        print_json(
            [
                {"text": example, "labels": [{"label": name, "probability": share} for name, share in row]}
                for example, row in zip(examples, ranked, strict=True)
            ]
        )
        return
    for example, row in zip(examples, ranked, strict=True):
        print("  ".join(f"{label} {share:.1%}" for label, share in row) + "\t" + "\t".join(example))


def _read(name: str, texts: int, text_field: str | None) -> list[list[str]]:
    if texts == 1:
        return [[text] for text in read_lines(name, text_field)]
    from langue.corpus.read import read_pairs

    return [list(pair) for pair in read_pairs(name)]
