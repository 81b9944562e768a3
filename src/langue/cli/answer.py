"""`langue answer`: what answers a question, out of texts; or all questions of a file."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import langue
from langue.base.errors import LangueError
from langue.base.progress import log
from langue.cli.options import (
    MOST,
    Json,
    Quiet,
    TextField,
    names_input,
    print_items,
    print_json,
    read_line_batches,
    text_of,
)
from langue.cli.parameters import Argument, Option

if TYPE_CHECKING:
    from langue.tasks.answers.answer import Answers
    from langue.tasks.answers.measure import AnswerEvaluation

Cut = Literal["auto", "line", "blank-line", "text"]
PassageCut = Annotated[
    Cut,
    Option("--passages", help="What is looked up at a time: auto is paragraphs of like length."),
]


def command(
    question: Annotated[
        str,
        Argument(
            metavar="QUESTION|FILE",
            help="A question; a file, a question a line; or a file in the format of SQuAD (.json), whose "
            "questions are answered and measured.",
        ),
    ],
    texts: Annotated[
        list[str] | None,
        Argument(
            metavar="STORE|TEXT",
            help="Where to look: text files, folders, token stores; - for standard input. Left out: of "
            "questions in the format of SQuAD, the paragraph of each.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        Option(
            metavar="FOLDER",
            help="Model fine-tuned on spans, which gives the words that answer; left out: a sentence.",
        ),
    ] = None,
    top: Annotated[int, Option(min=1, max=MOST, help="Answers to show for each question.")] = 1,
    threshold: Annotated[
        float | None,
        Option(
            min=0,
            max=1,
            help="Probability below which there is no answer; left out: as tuned.",
        ),
    ] = None,
    passages: PassageCut = "auto",
    predictions: Annotated[
        Path | None,
        Option(help="JSON file to write, of questions in the format of SQuAD: an answer by each id."),
    ] = None,
    overwrite: Annotated[
        bool, Option("--overwrite", beside="predictions", help="Replace the file if it exists.")
    ] = False,
    text_field: TextField = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Answer a question by a sentence of a text, with its offset and how sure that is, or by "no answer".

    By the words that both share and the kind of answer asked for, English or Chinese; no model is needed. One
    that was fine-tuned on spans gives the words that answer.
    """
    from langue.base.files import check_file_free, refuse_same
    from langue.tasks.retrieval.passages import Passages

    names = texts or []
    from_file = names_input(question, "answer")
    if question == "-" and "-" in names:
        raise LangueError("standard input can be read only once; put the questions or the text in a file")
    if from_file and Path(question).suffix.lower() == ".json":
        if predictions is not None:  # before the work, not after it
            refuse_same(predictions, [question, *names])
            check_file_free(predictions, overwrite=overwrite)
        looked_in = Passages.read(names, cut=passages, text_field=text_field) if names else None
        measured = langue.answer_squad(question, looked_in, model=model, threshold=threshold)
        _tell(measured, predictions, json=json, overwrite=overwrite)
        return
    if predictions is not None:
        raise LangueError("--predictions is of questions in the format of SQuAD (.json); others have --json")
    if not names:
        raise LangueError(
            "there is nothing to look in; name a text file or a store: langue answer QUESTION FILE"
        )
    asked = read_questions(question) if from_file else iter([str(text_of(question))])
    opened = langue.SpanModel.load(model) if model is not None else None
    held = Passages.read(names, cut=passages, text_field=text_field)
    given = (langue.answer(one, held, model=opened, k=top, threshold=threshold) for one in asked)
    _show(given, several=from_file, json=json)


def _show(given: "Iterator[Answers]", *, several: bool, json: bool) -> None:
    if json and several:
        print_items(one.to_json() for one in given)
        return
    for number, one in enumerate(given):
        if json:
            print_json(one.to_json())
            continue
        if not number:
            log.info("answered by %s", one.by)
        print(f"{one.question}\n{one}\n" if several else one, flush=True)


def read_questions(name: str) -> Iterator[str]:
    """The lines of a file, as they come.

    Raises:
        LangueError: there is none.
    """
    lines = (line for batch in read_line_batches(name) for line in batch if line.strip())
    first = next(lines, None)
    if first is None:
        raise LangueError(f"{name} holds no question; write one a line")
    return chain([first], lines)


def _tell(measured: "AnswerEvaluation", predictions: Path | None, *, json: bool, overwrite: bool) -> None:
    """Print what was measured on a file in the format of SQuAD, and write the answers."""
    from langue.base.files import atomic_file
    from langue.tasks.answers.squad import predictions_json

    if predictions is not None:
        with atomic_file(predictions, overwrite=overwrite) as output:
            output.write(predictions_json(measured.predictions).encode())
    if json:
        print_json(measured.to_json())
    else:
        print(measured)
