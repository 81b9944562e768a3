"""One text in the making: it chooses its tokens and spells them, in whole characters, until it ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from time import perf_counter
from typing import Any

import numpy as np

from langue.base.arrays import Float64Array, Floats, Ids
from langue.base.seeds import generator
from langue.generation.rules import Rules
from langue.generation.sample import Sampling, choose
from langue.tokens import utf8
from langue.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Generation:
    """A finished continuation."""

    text: str
    tokens: int
    # "eos", "stop", "length", "complete" (a regular expression, schema or number of characters lets nothing
    # follow), or "stuck" (no token that may stand next has a probability).
    finished: str
    log_prob: float = field(default=0.0, compare=False)  # natural log of the probability of its tokens
    seconds: float = field(default=0.0, compare=False)  # that it took, beside its neighbors

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "tokens": self.tokens,
            "finished": self.finished,
            "log_prob": round(self.log_prob, 4),
            "seconds": round(self.seconds, 4),
            "tokens_per_second": round(self.tokens_per_second, 1),
        }


class Continuation:
    """What is written after one prompt.

    Args:
        prompt: the ids that it begins with.
        after: the text of the prompt, which tells whether a word needs a blank before it.
        rules: those of `sampling`, made once for many texts.
        number: of the texts after one prompt with one seed.
        lines: a document is one line.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        prompt: Ids,
        sampling: Sampling,
        *,
        rules: Rules,
        after: str = "",
        number: int = 0,
        lines: bool = False,
    ) -> None:
        self.prompt = prompt
        self._tokenizer = tokenizer
        self._sampling = sampling
        self._ids = [int(id) for id in prompt]
        self._stream = tokenizer.stream(after)
        self.settings = sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p
        self.well_formed = tokenizer.well_formed
        self.end = tokenizer.eos if lines or not tokenizer.closed else -1  # the token that ends it; -1: none
        self._number = number
        self.state = utf8.START  # of `well_formed`
        self._rules = rules.begin()
        self._free = sampling.repetition_penalty == 1.0 and not self._rules.bend
        self._text, self._shown, self._ready = "", 0, 0
        self._tokens, self._log_prob = 0, 0.0
        self._began = perf_counter()
        self._seconds = 0.0
        self.finished = "" if sampling.max_tokens else "length"

    @property
    def result(self) -> Generation:
        seconds = self._seconds if self.finished else perf_counter() - self._began
        return Generation(self._text, self._tokens, self.finished or "length", self._log_prob, seconds)

    def start(self) -> None:
        """Its time begins."""
        self._began = perf_counter()

    @property
    def unconstrained(self) -> bool:
        """Whether tokens can be drawn for it by its settings alone, which `numbers` and `extend` are for."""
        return self._free

    @property
    def left(self) -> int:
        """Tokens that it may still have."""
        return self._sampling.max_tokens - self._tokens

    def generator(self, purpose: str) -> np.random.Generator:
        """Random numbers of its own, which its seed, its number and its prompt decide: texts after many
        prompts would else be drawn alike."""
        spelled = np.asarray(self.prompt, np.uint32).tobytes().hex()
        return generator(self._sampling.seed, purpose, self._number, spelled)

    @cached_property
    def _draw(self) -> np.random.Generator:
        return self.generator("sampling")

    def numbers(self, most: int) -> Float64Array:
        """What its next tokens are drawn by: numbers in [0, 1), so many or as many as it may still have."""
        count = min(most, self.left)
        return self._draw.random(count) if self._sampling.temperature else np.zeros(count)

    def extend(self, ids: Sequence[int], log_probs: Sequence[float], *, stuck: bool = False) -> None:
        """Take tokens that were drawn for it, up to its end; `stuck`: nothing can follow them."""
        if self.finished:
            return
        if self._sampling.stop:
            for token, log_prob in zip(ids, log_probs, strict=True):
                if not self.finished:
                    self._append(token, log_prob)
        else:
            self._append_all(ids, log_probs)
        if stuck and not self.finished:
            self._finish("stuck")

    def step(self, log_probs: Floats) -> int | None:
        """Choose the next token by log-probabilities `(V,)`; None: it has ended."""
        masked = np.where(self.well_formed.allowed(self.state), log_probs, np.float32(-np.inf))
        masked = self._rules.apply(masked)
        if masked.max() == -np.inf:
            self._finish("stuck")
            return None
        seen = np.array(self._ids if self._sampling.repetition_penalty != 1.0 else [], np.int64)
        token = choose(masked, seen, self._sampling, self._draw)
        self._append(token, float(log_probs[token]))
        return None if self.finished else token

    def _append_all(self, ids: Sequence[int], log_probs: Sequence[float]) -> None:
        """`_append` each, where neither rules nor stop strings look at what it becomes."""
        self._tokens += len(ids)
        self._log_prob = sum(log_probs, self._log_prob)
        ended = self.end in ids[-1:]
        if ended:
            ids = ids[:-1]
        self._ids += ids
        for id in ids:
            self.state = self.well_formed.after(self.state, id)
        self._text += self._stream.push_all(ids)
        self._ready = len(self._text)
        if ended:
            self._finish("eos")
        elif self._tokens == self._sampling.max_tokens:
            self._finish("length")

    def _append(self, token: int, log_prob: float) -> None:
        self._tokens += 1
        self._log_prob += log_prob
        if token == self.end:
            self._finish("eos")
            return
        self._ids.append(token)
        self.state = self.well_formed.after(self.state, token)
        self._rules.push(token, self._tokenizer.token_bytes(token))
        self._write(self._stream.push(token))
        if not self.finished and self._rules.complete:
            self._finish("complete")
        elif not self.finished and self._tokens == self._sampling.max_tokens:
            self._finish("length")  # without the first bytes of a character that it cut short

    def take(self) -> str:
        """The text that came since it was asked for, but for what may be the beginning of a stop string."""
        piece = self._text[self._shown : self._ready]
        self._shown = max(self._ready, self._shown)
        return piece

    def _write(self, text: str) -> None:
        begin = max(len(self._text) - max(map(len, self._sampling.stop), default=0), 0)
        self._text += text
        ends = [self._text.find(stop, begin) for stop in self._sampling.stop]
        if any(end >= 0 for end in ends):
            self._text = self._text[: min(end for end in ends if end >= 0)]
            self._finish("stop")
        else:
            self._ready = len(self._text) - _overlap(self._text, self._sampling.stop)

    def _finish(self, reason: str) -> None:
        self.finished, self._ready = reason, len(self._text)
        self._seconds = perf_counter() - self._began


def _overlap(text: str, stops: tuple[str, ...]) -> int:
    """Length of the longest end of `text` that begins a stop string."""
    return max(
        (size for stop in stops for size in range(1, len(stop)) if text.endswith(stop[:size])), default=0
    )
