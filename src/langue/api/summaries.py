"""Summaries of texts, and of the documents of files, as functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from langue.base.arguments import check_text
from langue.corpus.units import Unit
from langue.tasks.summarize import DEFAULT, Length, Method, Summarizer, Summary

if TYPE_CHECKING:
    from langue.api.models import PathLike
    from langue.api.models.ranker import RankerModel


def summarize(
    text: str,
    *,
    method: Method | None = None,
    model: PathLike | RankerModel | None = None,
    title: str = "",
    sentences: int | None = None,
    characters: int | None = None,
    words: int | None = None,
    ratio: float | None = None,
    unit: Unit | None = None,
    explain: bool = False,
) -> Summary:
    """The sentences of a text that say most of it, in its order, English or Chinese.

        langue.summarize(text).text
        langue.summarize(text, method="textrank", ratio=0.2).sentences

    Args:
        method: "lexrank" (the default), "textrank", "centroid", "lead", or "ranker" with a model.
        model: a ranker, or its folder: `langue train ranker PAIRS`.
        title: what the text is about, for a ranker; left out, its first heading.
        sentences, characters, words, ratio: the length, one of them; a ratio is of the sentences. Left out,
            three sentences.
        unit: what is chosen: "sentence" (the default), "clause" or "line"; of a ranker, what it learned.
        explain: tell why each sentence was chosen.

    Returns:
        The text, and the sentences it is made of with their offsets, ranks and scores.

    Raises:
        InvalidSetting: an unknown method or unit (the nearest is named), several lengths, a method without
            its model.
        Unsupported: the model is no ranker.
    """
    length = Length.of(sentences, characters, words, ratio)
    summarizer = _summarizer(method, model, length, unit)
    return summarizer.summarize(check_text("text", text), title=title, explain=explain)


class SummarizedDocument(NamedTuple):
    """A document of a file, and its summary."""

    name: str  # the file, and in it the line of a record
    record: dict[str, Any] | None  # all fields, of a record
    summary: Summary


def summarize_files(
    files: Sequence[str],
    *,
    method: Method | None = None,
    model: PathLike | RankerModel | None = None,
    sentences: int | None = None,
    characters: int | None = None,
    words: int | None = None,
    ratio: float | None = None,
    unit: Unit | None = None,
    explain: bool = False,
    text_field: str | None = None,
    title_field: str | None = None,
) -> Iterator[SummarizedDocument]:
    """`summarize` of each document of files, one after another as they are read: a text file is one, and so
    is each record of JSON lines or of a table.

    Args:
        files: paths, or `-` for standard input.
        text_field: of records; None is "text".
        title_field: of records; None: there is none.

    Raises:
        LangueError: as `summarize`; a file is missing, empty or not UTF-8, a record has no such field.
    """
    from langue.corpus.whole import read_documents

    length = Length.of(sentences, characters, words, ratio)
    summarizer = _summarizer(method, model, length, unit)
    for document in read_documents(files, text_field, title_field):
        summary = summarizer.summarize(document.text, title=document.title, explain=explain)
        yield SummarizedDocument(document.name, document.record, summary)


def _summarizer(
    method: Method | None, model: PathLike | RankerModel | None, length: Length, unit: Unit | None
) -> Summarizer:
    if model is None:
        return Summarizer(method or DEFAULT, length, unit=unit or "sentence")
    from langue.api.models.ranker import RankerModel

    ranker = model if isinstance(model, RankerModel) else RankerModel.load(model)
    return Summarizer(method or "ranker", length, ranker.folder.model, unit or ranker.unit)
