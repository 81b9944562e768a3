"""`/v1/embeddings`: vectors of texts, by models that read in both directions."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from langue.server.errors import Refused
from langue.server.routes import Route
from langue.server.schema import Answer, Prompt, Request, Usage
from langue.server.text import read_prompts

if TYPE_CHECKING:
    from langue.server.app import Server


class EmbeddingRequest(Request, frozen=True, kw_only=True):
    input: Prompt
    encoding_format: Literal["float", "base64"] | None = "float"
    pooling: Literal["mean", "cls"] = "mean"
    user: str | None = None


class Embedding(Answer, frozen=True, kw_only=True):
    index: int
    embedding: list[float] | str
    object: str = "embedding"


class EmbeddingResponse(Answer, frozen=True, kw_only=True):
    data: list[Embedding]
    model: str
    usage: Usage
    object: str = "list"


async def embed(server: Server, body: EmbeddingRequest) -> EmbeddingResponse:
    async with server.models.held(body.model, "embed") as held:
        reads = await read_prompts(held.face, body.input, param="input")
        if any(not len(read.ids) for read in reads):
            raise Refused(400, "input: a text is empty", param="input")
        texts = [read.text for read in reads]
        vectors = await held.call_on(texts, lambda face, some: face.embed(some, pooling=body.pooling))
    tokens = sum(len(read.ids) for read in reads)
    return EmbeddingResponse(
        data=[
            Embedding(index=index, embedding=_spelled(vector, body.encoding_format))
            for index, vector in enumerate(vectors)
        ],
        model=held.name,
        usage=Usage(prompt_tokens=tokens, completion_tokens=0, total_tokens=tokens),
    )


def _spelled(vector: Any, form: str | None) -> list[float] | str:
    if form == "base64":
        return base64.b64encode(np.ascontiguousarray(vector, "<f4").tobytes()).decode()
    return [float(x) for x in vector]


ROUTES = (Route("POST", "/v1/embeddings", "Vectors of texts", EmbeddingRequest, EmbeddingResponse, embed),)
