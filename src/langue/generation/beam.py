"""Beam search: the likeliest continuations instead of a drawn one (Vaswani et al. 2017, section 6.1).

Hypotheses compete by log p / ((5 + n) / 6)^α, n tokens long (Wu et al. 2016, equation 14, without the
coverage penalty): α = 0 compares probabilities, which favors short ones.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from langue.base.arrays import Array, BoolArray, Float64Array, Ids, Int64Array
from langue.generation.generate import Generation, context_of
from langue.protocols import Causal, Decoder
from langue.tokens import utf8
from langue.tokens.tokenizer import Tokenizer

Allowed = Callable[[tuple[int, ...]], BoolArray]  # tokens that may follow these: `(V,)`


@dataclass(frozen=True)
class Hypothesis:
    """A continuation; the `<eos>` of a finished one is its last id."""

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
    prompt: str | Ids,
    *,
    num_beams: int = 4,
    max_tokens: int = 100,
    length_penalty: float = 0.6,
    lines: bool = False,
) -> list[Generation]:
    """The likeliest continuations of `prompt` (normalized, or ids), best first; never half a character in one
    that ends by itself.

    Args:
        lines: a document is one line (`ModelFolder.lines`).
    """
    ids = context_of(tokenizer, prompt, lines=lines)
    well_formed = tokenizer.well_formed
    states: dict[tuple[int, ...], int] = {(): utf8.START}

    def allowed(hypothesis: tuple[int, ...]) -> BoolArray:
        if hypothesis not in states:
            states[hypothesis] = well_formed.after(states[hypothesis[:-1]], hypothesis[-1])
        return well_formed.allowed(states[hypothesis])

    hypotheses = beam_search(
        model.decoder([ids]),
        eos=tokenizer.eos if lines or not tokenizer.closed else -1,
        num_beams=num_beams,
        max_tokens=max_tokens,
        length_penalty=length_penalty,
        allowed=allowed,
    )
    return [_written(tokenizer, prompt, hypothesis) for hypothesis in hypotheses]


def _written(tokenizer: Tokenizer, prompt: str | Ids, hypothesis: Hypothesis) -> Generation:
    # The first bytes of a character that the limit cut short are left out.
    stream = tokenizer.stream(prompt if isinstance(prompt, str) else "")
    ids = hypothesis.ids[:-1] if hypothesis.finished else hypothesis.ids
    text = "".join(stream.push(id) for id in ids)
    return Generation(text, len(hypothesis.ids), "eos" if hypothesis.finished else "length")


def beam_search(
    decoder: Decoder,
    *,
    eos: int,
    num_beams: int = 4,
    max_tokens: int = 100,
    length_penalty: float = 0.6,
    allowed: Allowed | None = None,
) -> list[Hypothesis]:
    """The best continuations of one sequence, best first; at most `num_beams`.

    Args:
        decoder: the state after the prompt, of one sequence; it is used up.
        eos: id that ends a continuation; -1 where none does.
        allowed: what may follow a continuation; None: every token.

    Returns:
        Finished hypotheses, and where fewer than `num_beams` are, those that `max_tokens` cut short.
    """
    alive = [Hypothesis((), 0.0, False)]
    finished: list[Hypothesis] = []
    for _ in range(max_tokens):
        scores = _scores(decoder.log_probs(), alive, allowed)
        parents, ended = [], []
        grown: list[Hypothesis] = []
        # At most one in each row is an end, so these hold `num_beams` that go on, if there are as many.
        for index in _largest(scores, 2 * num_beams):
            row, id = divmod(int(index), scores.shape[1])
            new = Hypothesis((*alive[row].ids, id), float(scores[row, id]), id == eos)
            if new.finished:
                ended.append(new)
            elif len(grown) < num_beams:
                grown.append(new)
                parents.append(row)
        finished = _best([*finished, *ended], num_beams, length_penalty)
        alive = grown
        if not alive or _settled(finished, alive, num_beams, max_tokens, length_penalty):
            break
        decoder.select(parents)
        decoder.extend(np.array([hypothesis.ids[-1:] for hypothesis in alive]))
    return [*finished, *_best(alive, num_beams, length_penalty)][:num_beams]


def _scores(log_probs: Array, alive: list[Hypothesis], allowed: Allowed | None) -> Float64Array:
    """Log-probability of every hypothesis with every next token `(alive, V)`."""
    scores = log_probs.astype(np.float64)
    for row, hypothesis in zip(scores, alive, strict=True):
        row += hypothesis.log_prob
        if allowed is not None:
            row[~allowed(hypothesis.ids)] = -np.inf
    return scores


def _largest(scores: Float64Array, count: int) -> Int64Array:
    """Places of the largest finite scores, largest first; of equal ones the first stands first."""
    flat = scores.ravel()
    least = np.partition(flat, -count)[-count] if count < len(flat) else -np.inf
    candidates = np.flatnonzero((flat >= least) & np.isfinite(flat))
    return candidates[np.argsort(-flat[candidates], kind="stable")][:count]


def _best(hypotheses: list[Hypothesis], count: int, alpha: float) -> list[Hypothesis]:
    return sorted(hypotheses, key=lambda one: -one.score(alpha))[:count]


def _settled(
    finished: list[Hypothesis], alive: list[Hypothesis], num_beams: int, max_tokens: int, alpha: float
) -> bool:
    """Whether nothing alive can still come among the best: its probability can only fall, and its penalty
    grows to that of `max_tokens` at most."""
    hope = max(one.log_prob for one in alive) / penalty(max_tokens, alpha)
    return len(finished) == num_beams and finished[-1].score(alpha) >= hope
