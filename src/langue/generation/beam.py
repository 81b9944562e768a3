"""Beam search: the likeliest continuations instead of a drawn one (Vaswani et al. 2017, section 6.1).

Hypotheses compete by log p / ((5 + n) / 6)^α, n tokens long (Wu et al. 2016, equation 14, without the
coverage penalty): α = 0 compares probabilities, which favors short ones.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import numpy as np

from langue.base.arrays import Array, Float64Array, Floats, Ids, Int64Array
from langue.generation.continuation import Generation
from langue.generation.generate import ROWS, context_of
from langue.generation.rules import Rules, Written
from langue.protocols import Causal, Decoder
from langue.tokens import utf8
from langue.tokens.tokenizer import Tokenizer


class Constraint(Protocol):
    """What may be written after one prompt."""

    def apply(self, ids: tuple[int, ...], log_probs: Floats) -> Floats:
        """Log-probabilities `(V,)` after a continuation, -∞ of what may not follow it."""
        ...

    def complete(self, ids: tuple[int, ...]) -> bool:
        """Whether nothing can follow."""
        ...


@dataclass(frozen=True)
class Hypothesis:
    """A continuation; of one that `<eos>` finished, that is the last id."""

    ids: tuple[int, ...]
    log_prob: float  # natural log of the probability of all of it
    finished: bool

    def score(self, length_penalty: float) -> float:
        return self.log_prob / penalty(len(self.ids), length_penalty)


def penalty(length: int, alpha: float) -> float:
    return float(((5 + length) / 6) ** alpha)


def continuations(
    model: Causal,
    tokenizer: Tokenizer,
    prompts: Sequence[str | Ids],
    *,
    num_beams: int = 4,
    max_tokens: int = 100,
    length_penalty: float = 0.6,
    rules: Rules | None = None,
    lines: bool = False,
    before_step: Callable[[], None] | None = None,
) -> Iterator[list[Generation]]:
    """The likeliest continuations of each prompt (normalized, or ids), best first; never half a character in
    one that ends by itself. Prompts are searched side by side, as many as `ROWS` hypotheses are.

    Args:
        rules: what may be written.
        lines: a document is one line (`ModelFolder.lines`).
        before_step: called before each token; what it raises ends the search.
    """
    together = max(ROWS // num_beams, 1)
    for begin in range(0, len(prompts), together):
        some = prompts[begin : begin + together]
        began = perf_counter()
        searched = beam_search_all(
            model.decoder([context_of(tokenizer, prompt, lines=lines) for prompt in some]),
            [Allowed(tokenizer, rules) for _ in some],
            eos=tokenizer.eos if lines or not tokenizer.closed else -1,
            num_beams=num_beams,
            max_tokens=max_tokens,
            length_penalty=length_penalty,
            before_step=before_step,
        )
        seconds = perf_counter() - began
        for prompt, hypotheses in zip(some, searched, strict=True):
            yield [_written(tokenizer, prompt, hypothesis, seconds) for hypothesis in hypotheses]


class Allowed:
    """Of one prompt: text that is UTF-8, within the rules."""

    def __init__(self, tokenizer: Tokenizer, rules: Rules | None) -> None:
        self._tokenizer = tokenizer
        self._states: dict[tuple[int, ...], tuple[int, Written | None]] = {
            (): (utf8.START, None if rules is None else rules.begin())
        }
        self._length = 0  # of the hypotheses that go on

    def apply(self, ids: tuple[int, ...], log_probs: Floats) -> Floats:
        if len(ids) > self._length:  # what is shorter does not go on any more
            self._length = len(ids)
            self._states = {one: state for one, state in self._states.items() if len(one) == len(ids)}
        state, written = self._states[ids]
        masked = np.where(self._tokenizer.well_formed.allowed(state), log_probs, np.float32(-np.inf))
        return masked if written is None else written.apply(masked)

    def complete(self, ids: tuple[int, ...]) -> bool:
        state, written = self._states[ids[:-1]]
        if written is not None:
            written = written.copy()
            written.push(ids[-1], self._tokenizer.token_bytes(ids[-1]))
        self._states[ids] = self._tokenizer.well_formed.after(state, ids[-1]), written
        return written is not None and written.complete


def _written(tokenizer: Tokenizer, prompt: str | Ids, hypothesis: Hypothesis, seconds: float) -> Generation:
    # The first bytes of a character that the limit cut short are left out.
    stream = tokenizer.stream(prompt if isinstance(prompt, str) else "")
    ended = hypothesis.finished and hypothesis.ids[-1] == tokenizer.eos
    ids = hypothesis.ids[:-1] if ended else hypothesis.ids
    text = "".join(stream.push(id) for id in ids)
    reason = "eos" if ended else "complete" if hypothesis.finished else "length"
    return Generation(text, len(hypothesis.ids), reason, hypothesis.log_prob, seconds)


def beam_search(
    decoder: Decoder,
    *,
    eos: int,
    num_beams: int = 4,
    max_tokens: int = 100,
    length_penalty: float = 0.6,
    constraint: Constraint | None = None,
) -> list[Hypothesis]:
    """The best continuations of one sequence, best first; at most `num_beams`.

    Args:
        decoder: the state after the prompt, of one sequence; it is used up.
        eos: id that ends a continuation; -1 where none does.
        constraint: what may be written; None: everything.

    Returns:
        Finished hypotheses, and where fewer than `num_beams` are, those that `max_tokens` cut short.
    """
    return beam_search_all(
        decoder,
        [constraint],
        eos=eos,
        num_beams=num_beams,
        max_tokens=max_tokens,
        length_penalty=length_penalty,
    )[0]


def beam_search_all(
    decoder: Decoder,
    constraints: Sequence[Constraint | None],
    *,
    eos: int,
    num_beams: int,
    max_tokens: int,
    length_penalty: float,
    before_step: Callable[[], None] | None = None,
) -> list[list[Hypothesis]]:
    """`beam_search` of each row of a decoder, all of them side by side.

    Args:
        constraints: of each row.
        before_step: as `continuations` takes it.
    """
    searches = [Search(one, eos, num_beams, max_tokens, length_penalty) for one in constraints]
    going = searches if max_tokens else []
    while going:
        if before_step is not None:
            before_step()
        ends = np.cumsum([len(search.alive) for search in going])
        parts = np.split(decoder.log_probs(), ends[:-1])
        rows, tokens = [], []
        for search, log_probs, end in zip(going, parts, ends.tolist(), strict=True):
            begin = end - len(search.alive)
            rows += [begin + parent for parent in search.step(log_probs)]
            tokens += [hypothesis.ids[-1] for hypothesis in search.alive if not search.settled]
        going = [search for search in going if not search.settled]
        if going:
            decoder.select(rows)
            decoder.extend(np.array(tokens, np.int64)[:, None])
    return [search.best() for search in searches]


class Search:
    """Of one sequence: hypotheses that go on, and those that have ended."""

    def __init__(
        self, constraint: Constraint | None, eos: int, num_beams: int, max_tokens: int, length_penalty: float
    ) -> None:
        self.alive = [Hypothesis((), 0.0, False)]
        self.finished: list[Hypothesis] = []
        self.settled = False
        self.steps = 0
        self.constraint, self.eos, self.num_beams = constraint, eos, num_beams
        self.max_tokens, self.length_penalty = max_tokens, length_penalty

    def step(self, log_probs: Array) -> list[int]:
        """Grow by one token, given what follows each that goes on `(alive, V)`: their parents among them, or
        nothing once the search is settled."""
        scores = _scores(log_probs, self.alive, self.constraint)
        parents, ended = [], []
        grown: list[Hypothesis] = []
        # At most one in each row is an `<eos>`, so these hold `num_beams` that go on, if there are as many,
        # but where a rule ends more.
        for index in _largest(scores, 2 * self.num_beams):
            row, id = divmod(int(index), scores.shape[1])
            ids = (*self.alive[row].ids, id)
            ends = id == self.eos or (self.constraint is not None and self.constraint.complete(ids))
            new = Hypothesis(ids, float(scores[row, id]), ends)
            if ends:
                ended.append(new)
            elif len(grown) < self.num_beams:
                grown.append(new)
                parents.append(row)
        self.finished = _best([*self.finished, *ended], self.num_beams, self.length_penalty)
        self.alive = grown
        self.steps += 1
        self.settled = not grown or self.steps == self.max_tokens or self.hopeless()
        return [] if self.settled else parents

    def best(self) -> list[Hypothesis]:
        cut_short = _best(self.alive, self.num_beams, self.length_penalty)
        return [*self.finished, *cut_short][: self.num_beams]

    def hopeless(self) -> bool:
        """Whether nothing alive can still come among the best: its probability can only fall, and its penalty
        grows to that of `max_tokens` at most."""
        hope = max(one.log_prob for one in self.alive) / penalty(self.max_tokens, self.length_penalty)
        return len(self.finished) == self.num_beams and self.finished[-1].score(self.length_penalty) >= hope


def _scores(log_probs: Array, alive: list[Hypothesis], constraint: Constraint | None) -> Float64Array:
    """Log-probability of every hypothesis with every next token `(alive, V)`."""
    rows = [
        row if constraint is None else constraint.apply(hypothesis.ids, row)
        for row, hypothesis in zip(log_probs, alive, strict=True)
    ]
    return np.array(rows, np.float64) + np.array([[hypothesis.log_prob] for hypothesis in alive])


def _largest(scores: Float64Array, count: int) -> Int64Array:
    """Places of the largest finite scores, largest first; of equal ones the first stands first."""
    flat = scores.ravel()
    least = np.partition(flat, -count)[-count] if count < len(flat) else -np.inf
    candidates = np.flatnonzero((flat >= least) & np.isfinite(flat))
    return candidates[np.argsort(-flat[candidates], kind="stable")][:count]


def _best(hypotheses: list[Hypothesis], count: int, alpha: float) -> list[Hypothesis]:
    return sorted(hypotheses, key=lambda one: -one.score(alpha))[:count]
