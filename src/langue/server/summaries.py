"""`/v1/summarize`: the sentences of a text that say most of it, by a method or by a trained ranker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, field

from langue.server import limits
from langue.server.routes import Route
from langue.server.schema import Answer, Request
from langue.server.text import check_size

if TYPE_CHECKING:
    from langue.server.app import Server
    from langue.tasks.summarize import Summary

Count = Annotated[int, Meta(ge=1, le=limits.SCORED_BYTES)]


class SummarizeRequest(Request, frozen=True, kw_only=True):
    text: str
    title: str = ""
    method: Literal["lexrank", "textrank", "centroid", "lead", "ranker"] | None = None
    sentences: Count | None = None  # one of these four; none: three sentences
    characters: Count | None = None
    words: Count | None = None
    ratio: Annotated[float, Meta(gt=0, le=1)] | None = None
    unit: Literal["sentence", "clause", "line"] | None = None
    explain: bool = False


class SummarySentence(Answer, frozen=True, kw_only=True):
    text: str
    begin: int  # characters of the text
    end: int
    number: int
    rank: int
    score: float
    reasons: list[str] = field(default_factory=list)


class SummarizeResponse(Answer, frozen=True, kw_only=True):
    model: str | None  # the ranker, where one chose
    method: str
    summary: str
    sentences: list[SummarySentence]
    total: int  # sentences that the text has
    object: str = "summary"


async def summarize(server: Server, body: SummarizeRequest) -> SummarizeResponse:
    check_size(len((body.text + body.title).encode()), "text", limits.SCORED_BYTES, what="bytes")
    name = None
    if body.model is None and body.method != "ranker":
        summary = await asyncio.to_thread(_summarize, body)
    else:
        async with server.models.held(body.model, "summarize") as held:
            summary = await held.call(lambda face: _summarize(body, face))
            name = held.name
    told = summary.to_json()
    sentences = [SummarySentence(**one) for one in told.pop("sentences")]
    return SummarizeResponse(model=name, sentences=sentences, **told)


def _summarize(body: SummarizeRequest, model: Any = None) -> Summary:
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


ROUTES = (
    Route(
        "POST",
        "/v1/summarize",
        "The sentences of a text that say most of it",
        SummarizeRequest,
        SummarizeResponse,
        summarize,
    ),
)
