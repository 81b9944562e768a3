"""How likely the tokens of a prompt are: the figures of `langue score`, without the end of the text."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from langue.server import limits
from langue.server.errors import Refused
from langue.server.text import Read
from langue.server.writing import TokenScore, likeliest

if TYPE_CHECKING:
    from langue.base.arrays import Floats, Ids

CHUNK = 1 << 22  # numbers of distributions held at a time


def documents_of(ids: Ids, eos: int) -> list[Ids]:
    """Ids cut after each `<eos>`; one that begins them is the beginning of a document, and no event of it."""
    return [part for part in np.split(ids, np.flatnonzero(ids == eos) + 1) if len(part)]


def prompt_scores(face: Any, read: Read, top: int) -> list[TokenScore]:
    """Log-probability of each token of a prompt, and the likeliest in its place.

    A prompt whose first id is `<eos>` begins a document, as every prompt does: that id has probability 1, and
    all after it are scored as without it. Any other `<eos>` is the end of a document, after which one begins.
    """
    model, tokenizer = face.folder.model, face.tokenizer
    ids, eos = read.ids, tokenizer.eos
    begins = len(ids) > 0 and ids[0] == eos
    parts = documents_of(ids[1:] if begins else ids, eos)
    if top and len(ids) > limits.TOLD_TOKENS:
        raise Refused(
            400,
            f"logprobs: of {len(ids):,} tokens of a prompt; at most {limits.TOLD_TOKENS:,}, or logprobs = 0",
            param="logprobs",
        )
    log_probs = model.log_probs(parts) if parts else []
    scores: list[TokenScore] = []
    offsets = character_offsets(tokenizer, ids)
    if begins:
        scores.append(TokenScore(eos, 0.0, 0, [(eos, 0.0)] if top else []))
    for part, logs in zip(parts, log_probs, strict=True):
        tops = (
            [[] for _ in part]
            if not top
            else [
                _with(likeliest(row, top), int(id), float(log))
                for row, id, log in zip(distributions(model, part), part, logs, strict=True)
            ]
        )
        scores += [
            TokenScore(int(id), float(log), 0, some) for id, log, some in zip(part, logs, tops, strict=True)
        ]
    return [score._replace(offset=offset) for score, offset in zip(scores, offsets, strict=True)]


def distributions(model: Any, ids: Ids) -> Iterator[Floats]:
    """Natural-log probabilities `(V,)` at each token of a document, given those before it."""
    decoder = model.decoder([ids[:0]])
    yield decoder.log_probs()[0]
    step = max(CHUNK // model.vocabulary.size, 1)
    for begin in range(0, len(ids) - 1, step):
        yield from decoder.extend([ids[begin : min(begin + step, len(ids) - 1)]], every=True)[0]


def _with(top: list[tuple[int, float]], id: int, log_prob: float) -> list[tuple[int, float]]:
    """The likeliest, with the very figure of the token that stands there: the two were computed apart."""
    return [(one, log_prob if one == id else log_p) for one, log_p in top]


def character_offsets(tokenizer: Any, ids: Sequence[int] | Ids) -> list[int]:
    """Whole characters before each token of a text."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    offsets, count = [], 0
    for id in ids:
        offsets.append(count)
        count += len(decoder.decode(tokenizer.token_bytes(int(id))))
    return offsets
