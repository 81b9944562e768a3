"""What a server tells of itself and of its models, and their tokenizers, as vLLM's routes do."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

import langue
from langue.server import limits
from langue.server.errors import Refused
from langue.server.models import Served, State
from langue.server.routes import Route
from langue.server.schema import Answer, Id, Request
from langue.server.text import check_size, read_prompts
from langue.server.tokens import api_token
from langue.tokens.tokenizer import EOS

if TYPE_CHECKING:
    from langue.server.app import Server

STARTED = int(time())


class ModelCard(Answer, frozen=True, kw_only=True):
    id: str
    created: int
    max_model_len: int | None
    family: str | None
    capabilities: list[str]
    size: dict[str, int]
    vocabulary: int | None
    labels: list[str] | None
    texts: int | None  # of an example of a classifier: 1, or 2 of pairs
    state: State
    reason: str | None
    object: str = "model"
    owned_by: str = "langue"


class ModelList(Answer, frozen=True, kw_only=True):
    data: list[ModelCard]
    corpus: str | None  # what `/v1/answer`, `/v1/similar` and `/v1/copied` look in
    object: str = "list"


async def list_models(server: Server) -> ModelList:
    cards = [_card(one) for one in server.models.all.values()]
    return ModelList(data=cards, corpus=server.corpus.name if server.corpus else None)


async def show_model(server: Server, model: str | None) -> ModelCard:
    if model not in server.models.all:
        known = ", ".join(server.models.all)
        raise Refused(
            404, f"no model of that name; there are: {known}", param="model", code="model_not_found"
        )
    return _card(server.models.all[model])


def _card(served: Served) -> ModelCard:
    known = served.description
    labels = getattr(served.face.folder.model, "labels", None) if served.face is not None else None
    return ModelCard(
        id=served.name,
        created=STARTED,
        max_model_len=served.window,
        family=known.family if known else None,
        capabilities=list(served.capabilities),
        size=known.size if known else {},
        vocabulary=known.vocabulary.size if known and known.vocabulary else None,
        labels=list(labels) if labels is not None else None,
        texts=served.texts,
        state=served.state,
        reason=served.reason,
    )


class Health(Answer, frozen=True, kw_only=True):
    status: str


async def health(server: Server) -> Health:
    if server.draining:
        raise Refused(503, "the server is stopping")
    return Health(status="ok")


class Version(Answer, frozen=True, kw_only=True):
    version: str


async def version(server: Server) -> Version:
    return Version(version=langue.__version__)


async def metrics(server: Server) -> str:
    return server.metrics.text()


class TokenizeRequest(Request, frozen=True, kw_only=True):
    prompt: str
    add_special_tokens: bool = True  # of a model of pairs, the end of a source; there are no others
    return_token_strs: bool | None = False


class TokenizeResponse(Answer, frozen=True, kw_only=True):
    count: int
    max_model_len: int | None
    tokens: list[int]
    token_strs: list[str] | None = None


async def tokenize(server: Server, body: TokenizeRequest) -> TokenizeResponse:
    async with server.models.held(body.model, "tokenize") as held:
        if body.prompt == EOS:  # so clients ask for the id of the end; within a text it is text
            ids = [held.face.tokenizer.eos]
        else:
            (read,) = await read_prompts(held.face, body.prompt, sources=body.add_special_tokens)
            ids = [int(id) for id in read.ids]
        strings = [api_token(held.face.tokenizer, id) for id in ids] if body.return_token_strs else None
        return TokenizeResponse(
            count=len(ids), max_model_len=held.served.window, tokens=ids, token_strs=strings
        )


class DetokenizeRequest(Request, frozen=True, kw_only=True):
    tokens: Annotated[list[Id], Meta(max_length=limits.PROMPT_TOKENS)]


class DetokenizeResponse(Answer, frozen=True, kw_only=True):
    prompt: str


async def detokenize(server: Server, body: DetokenizeRequest) -> DetokenizeResponse:
    async with server.models.held(body.model, "tokenize") as held:
        if not body.tokens:
            return DetokenizeResponse(prompt="")
        (read,) = await read_prompts(held.face, body.tokens, param="tokens")
        check_size(len(read.ids), "tokens")
        return DetokenizeResponse(prompt=read.text)


class TokenizerInfo(Answer, frozen=True, kw_only=True):
    tokenizer_class: str
    kind: str
    vocab_size: int
    eos_token: str
    eos_token_id: int
    bos_token: str  # a document begins as if one had ended
    pad_token: str | None
    chat_template: str | None
    fingerprint: str
    closed: bool


async def tokenizer_info(server: Server, model: str | None) -> TokenizerInfo:
    async with server.models.held(model, "tokenize") as held:
        tokenizer = held.face.tokenizer
        eos = api_token(tokenizer, tokenizer.eos)
        return TokenizerInfo(
            tokenizer_class="PreTrainedTokenizerFast",
            kind=tokenizer.kind,
            vocab_size=tokenizer.vocab_size,
            eos_token=eos,
            eos_token_id=tokenizer.eos,
            bos_token=eos,
            pad_token=None,
            chat_template=None,
            fingerprint=tokenizer.fingerprint,
            closed=tokenizer.closed,
        )


ROUTES = (
    Route("GET", "/v1/models", "The models of this server", None, ModelList, list_models),
    Route("GET", "/v1/models/{model}", "One of them", None, ModelCard, show_model, of_model=True),
    Route("GET", "/health", "Whether it answers", None, Health, health, free=True),
    Route("GET", "/version", "The version of langue", None, Version, version),
    Route("GET", "/metrics", "Counters, as Prometheus reads them", None, str, metrics),
    Route("POST", "/tokenize", "The ids of a text", TokenizeRequest, TokenizeResponse, tokenize),
    Route("POST", "/detokenize", "The text of ids", DetokenizeRequest, DetokenizeResponse, detokenize),
    Route(
        "GET", "/tokenizer_info", "What a tokenizer is", None, TokenizerInfo, tokenizer_info, of_model=True
    ),
)
