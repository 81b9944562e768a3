"""Writing with a `Masked` model: all gaps at once by mask-predict, or one after another by Gibbs sampling.

Mask-predict (Ghazvininejad et al. 2019, section 3) fills every gap, then, round after round, those filled
with the least confidence again, fewer each time. Gibbs sampling (Wang and Cho 2019, section 3) hides one
token at a time and draws it given all others; each round visits every gap once, in an order of its own.
Where what the model says of hidden tokens are the conditionals of one joint distribution, that is what Gibbs
sampling draws from in the end. Those of a trained network are of no one distribution (Goyal et al. 2022), so
what is written has no probability that could be told.

Deviates: the length is given, not predicted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import Any, Literal, TypedDict

import numpy as np

from langue.base.arrays import Floats, Ids, Int64Array
from langue.base.bounds import NonNegativeFloat, NonNegativeInt, PositiveInt, Probability
from langue.base.config import Config
from langue.base.errors import InvalidSetting
from langue.base.seeds import generator
from langue.generation.sample import Sampling, choose
from langue.protocols import Masked
from langue.tokens.masked import add_special_tokens
from langue.tokens.tokenizer import Tokenizer

Method = Literal["mask-predict", "gibbs"]
NONE_SEEN = np.empty(0, np.int64)  # no token is penalized for standing in the text already


class MaskedSampling(Config, frozen=True):
    """How a masked model writes."""

    tokens: PositiveInt = 20  # that are written
    suffix: str = ""  # text that follows them
    method: Method = "mask-predict"
    rounds: PositiveInt = 10  # of mask-predict, 10 as in the paper; of Gibbs sampling, draws of each gap
    temperature: NonNegativeFloat | None = None  # None: 0 in mask-predict, 1 in Gibbs sampling, as published
    top_k: NonNegativeInt = 0  # 0: all
    top_p: Probability = 1.0
    min_p: Probability = 0.0
    seed: int = 0

    @property
    def drawing(self) -> Sampling:
        """How one token is drawn."""
        temperature = self.temperature
        if temperature is None:
            temperature = 1.0 if self.method == "gibbs" else 0.0
        return Sampling(temperature=temperature, top_k=self.top_k, top_p=self.top_p, min_p=self.min_p)


class MaskedSamplingSettings(TypedDict, total=False):
    """Those of `MaskedSampling`, as a user gives them by name."""

    tokens: int
    suffix: str
    method: Method
    rounds: int
    temperature: float | None
    top_k: int
    top_p: float
    min_p: float
    seed: int


@dataclass(frozen=True)
class MaskedGeneration:
    """What a masked model wrote between a prompt and a suffix. It has no probability."""

    text: str
    tokens: int
    method: Method
    seconds: float = field(default=0.0, compare=False)  # that it took, with its neighbors

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "tokens": self.tokens,
            "method": self.method,
            "log_prob": None,  # where a model that reads from left to right has one
            "seconds": round(self.seconds, 4),
            "tokens_per_second": round(self.tokens_per_second, 1),
        }


class MaskedText:
    """A text with gaps, and the random numbers it is filled by.

    Attributes:
        ids: what the model reads, `(T,)`.
        gaps: where in it something is to be written, `(N,)`.
    """

    def __init__(self, ids: Int64Array, gaps: Int64Array, draw: np.random.Generator) -> None:
        self.ids = ids.copy()
        self.gaps = gaps
        self.draw = draw


def mask_predict(
    model: Masked,
    texts: Sequence[MaskedText],
    allowed: Ids,
    drawing: Sampling,
    *,
    rounds: int,
    scores: Sequence[Floats] | None = None,
) -> None:
    """Fill the gaps of texts, which have equally many, N.

    Args:
        allowed: the ids that may be written.
        rounds: at most N are used.
        scores: log-probabilities of `allowed` with all gaps open, `(N, allowed)` for each text, where they
            are known.
    """
    count = len(texts[0].gaps)
    rounds = min(rounds, count)
    everything = np.arange(count)
    open_gaps: list[Int64Array] = [everything] * len(texts)
    confidence = [np.zeros(count) for _ in texts]
    for number in range(rounds):
        if scores is None:
            scores = _open_and_ask(model, texts, open_gaps, allowed)
        # Linear decay, equation 5.
        again = count * (rounds - 1 - number) // rounds
        for text, opened, sure, rows in zip(texts, open_gaps, confidence, scores, strict=True):
            chosen = [choose(row, NONE_SEEN, drawing, text.draw) for row in rows]
            text.ids[text.gaps[opened]] = allowed[chosen]
            sure[opened] = rows[np.arange(len(chosen)), chosen]
        open_gaps = [np.sort(np.argsort(sure, kind="stable")[:again]) for sure in confidence]
        scores = None


def gibbs(
    model: Masked, texts: Sequence[MaskedText], allowed: Ids, drawing: Sampling, *, rounds: int
) -> None:
    """Fill the gaps of texts, which have equally many: each is drawn `rounds` times, given all else."""
    for text in texts:
        text.ids[text.gaps] = model.specials.mask
    for _ in range(rounds):
        orders = [text.draw.permutation(len(text.gaps)) for text in texts]
        for visited in zip(*orders, strict=True):
            opened = [np.array([gap]) for gap in visited]
            scores = _open_and_ask(model, texts, opened, allowed)
            for text, (gap,), (row,) in zip(texts, opened, scores, strict=True):
                text.ids[text.gaps[gap]] = allowed[choose(row, NONE_SEEN, drawing, text.draw)]


def _open_and_ask(
    model: Masked, texts: Sequence[MaskedText], gaps: Sequence[Int64Array], allowed: Ids
) -> list[Floats]:
    """Hide some gaps of each text: log-probabilities of what may stand there, `(gaps, allowed)` for each."""
    positions = [text.gaps[opened] for text, opened in zip(texts, gaps, strict=True)]
    for text, hidden in zip(texts, positions, strict=True):
        text.ids[hidden] = model.specials.mask
    return [rows[:, allowed] for rows in model.masked_log_probs([text.ids for text in texts], positions)]


def generate_masked(
    model: Masked,
    tokenizer: Tokenizer,
    prompts: Iterable[str],
    sampling: MaskedSampling,
    *,
    n: int = 1,
    batch_size: int = 16,
) -> Iterator[list[MaskedGeneration]]:
    """Write after every prompt (normalized), and before the suffix, in the order of the prompts.

    A text is what it would be alone: it has random numbers of its own, of the seed, the prompt and its
    number. What is farther from the gap than the window reaches is not seen.

    Args:
        n: texts after each prompt.
        batch_size: texts that pass the network together.

    Raises:
        InvalidSetting: more is to be written than the model can see at once.
    """
    if sampling.tokens > model.window - 2:
        raise InvalidSetting(
            f"tokens = {sampling.tokens:,} is more than the {model.window - 2:,} that this model can see "
            "at once"
        )
    suffix = tokenizer.encode(sampling.suffix)
    asked = ((prompt, number) for prompt in prompts for number in range(n))
    written: list[MaskedGeneration] = []
    while some := list(islice(asked, batch_size)):
        began = perf_counter()
        texts = [_begun(model, tokenizer, prompt, suffix, sampling, number) for prompt, number in some]
        fill = gibbs if sampling.method == "gibbs" else mask_predict
        fill(model, texts, tokenizer.complete, sampling.drawing, rounds=sampling.rounds)
        seconds = perf_counter() - began
        for text, (prompt, _) in zip(texts, some, strict=True):
            spelled = _spelled(tokenizer, text.ids[text.gaps], prompt)
            written.append(MaskedGeneration(spelled, sampling.tokens, sampling.method, seconds))
        while len(written) >= n:
            yield written[:n]
            del written[:n]


def _begun(
    model: Masked, tokenizer: Tokenizer, prompt: str, suffix: Ids, sampling: MaskedSampling, number: int
) -> MaskedText:
    before = tokenizer.encode(prompt)
    draw = generator(sampling.seed, "masked", number, before.tobytes().hex(), suffix.tobytes().hex())
    room = model.window - 2 - sampling.tokens
    behind = min(len(suffix), max(room - len(before), room // 2))
    before, after = before[len(before) - min(len(before), room - behind) :], suffix[:behind]
    gap = np.full(sampling.tokens, model.specials.mask, np.int64)
    ids = add_special_tokens(np.concatenate([before.astype(np.int64), gap, after]), model.specials)
    return MaskedText(ids, len(before) + 1 + np.arange(sampling.tokens), draw)


def _spelled(tokenizer: Tokenizer, ids: Int64Array, prompt: str) -> str:
    """The text of what was written; the blank that a word brings along is left out at the start."""
    text = tokenizer.decode(ids)
    if tokenizer.closed and (not prompt or prompt[-1].isspace()):
        return text.removeprefix(" ")
    return text
