"""What the page asks beside figures: the reason behind a token, and what of a text was copied."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from msgspec import Meta

from langue.server import limits
from langue.server.errors import Refused
from langue.server.routes import Route
from langue.server.schema import Answer, Id, Request
from langue.server.text import check_size

if TYPE_CHECKING:
    from langue.evaluation.explain import Explained
    from langue.evaluation.verbatim import Copied
    from langue.server.app import Server
    from langue.tokens.store import TokenStore

LAYERS = 1 << 10  # no network here has more
SPANS = 200  # told of one text


class WhyRequest(Request, frozen=True, kw_only=True):
    text: str | None = None  # either this
    ids: Annotated[list[Id], Meta(max_length=limits.PROMPT_TOKENS)] | None = None  # or these
    index: Annotated[int, Meta(ge=-limits.PROMPT_TOKENS, le=limits.PROMPT_TOKENS)] = -1
    k: Annotated[int, Meta(ge=1, le=limits.LOGPROBS)] = 10
    layer: Annotated[int, Meta(ge=0, le=LAYERS)] | None = None


class Likely(Answer, frozen=True, kw_only=True):
    token: str
    probability: float


class WhyResponse(Answer, frozen=True, kw_only=True):
    model: str
    token: str
    index: int
    probability: float
    bits: float | None
    rank: int
    entropy: float
    top: list[Likely]
    reason: dict[str, Any] | None  # its `kind` says what else it has; see docs/page.md
    object: str = "why"


async def why(server: Server, body: WhyRequest) -> WhyResponse:
    if (body.text is None) == (body.ids is None):
        raise Refused(400, "give text or ids, one of them", param="text")
    if body.text is not None:
        check_size(len(body.text.encode()), "text", limits.SCORED_BYTES)
    async with server.models.held(body.model, "why") as held:
        explained = await held.call(lambda face: _explain(face, body))
    told = explained.to_json()
    top = [Likely(**one) for one in told.pop("top")]
    return WhyResponse(model=held.name, top=top, **told)


def _explain(face: Any, body: WhyRequest) -> Explained:
    from langue.evaluation.explain import explain

    if body.text is not None:
        return face.explain(body.text, body.index, k=body.k, layer=body.layer)
    ids = np.array(body.ids, np.uint32)
    return explain(face.folder, ids, body.index, k=body.k, layer=body.layer)


class CopiedRequest(Request, frozen=True, kw_only=True):
    text: str
    min_bytes: Annotated[int, Meta(ge=8, le=1 << 16)] = 32


class CopiedSpan(Answer, frozen=True, kw_only=True):
    begin: int  # bytes of the text
    end: int
    document: int  # of the training text


class CopiedResponse(Answer, frozen=True, kw_only=True):
    bytes: int
    copied: int
    min_bytes: int
    source: str  # the store or the model that was looked through
    spans: list[CopiedSpan]
    object: str = "copied"


async def copied(server: Server, body: CopiedRequest) -> CopiedResponse:
    check_size(len(body.text.encode()), "text", limits.SCORED_BYTES)
    if server.corpus is not None:
        source = server.corpus.name
        told = await asyncio.to_thread(_copied_from_store, server.corpus.store, body)
    else:
        keeps = next((one for one in server.models.all.values() if _keeps_text(one)), None)
        if keeps is None:
            raise Refused(
                400, "no training text to compare with: this server has no corpus, and no infinigram"
            )
        async with server.models.held(keeps.name, "score") as held:
            source = held.name
            told = await held.call(lambda face: face.copied(body.text, min_bytes=body.min_bytes, limit=SPANS))
    spans = [
        CopiedSpan(begin=span.begin, end=span.begin + span.bytes, document=span.document)
        for span in told.spans
    ]
    return CopiedResponse(
        bytes=told.bytes, copied=told.copied, min_bytes=told.min_bytes, source=source, spans=spans
    )


def _keeps_text(served: Any) -> bool:
    return served.description is not None and served.description.family == "infinigram"


def _copied_from_store(store: TokenStore, body: CopiedRequest) -> Copied:
    from langue.evaluation.verbatim import copied_from
    from langue.tokens.store import TOKENIZER
    from langue.tokens.tokenizer import Tokenizer

    spelled = Tokenizer.load(store.path / TOKENIZER).spellings()
    documents = (b"".join([spelled[id] for id in ids.tolist()]) for ids in store.split("train").documents())
    return copied_from(documents, body.text, min_bytes=body.min_bytes, limit=SPANS)


ROUTES = (
    Route(
        "POST",
        "/v1/why",
        "Why a token of a text is as likely as it is: counts, passages, states, attention or parts",
        WhyRequest,
        WhyResponse,
        why,
    ),
    Route(
        "POST",
        "/v1/copied",
        "What of a text stands verbatim in the training text",
        CopiedRequest,
        CopiedResponse,
        copied,
    ),
)
