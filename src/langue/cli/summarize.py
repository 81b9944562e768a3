"""`langue summarize`: the sentences of documents that say most of them, or summaries that a model writes."""

import json as jsonlib
from typing import TYPE_CHECKING, Annotated, Any, Literal

from langue.base.errors import LangueError
from langue.base.progress import log
from langue.cli.options import MOST, Json, Quiet, TextField
from langue.cli.parameters import Argument, Option

MOST_BEAMS = 1000  # each is a text that is held

if TYPE_CHECKING:
    from langue.api.summaries import SummarizedDocument


def command(
    files: Annotated[
        list[str],
        Argument(
            metavar="FILE",
            help="Documents: text files, JSON lines, tables, folders; - for standard input.",
        ),
    ],
    method: Annotated[
        Literal["lexrank", "textrank", "centroid", "lead", "ranker", "abstractive"] | None,
        Option(
            help="lexrank, textrank, centroid, lead, or with a model ranker or abstractive; left out: that "
            "of the model, or lexrank."
        ),
    ] = None,
    model: Annotated[
        str | None,
        Option(
            metavar="FOLDER",
            help="A ranker (langue train ranker PAIRS), or a model that writes summaries (langue train "
            "transformer).",
        ),
    ] = None,
    sentences: Annotated[
        int | None, Option(min=1, max=MOST, help="So many of them; without a length, three.")
    ] = None,
    characters: Annotated[int | None, Option(min=1, help="At most so many.")] = None,
    words: Annotated[int | None, Option(min=1, help="At most so many, of Chinese too.")] = None,
    ratio: Annotated[float | None, Option(min=0.0, max=1.0, help="Such a part of the sentences.")] = None,
    unit: Annotated[
        Literal["sentence", "clause", "line"] | None,
        Option(help="What is chosen: sentence, clause, or line, such as the turn of a dialogue."),
    ] = None,
    num_beams: Annotated[
        int | None, Option(min=1, max=MOST_BEAMS, help="Of abstractive: hypotheses held; left out: 4.")
    ] = None,
    min_tokens: Annotated[int | None, Option(min=0, max=MOST, help="Of abstractive: no fewer.")] = None,
    max_tokens: Annotated[
        int | None, Option(min=1, max=MOST, help="Of abstractive: no more; left out: 100.")
    ] = None,
    length_penalty: Annotated[
        float | None,
        Option(help="Of abstractive: above 0.6, which is usual, longer ones."),
    ] = None,
    no_repeat_ngram_size: Annotated[
        int | None,
        Option(min=0, max=MOST, help="Of abstractive: no so many tokens twice; left out: 3, 0: any."),
    ] = None,
    text_field: TextField = None,
    title_field: Annotated[
        str | None, Option(help="Field of records that holds a title, which a ranker looks at.")
    ] = None,
    explain: Annotated[
        bool, Option("--explain", help="Show where each sentence stands, its rank, and why it was chosen.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Summarize documents by their own sentences, English or Chinese: no download, no training needed; or in
    other words, by a model that was trained to write.

    A text file is a document, and so is each record. Of records, and with --json, what is printed is a record
    in each line: the fields that were read, and the summary.
    """
    from langue.api.summaries import summarize_files

    if ratio == 0:
        raise LangueError("--ratio 0 leaves nothing; give a part above 0, at most 1")
    of_writing = {
        "num_beams": num_beams,
        "min_tokens": min_tokens,
        "max_tokens": max_tokens,
        "length_penalty": length_penalty,
        "no_repeat_ngram_size": no_repeat_ngram_size,
    }
    writing: Any = {name: value for name, value in of_writing.items() if value is not None}
    documents = summarize_files(
        files,
        method=method,
        model=model,
        sentences=sentences,
        characters=characters,
        words=words,
        ratio=ratio,
        unit=unit,
        explain=explain,
        text_field=text_field,
        title_field=title_field,
        **writing,
    )
    printed = False
    told: set[str] = set()  # fields that are replaced
    for number, document in enumerate(documents):
        if not number:
            log.info("summarized by %s, %s", document.summary.method, model or "which needs no model")
        if not document.summary.text:
            log.warning("%s holds no text: its summary is empty", document.name)
        if json or document.record is not None:
            fields = _fields(document, full=json or explain)
            record = document.record if document.record is not None else {"document": document.name}
            if replaced := [name for name in fields if name in record and name not in told]:
                told.update(replaced)
                log.warning(
                    "%s: records have the field %s, which is another in what is written here",
                    document.name, " and ".join(replaced),
                )  # fmt: skip
            print(jsonlib.dumps({**record, **fields}, ensure_ascii=False), flush=True)
            continue
        if printed:
            print()
        printed = True
        if len(files) > 1:
            print(f"── {document.name} ──")
        print(_explained(document) if explain else document.summary.text, flush=True)


def _fields(document: "SummarizedDocument", *, full: bool) -> dict[str, object]:
    """What is written of a document beside its own fields."""
    summary = document.summary.to_json()
    return summary if full else {"summary": summary["summary"]}


def _explained(document: "SummarizedDocument") -> str:
    summary = document.summary
    lines = [
        f"{sentence.text}\n    sentence {sentence.number} of {summary.total}, characters {sentence.begin}–"
        f"{sentence.end}; rank {sentence.rank}, score {sentence.score:.3f}; {'; '.join(sentence.reasons)}"
        for sentence in summary.sentences
    ]
    if summary.copied is not None:
        return f"{summary.text}\nby {summary.method}, {summary.copied:.0%} of it copied"
    return "\n".join([*lines, f"by {summary.method}"])
