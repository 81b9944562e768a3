"""`/v1/completions`: texts continued, whole or as they come."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from copy import copy
from functools import lru_cache
from time import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from langue.generation.rules import Rules
from langue.generation.sample import Sampling
from langue.server import limits
from langue.server.constraints import constraint_of
from langue.server.errors import Refused
from langue.server.models import Held
from langue.server.prompt_scores import prompt_scores
from langue.server.routes import Route
from langue.server.schema import (
    Completion,
    CompletionChoice,
    CompletionRequest,
    Logprobs,
    SamplingRequest,
    Usage,
)
from langue.server.streams import Stream
from langue.server.text import Read, read_prompts
from langue.server.tokens import api_token
from langue.server.writing import REASONS, Order, Piece, TokenScore, Writing

if TYPE_CHECKING:
    from langue.base.arrays import Float64Array
    from langue.server.app import Server
    from langue.tokens.tokenizer import Tokenizer

OBJECT = "text_completion"
SMALLEST_TEMPERATURE = 1e-4  # below, weights overflow: the likeliest is taken, as they would


def sampling_of(body: SamplingRequest, max_tokens: int) -> Sampling:
    """How the texts of a request are drawn; fields that are null have their defaults."""
    temperature = 1.0 if body.temperature is None else body.temperature
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or []
    constraint = constraint_of(body)
    sampling = copy(
        _checked(
            max_tokens=max_tokens,
            temperature=temperature if temperature >= SMALLEST_TEMPERATURE else 0.0,
            top_k=max(body.top_k or 0, 0),
            top_p=1.0 if body.top_p is None else body.top_p,
            min_p=body.min_p or 0.0,
            repetition_penalty=body.repetition_penalty or 1.0,
            presence_penalty=body.presence_penalty or 0.0,
            frequency_penalty=body.frequency_penalty or 0.0,
            min_tokens=body.min_tokens or 0,
            stop=tuple(stop),
            ban=tuple(body.bad_words or ()),
            regex=constraint.regex,
            json_schema=constraint.json_schema,
        )
    )
    seed = secrets.randbelow(limits.SEED) if body.seed is None else body.seed % limits.SEED
    msgspec.structs.force_setattr(sampling, "seed", seed)
    return sampling


@lru_cache(maxsize=64)
def _checked(**settings: Any) -> Sampling:
    """Settings that most requests have in common: to check them costs as much as to write some tokens."""
    return Sampling(**settings)


def rules_of(tokenizer: Tokenizer, sampling: Sampling, body: SamplingRequest) -> Rules:
    """What may be written, with what a request says of token ids.

    Raises:
        Refused: an id is of no token.
    """
    rules = Rules(tokenizer, sampling)
    rules.stop_ids = frozenset(_known("stop_token_ids", body.stop_token_ids or (), tokenizer.vocab_size))
    if body.logit_bias or body.ignore_eos or body.allowed_token_ids is not None:
        rules.bias = _bias_of(tokenizer, body)
    return rules


def _bias_of(tokenizer: Tokenizer, body: SamplingRequest) -> Float64Array:
    """What is added to the log-probability of each token `(V,)`."""
    V = tokenizer.vocab_size
    bias = np.zeros(V)
    if body.allowed_token_ids is not None:
        bias[:] = -np.inf
        bias[_known("allowed_token_ids", body.allowed_token_ids, V)] = 0.0
    if body.logit_bias:
        ids = _known("logit_bias", [int(id) if len(id) < 11 else V for id in body.logit_bias], V)
        values = np.array(list(body.logit_bias.values()))
        bias[ids] += np.where(values <= -100, -np.inf, values)  # OpenAI's way to forbid a token
    if body.ignore_eos:
        bias[tokenizer.eos] = -np.inf
    return bias


def _known(param: str, ids: Sequence[int], vocab_size: int) -> list[int]:
    """Ids of tokens.

    Raises:
        Refused: one is of none.
    """
    if ids and max(ids) >= vocab_size:
        raise Refused(400, f"{param}: {max(ids)} is no token id; they run to {vocab_size - 1}", param=param)
    return list(ids)


def most_tokens(server: Server, asked: int | None, default: int, param: str) -> int:
    most = server.settings.max_tokens
    if asked is not None and asked > most:
        raise Refused(400, f"{param}: {asked:,} tokens; at most {most:,} after a prompt", param=param)
    return min(default, most) if asked is None else asked


def order_of(
    server: Server,
    held: Held,
    body: SamplingRequest,
    reads: Sequence[Read],
    *,
    count: int,
    max_tokens: int,
    top: int | None,
) -> Order:
    """The texts that a request asks for, `count` after each prompt, handed to the model.

    Raises:
        Refused: too many, or too many wait.
    """
    if len(reads) * count > limits.TEXTS:
        raise Refused(400, f"{len(reads) * count:,} texts; at most {limits.TEXTS} a request", param="n")
    folder = held.face.folder
    tokenizer = folder.tokenizer
    sampling = sampling_of(body, max_tokens)
    rules = rules_of(tokenizer, sampling, body)
    order = Order(streams=bool(body.stream), seconds=server.settings.timeout)
    for read in reads:
        ids = read.context(tokenizer.eos)
        order.add(
            [
                Writing(
                    order,
                    len(order.writings) + number,
                    tokenizer,
                    ids,
                    sampling,
                    rules=rules,
                    after=read.text,
                    number=number,
                    lines=folder.lines,
                    top=top,
                )
                for number in range(count)
            ]
        )
    if max_tokens:
        held.engine.submit(order)
    else:
        order.tell(order.news())
    return order


async def complete(server: Server, body: CompletionRequest) -> Completion | Stream:
    held = await server.models.hold(body.model, "complete")
    try:
        answer = await _complete(server, held, body)
    except BaseException:
        held.release()
        raise
    if not isinstance(answer, Stream):  # which releases it at its end
        held.release()
    return answer


async def _complete(server: Server, held: Held, body: CompletionRequest) -> Completion | Stream:
    n = body.n or 1
    best_of = body.best_of or n
    _check(body, n, best_of)
    max_tokens = most_tokens(server, body.max_tokens, 16, "max_tokens")
    reads = await read_prompts(held.face, body.prompt, sources=body.add_special_tokens)
    echoes = await _echoes(held, body, reads) if body.echo else [None] * len(reads)
    order = order_of(server, held, body, reads, count=best_of, max_tokens=max_tokens, top=body.logprobs)
    reply = _Reply(held, body, reads, echoes, per_prompt=best_of)
    server.metrics.prompts(held.name, sum(len(read.ids) for read in reads))
    if body.stream:
        return Stream(reply.stream(order), order, held)
    try:
        pieces = await order.hear()
    finally:
        order.leave()
    return reply.whole(pieces, n)


def _check(body: CompletionRequest, n: int, best_of: int) -> None:
    if best_of < n:
        raise Refused(400, f"best_of: {best_of} is less than n = {n}", param="best_of")
    if body.stream and best_of > n:
        raise Refused(
            400, "best_of: which texts are best is known when all are written; do not stream", param="best_of"
        )
    if body.stream_options is not None and not body.stream:
        raise Refused(400, "stream_options: only where stream is true", param="stream_options")


async def _echoes(
    held: Held, body: CompletionRequest, reads: Sequence[Read]
) -> list[list[TokenScore] | None]:
    """The scores of prompts, where asked for."""
    top = body.logprobs
    if top is None:
        return [None] * len(reads)
    return await held.call_on(reads, lambda face, some: [prompt_scores(face, read, top) for read in some])


class _Reply:
    """What is answered to one request."""

    def __init__(
        self,
        held: Held,
        body: CompletionRequest,
        reads: Sequence[Read],
        echoes: Sequence[list[TokenScore] | None],
        *,
        per_prompt: int,
    ) -> None:
        self.tokenizer: Tokenizer = held.face.tokenizer
        self.body = body
        self.reads = reads
        self.echoes = echoes
        self.per_prompt = per_prompt
        self.head: dict[str, Any] = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": OBJECT,
            "created": int(time()),
            "model": held.name,
        }

    def whole(self, pieces: Sequence[Piece], n: int) -> Completion:
        choices: list[CompletionChoice] = []
        for prompt, read in enumerate(self.reads):
            written = list(pieces[prompt * self.per_prompt : (prompt + 1) * self.per_prompt])
            if self.per_prompt > n:
                written.sort(key=lambda piece: -piece.log_prob / max(piece.tokens, 1))
            for piece in written[:n]:
                echo = read.text if self.body.echo else ""
                choices.append(
                    CompletionChoice(
                        index=len(choices),
                        text=echo + piece.text,
                        finish_reason=REASONS[piece.finished or "length"],
                        logprobs=self._logprobs(self.echoes[prompt], piece.scores, len(read.text)),
                    )
                )
        return Completion(**self.head, choices=choices, usage=self._usage(pieces))

    async def stream(self, order: Order) -> AsyncIterator[bytes]:
        begun: set[int] = set()
        counts: dict[int, int] = {}
        left = len(order.writings)
        while left:
            for piece in await order.hear():
                prompt = piece.number // self.per_prompt
                echo = self.body.echo and piece.number not in begun
                begun.add(piece.number)
                counts[piece.number] = piece.tokens
                left -= bool(piece.finished)
                read = self.reads[prompt]
                choice = CompletionChoice(
                    index=piece.number,
                    text=(read.text if echo else "") + piece.text,
                    finish_reason=REASONS[piece.finished] if piece.finished else None,
                    logprobs=self._logprobs(
                        self.echoes[prompt] if echo else None, piece.scores, len(read.text)
                    ),
                )
                yield msgspec.json.encode(Completion(**self.head, choices=[choice]))
        if self.body.stream_options is not None and self.body.stream_options.include_usage:
            usage = usage_of(sum(len(read.ids) for read in self.reads), sum(counts.values()))
            yield msgspec.json.encode(Completion(**self.head, choices=[], usage=usage))

    def _usage(self, pieces: Sequence[Piece]) -> Usage:
        return usage_of(sum(len(read.ids) for read in self.reads), sum(piece.tokens for piece in pieces))

    def _logprobs(
        self, echo: list[TokenScore] | None, written: list[TokenScore], prompt: int
    ) -> Logprobs | None:
        if self.body.logprobs is None:
            return None
        shift = prompt if self.body.echo else 0
        scores = [*(echo or ()), *(score._replace(offset=score.offset + shift) for score in written)]
        return logprobs_of(self.tokenizer, scores, self.body.logprobs, begins=bool(echo))


def usage_of(prompt: int, written: int) -> Usage:
    return Usage(prompt_tokens=prompt, completion_tokens=written, total_tokens=prompt + written)


def logprobs_of(tokenizer: Tokenizer, scores: Sequence[TokenScore], top: int, *, begins: bool) -> Logprobs:
    """Scores as OpenAI's completions have them; of those that begin a prompt, the first is null."""
    tops = [_by_text(tokenizer, score) for score in scores]
    log_probs: list[float | None] = [finite(score.log_prob) for score in scores]
    by_text: list[dict[str, float] | None] = [{text: log_prob for text, _, log_prob in some} for some in tops]
    ids: list[list[int] | None] = [[id for _, id, _ in some] for some in tops]
    first = None
    if begins:
        first, log_probs[0], by_text[0], ids[0] = log_probs[0], None, None, None
    return Logprobs(
        tokens=[api_token(tokenizer, score.id) for score in scores],
        token_logprobs=log_probs,
        top_logprobs=by_text if top else None,
        text_offset=[score.offset for score in scores],
        token_ids=[score.id for score in scores],
        top_ids=ids if top else None,
        first_token_logprob=first,
    )


def finite(log_prob: float) -> float:
    """JSON has no infinity: what is impossible is as unlikely as OpenAI says of the least likely."""
    return max(IMPOSSIBLE, log_prob)


IMPOSSIBLE = -9999.0


def _by_text(tokenizer: Tokenizer, score: TokenScore) -> list[tuple[str, int, float]]:
    """The likeliest at a place, one for each spelling."""
    texts: dict[str, tuple[str, int, float]] = {}
    for id, log_prob in score.top:
        text = api_token(tokenizer, id)
        texts.setdefault(text, (text, id, log_prob))
    return list(texts.values())


ROUTES = (
    Route("POST", "/v1/completions", "Continue texts", CompletionRequest, Completion, complete, stream=True),
)
