"""What looks something up, in texts that are given or in the corpus: `/v1/answer` and `/v1/similar`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from msgspec import Meta

from langue.server import limits
from langue.server.corpus import Embedding
from langue.server.errors import Refused
from langue.server.routes import Route
from langue.server.schema import Answer, Probability, Request, Texts
from langue.server.text import check_size

if TYPE_CHECKING:
    from langue.server.app import Server
    from langue.tasks.answers.answer import Answers
    from langue.tasks.retrieval.passages import Passages

Query = Annotated[str, Meta(max_length=limits.QUERY)]


class AnswerRequest(Request, frozen=True, kw_only=True):
    question: Query
    texts: Texts | None = None  # left out: the corpus of the server
    k: Annotated[int, Meta(ge=1, le=limits.NEAR)] = 1
    threshold: Probability | None = None


class Located(Answer, frozen=True, kw_only=True):
    """A stretch of a text that was looked in."""

    text: str
    score: float
    source: str
    begin: int  # characters
    end: int
    begin_byte: int  # the same in UTF-8
    end_byte: int


class AnswerCandidate(Located, frozen=True, kw_only=True):
    passage: str
    passage_begin: int  # characters of its text


class AnswerResponse(Answer, frozen=True, kw_only=True):
    question: str
    answer: str | None
    answerable: float
    threshold: float
    by: str  # the model, or what langue has of its own
    candidates: list[AnswerCandidate]
    object: str = "answer"


async def answer(server: Server, body: AnswerRequest) -> AnswerResponse:
    passages = await _passages(server, body.texts)
    if body.model is None:
        given = await asyncio.to_thread(_answer, body, passages)
    else:
        async with server.models.held(body.model, "answer") as held:
            given = replace(await held.call(lambda face: _answer(body, passages, face)), by=held.name)
    told = given.to_json()
    candidates = [AnswerCandidate(**one) for one in told.pop("candidates")]
    return AnswerResponse(candidates=candidates, **told)


def _answer(body: AnswerRequest, passages: Passages, model: Any = None) -> Answers:
    from langue.api.lookup import answer as run

    return run(body.question, passages, model=model, k=body.k, threshold=body.threshold)


class SimilarRequest(Request, frozen=True, kw_only=True):
    query: Query
    texts: Texts | None = None  # left out: the corpus of the server
    k: Annotated[int, Meta(ge=1, le=limits.NEAR)] = 5
    pooling: Literal["mean", "cls"] = "mean"
    whiten: bool = False


class SimilarPassage(Located, frozen=True, kw_only=True):
    """A passage near to a query."""


class SimilarResponse(Answer, frozen=True, kw_only=True):
    query: str
    by: str  # the model, or BM25
    passages: list[SimilarPassage]
    object: str = "similar"


async def similar(server: Server, body: SimilarRequest) -> SimilarResponse:
    from langue.tasks.retrieval.similar import VectorIndex, by_vectors, by_words

    passages = await _passages(server, body.texts)
    if body.model is None:
        if body.whiten:
            raise Refused(400, "whiten: vectors are of a model, which is to be named, too", param="whiten")
        near = await asyncio.to_thread(by_words, body.query, passages, body.k)
    else:
        async with server.models.held(body.model, "embed") as held:
            if body.texts is None and server.corpus is not None:
                parts = await server.corpus.vectors(held, body.pooling)
            else:
                parts = await Embedding().extend(held, passages, body.pooling)
            index = await asyncio.to_thread(VectorIndex.of, np.concatenate(parts), whiten=body.whiten)
            near = await held.call(
                lambda face: by_vectors(
                    body.query,
                    passages,
                    index,
                    lambda texts: face.embed(texts, pooling=body.pooling),
                    body.k,
                    held.name,
                )
            )
    told = near.to_json()
    return SimilarResponse(passages=[SimilarPassage(**one) for one in told.pop("passages")], **told)


async def _passages(server: Server, texts: str | list[str] | None) -> Passages:
    """Of the texts that a request gives, or else of the corpus."""
    from langue.tasks.retrieval.passages import Passages, given_texts

    if texts is None:
        if server.corpus is None:
            raise Refused(
                400, "texts: give some; this server was started without a corpus to look in", param="texts"
            )
        return await server.corpus.passages()
    given = [texts] if isinstance(texts, str) else texts
    check_size(sum(len(text.encode()) for text in given), "texts", limits.SCORED_BYTES, what="bytes")
    return await asyncio.to_thread(lambda: Passages.of(given_texts(given)))


ROUTES = (
    Route(
        "POST", "/v1/answer", "The sentence that answers a question, or none", AnswerRequest, AnswerResponse,
        answer,
    ),
    Route(
        "POST", "/v1/similar", "The passages nearest to a query", SimilarRequest, SimilarResponse, similar
    ),
)  # fmt: skip
