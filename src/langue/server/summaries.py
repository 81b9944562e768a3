"""`/v1/summarize`: the sentences of a text that say most of it, or a summary that a model writes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, field

from langue.server import limits
from langue.server.completions import most_tokens
from langue.server.errors import Refused
from langue.server.routes import Route
from langue.server.schema import Answer, Request
from langue.server.text import check_size, is_of_pairs
from langue.tasks.abstractive import AbstractiveSummarizer, Writing

if TYPE_CHECKING:
    from langue.server.app import Server
    from langue.server.engine import GoOn
    from langue.tasks.summarize import Summary

Count = Annotated[int, Meta(ge=1, le=limits.SCORED_BYTES)]
Method = Literal["lexrank", "textrank", "centroid", "lead", "ranker", "abstractive"]
BY_MODEL = {"ranker": "rank", "abstractive": "abstract"}  # what a model has to be able to do


class SummarizeRequest(Request, frozen=True, kw_only=True):
    text: str
    title: str = ""
    method: Method | None = None  # left out: that of the model, or lexrank
    sentences: Count | None = None  # one of these four; none: three sentences
    characters: Count | None = None
    words: Count | None = None
    ratio: Annotated[float, Meta(gt=0, le=1)] | None = None
    unit: Literal["sentence", "clause", "line"] | None = None
    explain: bool = False
    # Of one that is written, which has `characters` too
    num_beams: Annotated[int, Meta(ge=1, le=limits.BEAMS)] | None = None
    min_tokens: Annotated[int, Meta(ge=0, le=limits.PROMPT_TOKENS)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    length_penalty: Annotated[float, Meta(ge=-100, le=100)] | None = None
    no_repeat_ngram_size: Annotated[int, Meta(ge=0, le=limits.PROMPT_TOKENS)] | None = None


OF_SENTENCES = ("title", "sentences", "words", "ratio", "unit", "explain")
OF_WRITING = ("num_beams", "min_tokens", "max_tokens", "length_penalty", "no_repeat_ngram_size")


class SummarySentence(Answer, frozen=True, kw_only=True):
    text: str
    begin: int  # characters of the text
    end: int
    number: int
    rank: int
    score: float
    reasons: list[str] = field(default_factory=list)


class SummarizeResponse(Answer, frozen=True, kw_only=True):
    model: str | None  # where one chose or wrote
    method: str
    summary: str
    sentences: list[SummarySentence]  # none of a summary that was written
    total: int  # sentences that the text has
    copied: float | None = None  # of a summary that was written: the share that stands in the text, in runs
    cut: bool = False  # whether the model read the beginning alone
    object: str = "summary"


async def summarize(server: Server, body: SummarizeRequest) -> SummarizeResponse:
    check_size(len((body.text + body.title).encode()), "text", limits.SCORED_BYTES, what="bytes")
    name = None
    if body.method not in (None, *BY_MODEL) and body.model is not None:
        raise Refused(400, f"method: {body.method} uses no model; leave one of them out", param="method")
    if body.model is None and body.method not in BY_MODEL:
        _refuse(body, OF_WRITING, "a summary of sentences")
        summary = await asyncio.to_thread(_choose, body)
    else:
        most = most_tokens(server, body.max_tokens, Writing().max_tokens, "max_tokens")
        async with server.models.held(body.model, BY_MODEL.get(body.method or "", "summarize")) as held:
            summary = await held.call_while_wanted(partial(_by_model, body, most))
            name = held.name
    told = summary.to_json()
    sentences = [SummarySentence(**one) for one in told.pop("sentences")]
    return SummarizeResponse(model=name, sentences=sentences, **told)


def _by_model(body: SummarizeRequest, most: int, face: Any, go_on: GoOn) -> Summary:
    if not is_of_pairs(face):
        _refuse(body, OF_WRITING, "a summary of sentences")
        return _choose(body, face)
    _refuse(body, OF_SENTENCES, "a summary that is written")
    asked = {name: getattr(body, name) for name in _given(body, (*OF_WRITING, "characters"))}
    writing = Writing(**asked | {"max_tokens": most})
    return AbstractiveSummarizer(face.folder, writing, before_step=go_on).summarize(body.text)


def _choose(body: SummarizeRequest, model: Any = None) -> Summary:
    from langue.api.summaries import summarize as run

    return run(
        body.text,
        method=body.method,
        model=model,
        title=body.title,
        sentences=body.sentences,
        characters=body.characters,
        words=body.words,
        ratio=body.ratio,
        unit=body.unit,
        explain=body.explain,
    )


def _given(body: SummarizeRequest, names: Sequence[str]) -> list[str]:
    """Those that a request does not leave as they are."""
    values = ((name, getattr(body, name)) for name in names)
    return [name for name, value in values if value is not None and value is not False and value != ""]


def _refuse(body: SummarizeRequest, names: Sequence[str], what: str) -> None:
    """Raise a `Refused` for a field of the other kind of summary."""
    for name in _given(body, names):
        raise Refused(400, f"{name}: {what} has none; leave it out", param=name)


ROUTES = (
    Route(
        "POST",
        "/v1/summarize",
        "The sentences of a text that say most of it, or a summary that a model writes",
        SummarizeRequest,
        SummarizeResponse,
        summarize,
    ),
)
