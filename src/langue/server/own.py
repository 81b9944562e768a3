"""Our own routes: bits of a text, next tokens, gaps, tags, labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from msgspec import Meta

from langue.protocols import entropy
from langue.server import limits
from langue.server.errors import Refused
from langue.server.prompt_scores import distributions, documents_of
from langue.server.routes import Route
from langue.server.schema import Answer, Id, Probability, Request, Texts
from langue.server.text import check_size, read_prompts
from langue.server.writing import likeliest

if TYPE_CHECKING:
    from langue.base.arrays import Floats, Ids
    from langue.server.app import Server


class ScoreRequest(Request, frozen=True, kw_only=True):
    text: Texts
    top: Annotated[int, Meta(ge=0, le=limits.LOGPROBS)] = 0


class Alternative(Answer, frozen=True, kw_only=True):
    id: int
    token: str
    probability: float


class ScoredToken(Answer, frozen=True, kw_only=True):
    id: int
    token: str
    bytes: tuple[int, int]
    bits: float | None
    rank: int | None = None
    entropy: float | None = None
    top: list[Alternative] | None = None


class TextScore(Answer, frozen=True, kw_only=True):
    text: str
    bits: float | None
    bits_per_byte: float | None
    perplexity: float | None
    bytes: int
    reason: str | None
    tokens: list[ScoredToken]


class ScoreResponse(Answer, frozen=True, kw_only=True):
    model: str
    pseudo: bool
    scores: list[TextScore]
    object: str = "score"


async def score(server: Server, body: ScoreRequest) -> ScoreResponse:
    texts = [body.text] if isinstance(body.text, str) else body.text
    async with server.models.held(body.model, "score") as held:
        pseudo = held.face.bidirectional
        if pseudo and body.top:
            raise Refused(
                400, "top: of a model that reads in both directions there are no next tokens", param="top"
            )
        # A token has a byte at least: no text is encoded that has too many.
        check_size(sum(len(text.encode()) for text in texts), "text", limits.SCORED_BYTES)
        if pseudo:
            check_size(sum(map(len, texts)), "text", limits.TOLD_TOKENS)
            scores = await held.call_on(texts, _pseudo_scores)
        else:
            scores = await held.call_on(texts, partial(_scores, body.top))
    return ScoreResponse(model=held.name, pseudo=pseudo, scores=scores)


def _scores(top: int, face: Any, texts: Sequence[str]) -> list[TextScore]:
    from langue.evaluation.score import finite

    results = []
    for one in face.score_all(texts):
        told = one.to_json()
        ids = np.append(face.tokenizer.encode(one.text), np.uint32(face.tokenizer.eos))
        if top and len(ids) > limits.TOLD_TOKENS:
            raise Refused(
                400, f"top: of {len(ids):,} tokens; at most {limits.TOLD_TOKENS:,}, or top = 0", param="top"
            )
        tokens = [
            ScoredToken(id=int(id), token=token, bytes=(int(begin), int(end)), bits=finite(float(bit)))
            for id, token, (begin, end), bit in zip(ids, one.tokens, one.spans, one.bits, strict=True)
        ]
        if top:
            tokens = _told(face, ids, tokens, top)
        results.append(
            TextScore(
                text=one.text,
                bits=told["bits"],
                bits_per_byte=told["bits_per_byte"],
                perplexity=told["perplexity"],
                bytes=len(one.text.encode()),
                reason=told.get("reason"),
                tokens=tokens,
            )
        )
    return results


def _told(face: Any, ids: Ids, tokens: Sequence[ScoredToken], top: int) -> list[ScoredToken]:
    """Tokens with the likeliest in their places."""
    model, told = face.folder.model, []
    parts = documents_of(ids, face.tokenizer.eos) if face.folder.lines else [ids]
    rows = (row for part in parts for row in distributions(model, part))
    for token, row in zip(tokens, rows, strict=True):
        told.append(
            ScoredToken(
                id=token.id,
                token=token.token,
                bytes=token.bytes,
                bits=token.bits,
                rank=1 + int((row > row[token.id]).sum()),
                entropy=float(entropy(row[None])[0]) / math.log(2),
                top=_alternatives(face, row, top),
            )
        )
    return told


def _alternatives(face: Any, row: Floats, k: int) -> list[Alternative]:
    from langue.generation.generate import shown

    return [
        Alternative(id=id, token=shown(face.tokenizer, id), probability=math.exp(log_prob))
        for id, log_prob in likeliest(row, k)
    ]


def _pseudo_scores(face: Any, texts: Sequence[str]) -> list[TextScore]:
    results = []
    for one in face.pseudo_score_all(texts):
        tokens = [
            ScoredToken(id=int(id), token=token, bytes=(int(begin), int(end)), bits=float(bit))
            for id, token, (begin, end), bit in zip(
                face.tokenizer.encode(one.text), one.tokens, one.spans, one.bits, strict=True
            )
        ]
        results.append(
            TextScore(
                text=one.text,
                bits=one.total,
                bits_per_byte=one.per_byte,
                perplexity=None,
                bytes=len(one.text.encode()),
                reason=None,
                tokens=tokens,
            )
        )
    return results


class NextRequest(Request, frozen=True, kw_only=True):
    context: str | list[Id] = ""
    k: Annotated[int, Meta(ge=1, le=limits.NEXT)] = 10


class NextToken(Answer, frozen=True, kw_only=True):
    id: int
    token: str
    bytes: list[int]
    probability: float


class NextResponse(Answer, frozen=True, kw_only=True):
    model: str
    entropy: float
    tokens: list[NextToken]
    object: str = "next"


async def next_tokens(server: Server, body: NextRequest) -> NextResponse:
    async with server.models.held(body.model, "next") as held:
        context = body.context or ""  # no ids are those of an empty text
        (read,) = await read_prompts(held.face, context, param="context")
        ids = read.context(held.face.tokenizer.eos)
        row = await held.call(lambda face: face.folder.model.next_log_probs([ids])[0])
        tokenizer = held.face.tokenizer
        tokens = [
            NextToken(
                id=one.id,
                token=one.token,
                bytes=list(tokenizer.token_bytes(one.id)),
                probability=one.probability,
            )
            for one in _alternatives(held.face, row, body.k)
        ]
    return NextResponse(model=held.name, entropy=float(entropy(row[None])[0]) / math.log(2), tokens=tokens)


class FillRequest(Request, frozen=True, kw_only=True):
    text: Annotated[str, Meta(extra_json_schema={"pattern": r"\[MASK\]"})]  # `fill` says it in words
    k: Annotated[int, Meta(ge=1, le=limits.NEXT)] = 5
    rounds: Annotated[int, Meta(ge=1, le=100)] = 10
    temperature: Annotated[float, Meta(ge=0.0, le=100.0)] = 0.0
    seed: Annotated[int, Meta(ge=0, le=limits.SEED)] = 0


class Candidate(Answer, frozen=True, kw_only=True):
    token: str
    probability: float


class FillResponse(Answer, frozen=True, kw_only=True):
    model: str
    text: str
    gaps: list[list[Candidate]]
    object: str = "fill"


async def fill(server: Server, body: FillRequest) -> FillResponse:
    check_size(len(body.text), "text", limits.SENTENCE)
    async with server.models.held(body.model, "fill") as held:
        filled = await held.call(
            lambda face: face.fill(
                body.text, k=body.k, rounds=body.rounds, temperature=body.temperature, seed=body.seed
            )
        )
    gaps = [[Candidate(token=token, probability=p) for token, p in gap.candidates] for gap in filled.gaps]
    return FillResponse(model=held.name, text=filled.text, gaps=gaps)


class TagRequest(Request, frozen=True, kw_only=True):
    text: Texts


class Entity(Answer, frozen=True, kw_only=True):
    text: str
    type: str
    begin: int
    end: int


class TaggedSentence(Answer, frozen=True, kw_only=True):
    tokens: list[str]
    tags: list[str]
    entities: list[Entity] | None


class TagResponse(Answer, frozen=True, kw_only=True):
    model: str
    sentences: list[TaggedSentence]
    object: str = "tag"


async def tag(server: Server, body: TagRequest) -> TagResponse:
    texts = [body.text] if isinstance(body.text, str) else body.text
    check_size(sum(map(len, texts)), "text", limits.SENTENCE)
    async with server.models.held(body.model, "tag") as held:
        sentences = await held.call_on(texts, lambda face, some: [_tagged(face, text) for text in some])
    return TagResponse(model=held.name, sentences=sentences)


def _tagged(face: Any, text: str) -> TaggedSentence:
    tagged = face.tag(text)
    entities = None
    if face.folder.model.scheme is not None:
        entities = [
            Entity(text=one.text, type=one.type, begin=one.begin, end=one.end) for one in face.entities(text)
        ]
    return TaggedSentence(
        tokens=[token for token, _ in tagged], tags=[name for _, name in tagged], entities=entities
    )


class ClassifyRequest(Request, frozen=True, kw_only=True):
    # A text, texts, or pairs of texts.
    text: (
        str
        | Annotated[
            list[str | Annotated[list[str], Meta(min_length=1, max_length=2)]],
            Meta(min_length=1, max_length=limits.PROMPTS),
        ]
    )


class Label(Answer, frozen=True, kw_only=True):
    label: str
    probability: Probability


class ClassifyResponse(Answer, frozen=True, kw_only=True):
    model: str
    multilabel: bool  # whether a text may have several labels, or none: their probabilities sum to anything
    results: list[list[Label]]
    object: str = "classify"


async def classify(server: Server, body: ClassifyRequest) -> ClassifyResponse:
    given = [body.text] if isinstance(body.text, str) else body.text
    examples = [[one] if isinstance(one, str) else one for one in given]
    check_size(sum(len(text) for one in examples for text in one), "text", limits.SCORED_BYTES)
    async with server.models.held(body.model, "classify") as held:
        if any(len(one) != held.face.texts for one in examples):
            what = "pairs of texts" if held.face.texts == 2 else "single texts"
            raise Refused(400, f"text: {held.name} reads {what}", param="text")
        results = await held.call_on(examples, lambda face, some: face.classify_all(some))
    told = [[Label(label=label, probability=min(p, 1.0)) for label, p in labels] for labels in results]
    return ClassifyResponse(model=held.name, multilabel=held.face.multilabel, results=told)


ROUTES = (
    Route("POST", "/v1/score", "Bits of every token of texts", ScoreRequest, ScoreResponse, score),
    Route("POST", "/v1/next", "The likeliest next tokens", NextRequest, NextResponse, next_tokens),
    Route("POST", "/v1/fill", "What stands behind each [MASK]", FillRequest, FillResponse, fill),
    Route("POST", "/v1/tag", "Tags of the tokens of sentences", TagRequest, TagResponse, tag),
    Route("POST", "/v1/classify", "Labels of texts", ClassifyRequest, ClassifyResponse, classify),
)
