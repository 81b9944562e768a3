"""`/v1/chat/completions`: messages by a plain template, for clients that know no other route.

No model of langue is taught to chat. The messages are written one below the other, each with its role, and
the model goes on where the assistant's next would stand, up to the next line that begins a message.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from time import time
from typing import TYPE_CHECKING, Any

import msgspec

from langue.server.completions import finite, most_tokens, order_of, usage_of
from langue.server.errors import Refused
from langue.server.models import Held
from langue.server.routes import Route
from langue.server.schema import (
    ChatChoice,
    ChatChunk,
    ChatChunkChoice,
    ChatCompletion,
    ChatLogprob,
    ChatLogprobs,
    ChatMessage,
    ChatRequest,
    Delta,
    Message,
    TopLogprob,
    Usage,
)
from langue.server.streams import Stream
from langue.server.text import is_of_pairs, read_prompts
from langue.server.tokens import api_token
from langue.server.writing import REASONS, Order, Piece, TokenScore

if TYPE_CHECKING:
    from langue.server.app import Server

NAMES = {"system": "System", "developer": "System", "user": "User", "assistant": "Assistant"}
STOPS = tuple(f"\n{name}:" for name in ("System", "User", "Assistant"))
DEFAULT_TOKENS = 256


def prompt_of(messages: Sequence[Message]) -> str:
    """The text that a model goes on with."""
    lines = [f"{NAMES[message.role]}: {message.text}" for message in messages]
    return "\n".join([*lines, "Assistant:"])


async def chat(server: Server, body: ChatRequest) -> ChatCompletion | Stream:
    if body.top_logprobs is not None and not body.logprobs:
        raise Refused(400, "top_logprobs: only where logprobs is true", param="top_logprobs")
    if body.stream_options is not None and not body.stream:
        raise Refused(400, "stream_options: only where stream is true", param="stream_options")
    asked = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
    max_tokens = most_tokens(server, asked, DEFAULT_TOKENS, "max_tokens")
    held = await server.models.hold(body.model, "complete")
    try:
        answer = await _chat(server, held, body, max_tokens)
    except BaseException:
        held.release()
        raise
    if not isinstance(answer, Stream):  # which releases it at its end
        held.release()
    return answer


async def _chat(server: Server, held: Held, body: ChatRequest, max_tokens: int) -> ChatCompletion | Stream:
    # A model of pairs knows one source and its target: what was said last.
    pairs = body.add_special_tokens and is_of_pairs(held.face)
    prompt = body.messages[-1].text if pairs else prompt_of(body.messages)
    reads = await read_prompts(held.face, prompt, param="messages", sources=pairs)
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or []
    bent = msgspec.structs.replace(body, stop=[*stop, *STOPS])
    top = (body.top_logprobs or 0) if body.logprobs else None
    order = order_of(server, held, bent, reads, count=body.n or 1, max_tokens=max_tokens, top=top)
    server.metrics.prompts(held.name, len(reads[0].ids))
    reply = _Reply(held, body, len(reads[0].ids))
    if body.stream:
        return Stream(reply.stream(order), order, held)
    try:
        return reply.whole(await order.hear())
    finally:
        order.leave()


class _Reply:
    """What is answered to one request."""

    def __init__(self, held: Held, body: ChatRequest, prompt_tokens: int) -> None:
        self.tokenizer = held.face.tokenizer
        self.body = body
        self.prompt_tokens = prompt_tokens
        self.id = f"chatcmpl-{secrets.token_hex(12)}"
        self.created = int(time())
        self.model = held.name

    def whole(self, pieces: Sequence[Piece]) -> ChatCompletion:
        choices = [
            ChatChoice(
                index=piece.number,
                message=ChatMessage(role="assistant", content=piece.text),
                finish_reason=REASONS[piece.finished or "length"],
                logprobs=self._logprobs(piece.scores),
            )
            for piece in pieces
        ]
        usage = usage_of(self.prompt_tokens, sum(piece.tokens for piece in pieces))
        return ChatCompletion(
            id=self.id,
            object="chat.completion",
            created=self.created,
            model=self.model,
            choices=choices,
            usage=usage,
        )

    async def stream(self, order: Order) -> AsyncIterator[bytes]:
        counts = dict.fromkeys(range(len(order.writings)), 0)
        for index in counts:
            yield self._chunk(
                [ChatChunkChoice(index=index, delta=Delta(role="assistant", content=""), finish_reason=None)]
            )
        left = len(order.writings)
        while left:
            for piece in await order.hear():
                counts[piece.number] = piece.tokens
                left -= bool(piece.finished)
                yield self._chunk(
                    [
                        ChatChunkChoice(
                            index=piece.number,
                            delta=Delta(content=piece.text) if piece.text else Delta(),
                            finish_reason=REASONS[piece.finished] if piece.finished else None,
                            logprobs=self._logprobs(piece.scores),
                        )
                    ]
                )
        if self.body.stream_options is not None and self.body.stream_options.include_usage:
            yield self._chunk([], usage_of(self.prompt_tokens, sum(counts.values())))

    def _chunk(self, choices: list[ChatChunkChoice], usage: Usage | None = None) -> bytes:
        return msgspec.json.encode(
            ChatChunk(
                id=self.id,
                object="chat.completion.chunk",
                created=self.created,
                model=self.model,
                choices=choices,
                usage=usage,
            )
        )

    def _logprobs(self, scores: Sequence[TokenScore]) -> ChatLogprobs | None:
        if not self.body.logprobs:
            return None
        return ChatLogprobs(
            content=[
                ChatLogprob(
                    top_logprobs=[TopLogprob(**self._told(id, log_prob)) for id, log_prob in score.top],
                    **self._told(score.id, score.log_prob),
                )
                for score in scores
            ]
        )

    def _told(self, id: int, log_prob: float) -> dict[str, Any]:
        spelled = list(self.tokenizer.token_bytes(id))
        return {"token": api_token(self.tokenizer, id), "logprob": finite(log_prob), "bytes": spelled}


ROUTES = (
    Route(
        "POST", "/v1/chat/completions", "Continue messages", ChatRequest, ChatCompletion, chat, stream=True
    ),
)
