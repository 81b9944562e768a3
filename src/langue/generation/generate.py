"""Continuing texts with any `Causal` model: one that streams in whole characters, or many side by side.

Many share each pass of the model, and one that ends makes room for the next prompt at once. A text is what it
would be alone: each has random numbers of its own, which its seed alone decides.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal

import numpy as np

from langue.base.arrays import Ids
from langue.generation.continuation import Continuation
from langue.generation.continuation import Generation as Generation  # for who asks for it with a `Writer`
from langue.generation.drafts import Draft, ModelDraft, TextDraft, write_drafted
from langue.generation.rules import Rules
from langue.generation.sample import Sampling
from langue.generation.unconstrained import draw_each, draw_run
from langue.protocols import Causal, Decoder
from langue.protocols.drawing import DrawingDecoder
from langue.tokens.tokenizer import EOS, Tokenizer

ROWS = 16  # texts side by side: with more, a small network gains little, and each holds a cache


class Writer:
    """Iterate to receive the text piece by piece; `result` holds it whole afterwards.

    Args:
        draft: guesses tokens, of a text that no rules look at.
    """

    def __init__(self, model: Causal, continuation: Continuation, draft: Draft | None = None) -> None:
        self.model = model
        self.continuation = continuation
        self.draft = draft

    @property
    def result(self) -> Generation:
        return self.continuation.result

    def __iter__(self) -> Iterator[str]:
        one, draft = self.continuation, self.draft
        for moved in write_drafted(self.model, one, draft) if draft else write_all(self.model, [one], rows=1):
            if piece := moved.take():
                yield piece

    def finish(self) -> Generation:
        """Write to the end, and give the result."""
        for _ in self:
            pass
        return self.result


def generate(
    model: Causal,
    tokenizer: Tokenizer,
    prompt: str | Ids,
    sampling: Sampling,
    *,
    lines: bool = False,
    draft: Causal | Literal["prompt"] | None = None,
) -> Writer:
    """Continue `prompt`, a text (normalized) or its ids; an empty one begins a new document.

    Args:
        lines: a document is one line (`ModelFolder.lines`): its end ends the text, and of the prompt only the
            last line is continued.
        draft: what guesses tokens ahead (`drafts.py`): a model of the same vocabulary, or the text itself.
    """
    rules = Rules(tokenizer, sampling)
    one = next(_continuations(tokenizer, prompt, sampling, rules, count=1, lines=lines))
    if draft is None or not one.unconstrained:
        return Writer(model, one)
    return Writer(model, one, TextDraft(one.prompt) if draft == "prompt" else ModelDraft(draft, one.prompt))


def generate_all(
    model: Causal,
    tokenizer: Tokenizer,
    prompts: Iterable[str | Ids],
    sampling: Sampling,
    *,
    n: int = 1,
    best_of: int = 0,
    rows: int = ROWS,
    lines: bool = False,
) -> Iterator[list[Generation]]:
    """Continue every prompt, as `generate` would, in the order of the prompts.

    Args:
        prompts: taken one by one as there is room.
        n: texts after each prompt.
        best_of: so many are written after each, and the `n` kept that the model finds likeliest by the token,
            best first; 0: all that are written are kept.
        rows: texts written side by side.
    """
    rules, count = Rules(tokenizer, sampling), max(n, best_of)
    begun: list[list[Continuation]] = []  # those of each prompt

    def all_of_them() -> Iterator[Continuation]:
        for prompt in prompts:
            some = list(_continuations(tokenizer, prompt, sampling, rules, count=count, lines=lines))
            begun.append(some)
            yield from some

    for _ in write_all(model, all_of_them(), rows=rows):
        while begun and all(one.finished for one in begun[0]):
            yield _kept([one.result for one in begun.pop(0)], n, best_of)


def _continuations(
    tokenizer: Tokenizer, prompt: str | Ids, sampling: Sampling, rules: Rules, *, count: int, lines: bool
) -> Iterator[Continuation]:
    ids = context_of(tokenizer, prompt, lines=lines)
    after = prompt if isinstance(prompt, str) else ""
    for number in range(count):
        yield Continuation(tokenizer, ids, sampling, rules=rules, after=after, number=number, lines=lines)


def _kept(written: list[Generation], n: int, best_of: int) -> list[Generation]:
    if best_of:
        written.sort(key=lambda one: -one.log_prob / max(one.tokens, 1))
    return written[:n]


def write_all(
    model: Causal, continuations: Iterable[Continuation], *, rows: int, brief: bool = False
) -> Iterator[Continuation]:
    """Write texts to their ends, at most so many side by side; each is given whenever it has moved on.

    Args:
        brief: that is often, for whoever waits to be taken in.
    """
    waiting = iter(continuations)
    decoder = drawing = None
    writing: list[Continuation] = []
    while True:
        for one in (fresh := list(islice(waiting, rows - len(writing)))):
            one.start()
            if one.finished:
                yield one
        if fresh := [one for one in fresh if not one.finished]:
            decoder = _take_in(model, decoder, len(writing), fresh)
            drawing = decoder if isinstance(decoder, DrawingDecoder) else None
            writing += fresh
        elif not writing:
            return
        assert decoder is not None
        tokens = _move_on(decoder, drawing, writing, brief=brief)
        yield from writing
        on = [row for row, one in enumerate(writing) if not one.finished]
        if len(on) < len(writing):
            decoder.select(on)
            writing = [writing[row] for row in on]
        if on and tokens:
            decoder.extend(np.array([tokens[row] for row in on], np.int64)[:, None])


def _take_in(model: Causal, decoder: Decoder | None, rows: int, fresh: Sequence[Continuation]) -> Decoder:
    """Read the prompts of more texts, behind the rows there are; texts after one prompt read it once."""
    prompts = [one.prompt for index, one in enumerate(fresh) if not _reads_as(fresh, index)]
    if decoder is None:
        decoder = model.decoder(prompts)
    else:
        decoder.add(prompts)
    if len(prompts) < len(fresh):
        numbers = np.cumsum([not _reads_as(fresh, index) for index in range(len(fresh))])
        decoder.select([*range(rows), *(rows + numbers - 1).tolist()])
    return decoder


def _move_on(
    decoder: Decoder, drawing: DrawingDecoder | None, writing: Sequence[Continuation], *, brief: bool
) -> Sequence[int | None]:
    """Move each text on; returns the tokens that the decoder has yet to read, one of each that goes on."""
    if not all(one.unconstrained for one in writing):
        return [one.step(row) for one, row in zip(writing, decoder.log_probs(), strict=True)]
    if drawing is None:
        return draw_each(decoder, writing)
    draw_run(drawing, writing, brief=brief)
    return ()


def _reads_as(fresh: Sequence[Continuation], index: int) -> bool:
    """Whether a text continues the prompt of the one before it."""
    return index > 0 and fresh[index].prompt is fresh[index - 1].prompt


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
        return EOS
    text = tokenizer.token_bytes(id).decode(errors="backslashreplace")
    if not text:  # of padding and other marks
        return tokenizer.name(id)
    if text.rstrip(" ") == EOS:  # where words stand between blanks, it may be one
        return f"\\{text}"
    if not text.strip(" "):
        return "␣" * len(text)
    return text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
