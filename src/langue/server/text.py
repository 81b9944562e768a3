"""Prompts of requests: texts or ids, checked, as the ids of documents that a model reads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from langue.server import limits
from langue.server.errors import Refused

if TYPE_CHECKING:
    from langue.base.arrays import Ids
    from langue.tokens.tokenizer import Tokenizer

LONG = 4096  # characters: a longer text is read beside the event loop


class Read(NamedTuple):
    """A prompt that is read."""

    text: str  # normalized
    ids: Ids  # of all of it; an `<eos>` in it ends a document

    def context(self, eos: int) -> Ids:
        """The ids of the document that it breaks off in."""
        if eos not in self.ids.tolist():  # for few ids, a list is quicker than an array
            return self.ids
        return self.ids[int(np.flatnonzero(self.ids == eos)[-1]) + 1 :]


async def read_prompts(
    face: Any, prompt: str | Sequence[Any], *, param: str = "prompt", sources: bool = False
) -> list[Read]:
    """The prompts of a request.

    Args:
        sources: to a model of pairs a text is a source, with its end: what is written is the target.

    Raises:
        Refused: they are mixed, empty, too many or too long, or an id is of no token.
    """
    prompts: Sequence[Any] = [prompt] if isinstance(prompt, str) or _is_ids(prompt) else prompt
    if not prompts:
        raise Refused(400, f"{param} is an empty list; give a text, texts, ids or lists of ids", param=param)
    if len(prompts) > limits.PROMPTS:
        raise Refused(
            400, f"{param}: {len(prompts):,} prompts; at most {limits.PROMPTS} a request", param=param
        )
    if all(isinstance(one, str) for one in prompts):
        read = _read_sources if sources and hasattr(face, "source_ids") else _read_texts
        reads = await beside(sum(map(len, prompts)), read, face, prompts)
    elif all(isinstance(one, list) and _is_ids(one) for one in prompts):
        check_size(sum(map(len, prompts)), param)
        reads = [_read_ids(face.tokenizer, one, param) for one in prompts]
    else:
        raise Refused(400, f"{param} is neither a text, texts, ids nor lists of ids, none empty", param=param)
    check_size(sum(len(read.ids) for read in reads), param)
    return reads


async def beside(size: int, function: Any, *arguments: Any) -> Any:
    """Call a function of texts, of a long one beside the event loop."""
    return await asyncio.to_thread(function, *arguments) if size > LONG else function(*arguments)


def check_size(size: int, param: str, most: int = limits.PROMPT_TOKENS, what: str = "tokens") -> None:
    if size > most:
        raise Refused(400, f"{param}: {size:,} {what}; at most {most:,} a request", param=param)


def _is_ids(prompt: Sequence[Any]) -> bool:
    return bool(prompt) and all(isinstance(id, int) for id in prompt)


def _read_texts(face: Any, texts: Sequence[str]) -> list[Read]:
    normalized = [face.normalization.apply(text) for text in texts]
    return [
        Read(text, ids) for text, ids in zip(normalized, face.tokenizer.encode_batch(normalized), strict=True)
    ]


def _read_sources(face: Any, texts: Sequence[str]) -> list[Read]:
    return [Read(face.normalization.apply(text), face.source_ids(text)) for text in texts]


def _read_ids(tokenizer: Tokenizer, ids: Sequence[int], param: str) -> Read:
    if max(ids) >= tokenizer.vocab_size:
        raise Refused(
            400, f"{param}: {max(ids)} is no token id; they run to {tokenizer.vocab_size - 1}", param=param
        )
    array = np.array(ids, np.uint32)
    return Read(tokenizer.decode(array), array)
