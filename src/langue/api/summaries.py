"""Summaries of texts, and of the documents of files, as functions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict, Unpack

from langue.base.arguments import check_path, check_paths, check_text
from langue.base.errors import InvalidSetting, Unsupported
from langue.corpus.units import Unit
from langue.protocols import Seq2Seq
from langue.tasks.summarize import DEFAULT, Length, Method, Summarizer, Summary

if TYPE_CHECKING:
    from langue.api.models import PathLike
    from langue.api.models.ranker import RankerModel
    from langue.api.models.seq2seq import Seq2SeqModel
    from langue.corpus.whole import WholeDocument
    from langue.tasks.abstractive import AbstractiveSummarizer

AnyMethod = Method | Literal["abstractive"]


class WritingSettings(TypedDict, total=False):
    """How an abstractive summary is written."""

    num_beams: int
    min_tokens: int
    max_tokens: int
    length_penalty: float
    no_repeat_ngram_size: int


def summarize(
    text: str,
    *,
    method: AnyMethod | None = None,
    model: PathLike | RankerModel | Seq2SeqModel | None = None,
    title: str = "",
    sentences: int | None = None,
    characters: int | None = None,
    words: int | None = None,
    ratio: float | None = None,
    unit: Unit | None = None,
    explain: bool = False,
    **writing: Unpack[WritingSettings],
) -> Summary:
    """The sentences of a text that say most of it, in its order, English or Chinese; or a summary in words of
    its own, by a model that writes.

        langue.summarize(text).text
        langue.summarize(text, method="textrank", ratio=0.2).sentences
        langue.summarize(text, model="headlines", max_tokens=20).copied

    Args:
        method: "lexrank" (the default), "textrank", "centroid", "lead"; "ranker" or "abstractive" with a
            model.
        model: a ranker (`langue train ranker PAIRS`), or what writes summaries (`langue train transformer`
            on a store of `langue prepare PAIRS --documents summaries`); or its folder.
        title: what the text is about, for a ranker; left out, its first heading.
        sentences, characters, words, ratio: the length, one of them; a ratio is of the sentences. Left out,
            three sentences. An abstractive summary has so many characters at most, or its tokens.
        unit: what is chosen: "sentence" (the default), "clause" or "line"; of a ranker, what it learned.
        explain: tell why each sentence was chosen.
        num_beams, min_tokens, max_tokens, length_penalty, no_repeat_ngram_size: of an abstractive one: 4
            beams of at most 100 tokens, a length penalty of 0.6, and no three tokens in a row twice.

    Returns:
        The text, and the sentences it is made of with their offsets, ranks and scores; of an abstractive one,
        the share that is copied.

    Raises:
        InvalidSetting: an unknown method or unit (the nearest is named), several lengths, a method without
            its model, a setting of another method.
        Unsupported: the model makes no summaries.
    """
    lengths = (sentences, characters, words, ratio)
    summarizer = _summarizer(method, model, lengths, unit, writing)
    if not isinstance(summarizer, Summarizer):
        return summarizer.summarize(check_text("text", text))
    return summarizer.summarize(check_text("text", text), title=title, explain=explain)


class SummarizedDocument(NamedTuple):
    """A document of a file, and its summary."""

    name: str  # the file, and in it the line of a record
    record: dict[str, Any] | None  # all fields, of a record
    summary: Summary


def summarize_files(
    files: Sequence[str],
    *,
    method: AnyMethod | None = None,
    model: PathLike | RankerModel | Seq2SeqModel | None = None,
    sentences: int | None = None,
    characters: int | None = None,
    words: int | None = None,
    ratio: float | None = None,
    unit: Unit | None = None,
    explain: bool = False,
    text_field: str | None = None,
    title_field: str | None = None,
    **writing: Unpack[WritingSettings],
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

    lengths = (sentences, characters, words, ratio)
    summarizer = _summarizer(method, model, lengths, unit, writing)
    documents = read_documents(check_paths("files", files), text_field, title_field)
    if not isinstance(summarizer, Summarizer):
        yield from _written(summarizer, documents)
        return
    for document in documents:
        summary = summarizer.summarize(document.text, title=document.title, explain=explain)
        yield SummarizedDocument(document.name, document.record, summary)


def _written(
    summarizer: AbstractiveSummarizer, documents: Iterator[WholeDocument]
) -> Iterator[SummarizedDocument]:
    """Some are read before the first is written: they are written side by side."""
    waiting: deque[WholeDocument] = deque()

    def texts() -> Iterator[str]:
        for document in documents:
            waiting.append(document)
            yield document.text

    for summary in summarizer.summarize_all(texts()):
        document = waiting.popleft()
        yield SummarizedDocument(document.name, document.record, summary)


def _summarizer(
    method: AnyMethod | None,
    model: PathLike | RankerModel | Seq2SeqModel | None,
    lengths: tuple[int | None, int | None, int | None, float | None],
    unit: Unit | None,
    writing: WritingSettings,
) -> Summarizer | AbstractiveSummarizer:
    from langue.api.models import Model, Seq2SeqModel, load

    length = Length.of(*lengths)
    opened = model if model is None or isinstance(model, Model) else load(check_path("model", model))
    if isinstance(opened, Seq2SeqModel) and method in (None, "abstractive"):
        from langue.tasks.abstractive import AbstractiveSummarizer, Writing

        if unit is not None or any(lengths[:1] + lengths[2:]):
            raise InvalidSetting(
                "sentences, words, ratio and unit are of summaries by sentences of the document; one that is "
                "written has max_tokens or characters"
            )
        return AbstractiveSummarizer(
            opened.folder.require(Seq2Seq), Writing(characters=lengths[1], **writing)
        )
    if method == "abstractive":
        what = f"and {model} writes none" if model is not None else "and none is given"
        raise InvalidSetting(
            f"the method abstractive takes a model that writes summaries, {what}: langue prepare PAIRS "
            "-o STORE --documents summaries, langue train transformer STORE -o MODEL"
        )
    if writing:
        options = " and ".join(f"--{name.replace('_', '-')}" for name in writing)
        raise InvalidSetting(
            f"{method or DEFAULT} takes sentences of the document; name a model that writes summaries, or "
            f"leave {options} out"
        )
    if opened is None:
        return Summarizer(method or DEFAULT, length, unit=unit or "sentence")
    from langue.api.models.ranker import RankerModel

    if not isinstance(opened, RankerModel):
        raise Unsupported(
            f"{model} makes no summaries; train what does: langue train ranker PAIRS -o MODEL, or a "
            "transformer on documents with summaries"
        )
    return Summarizer(method or "ranker", length, opened.folder.model, unit or opened.unit)
