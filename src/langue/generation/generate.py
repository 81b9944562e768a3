"""Continuing a text with any `Causal` model, streamed in whole characters."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from langue.base.arrays import Ids
from langue.base.seeds import generator
from langue.generation.sample import Sampling, choose
from langue.protocols import Causal
from langue.tokens import utf8
from langue.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Generation:
    """A finished continuation."""

    text: str
    tokens: int
    finished: str  # "eos", "stop", "length", or "stuck": no token has a probability

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Writer:
    """Iterate to receive the text piece by piece; `result` holds it whole afterwards."""

    def __init__(
        self,
        model: Causal,
        tokenizer: Tokenizer,
        prompt: str | Ids,
        sampling: Sampling,
        *,
        lines: bool = False,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.prompt = prompt
        self.sampling = sampling
        self.lines = lines
        self.result = Generation("", 0, "length")

    def __iter__(self) -> Iterator[str]:
        written = ""
        shown = 0
        for text, tokens, finished in self._texts():
            written += text
            end = min(
                (begin for stop in self.sampling.stop if (begin := written.find(stop)) >= 0), default=None
            )
            if end is not None:
                written, finished = written[:end], "stop"
            # What may be the beginning of a stop string waits until that is known.
            ready = len(written) if finished else len(written) - _overlap(written, self.sampling.stop)
            if ready > shown:
                yield written[shown:ready]
                shown = ready
            self.result = Generation(written, tokens, finished or "length")
            if finished:
                return

    def finish(self) -> Generation:
        """Write to the end, and give the result."""
        for _ in self:
            pass
        return self.result

    def _texts(self) -> Iterator[tuple[str, int, str]]:
        """Pieces of text, tokens so far, and why it ends (empty while it goes on)."""
        ids = context_of(self.tokenizer, self.prompt, lines=self.lines).tolist()
        decoder = self.model.decoder([np.array(ids, np.uint32)])
        stream = self.tokenizer.stream(self.prompt if isinstance(self.prompt, str) else "")
        ends = self.lines or not self.tokenizer.closed
        draw = generator(self.sampling.seed, "sampling")
        well_formed, state = self.tokenizer.well_formed, utf8.START
        for count in range(1, self.sampling.max_tokens + 1):
            log_probs = decoder.log_probs()[0].copy()
            log_probs[~well_formed.allowed(state)] = -np.inf
            if np.isneginf(log_probs.max()):
                yield "", count - 1, "stuck"
                return
            token = choose(log_probs, np.array(ids, np.int64), self.sampling, draw)
            if token == self.tokenizer.eos and ends:
                yield "", count, "eos"
                return
            ids.append(token)
            state = well_formed.after(state, token)
            yield stream.push(token), count, ""
            decoder.extend(np.array([[token]]))
        # The first bytes of a character that the limit cut short are left out.
        yield "", self.sampling.max_tokens, "length"


def _overlap(text: str, stops: tuple[str, ...]) -> int:
    """Length of the longest end of `text` that begins a stop string."""
    return max(
        (size for stop in stops for size in range(1, len(stop)) if text.endswith(stop[:size])), default=0
    )


def generate(
    model: Causal, tokenizer: Tokenizer, prompt: str | Ids, sampling: Sampling, *, lines: bool = False
) -> Writer:
    """Continue `prompt`, a text (normalized) or its ids; an empty one begins a new document.

    Args:
        lines: a document is one line (`ModelFolder.lines`): its end ends the text, and of the prompt only the
            last line is continued.
    """
    return Writer(model, tokenizer, prompt, sampling, lines=lines)


def next_tokens(
    model: Causal, tokenizer: Tokenizer, text: str, top: int, *, lines: bool = False
) -> list[tuple[str, float]]:
    """The likeliest next tokens with their probabilities; the end of the document shows as `<eos>`."""
    row = model.next_log_probs([context_of(tokenizer, text, lines=lines)])[0]
    best = np.argsort(-row, kind="stable")[:top]
    return [(shown(tokenizer, int(id)), float(np.exp(row[id]))) for id in best]


def context_of(tokenizer: Tokenizer, prompt: str | Ids, *, lines: bool) -> Ids:
    """The ids that a model continues: of lines that are documents of their own, those of the last."""
    if not isinstance(prompt, str):
        return prompt
    ids = tokenizer.encode(prompt)
    ends = np.flatnonzero(ids == tokenizer.eos) if lines else ids[:0]
    return ids[int(ends[-1]) + 1 :] if len(ends) else ids


def shown(tokenizer: Tokenizer, id: int) -> str:
    """A token for human eyes: line ends and tabs escaped, blanks alone as ␣, half a character as \\x…"""
    if id == tokenizer.eos:
        return "<eos>"
    text = tokenizer.token_bytes(id).decode(errors="backslashreplace")
    if text and not text.strip(" "):
        return "␣" * len(text)
    return text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
