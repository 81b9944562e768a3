"""Filling gaps with a `Masked` model: what stands behind each `[MASK]`, alone or all of them together.

Where a vocabulary keeps the space before a word in its tokens, the space before a `[MASK]` belongs to
what is filled in.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from langue.base.arrays import Floats, Ids, Int64Array
from langue.base.errors import LangueError
from langue.base.seeds import generator
from langue.generation.masked import MaskedText, mask_predict
from langue.generation.sample import Sampling
from langue.protocols import Masked
from langue.tokens.masked import add_special_tokens
from langue.tokens.tokenizer import Tokenizer

MASK = "[MASK]"
BARE = ("chars", "bytes")  # kinds whose tokens hold no space before a word


@dataclass(frozen=True)
class Gap:
    """What may stand behind one `[MASK]`, likeliest first, with its probability."""

    candidates: list[tuple[str, float]]


@dataclass(frozen=True)
class Filled:
    """A text with its gaps filled."""

    text: str
    gaps: list[Gap]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def fill(
    model: Masked,
    tokenizer: Tokenizer,
    text: str,
    *,
    k: int = 5,
    rounds: int = 10,
    temperature: float = 0.0,
    seed: int = 0,
) -> Filled:
    """Fill every `[MASK]` of a text.

    Candidates of a gap are those given all that is written, other gaps left open. The text is filled
    by mask-predict (Ghazvininejad et al. 2019, section 3.3): all gaps at once, then, round after round,
    those filled with the least confidence again.

    Args:
        text: normalized.
        rounds: at most as many as there are gaps are used.
        temperature: 0 takes the likeliest; 1 draws from what the model says.

    Raises:
        LangueError: no gap, or more text than the model can see at once.
    """
    ids = read(tokenizer, text, model)
    gaps = np.flatnonzero(ids == model.specials.mask)
    if not len(gaps):
        raise LangueError(f"nothing to fill: write {MASK} where a token is missing")
    if len(ids) > model.window:
        raise LangueError(
            f"{len(ids) - 2:,} tokens are more than the {model.window - 2:,} this model can see at once; "
            f"leave text out far from {MASK}"
        )
    allowed = tokenizer.complete
    scores = model.masked_log_probs([ids], [gaps])[0][:, allowed]  # (gaps, allowed)
    filled = [Gap(_candidates(tokenizer, allowed, row, k)) for row in scores]
    written = MaskedText(ids, gaps, generator(seed, "fill"))
    drawing = Sampling(temperature=temperature, top_p=1.0)
    mask_predict(model, [written], allowed, drawing, rounds=rounds, scores=[scores])
    return Filled(tokenizer.decode(written.ids[1:-1]), filled)


def read(tokenizer: Tokenizer, text: str, model: Masked) -> Int64Array:
    """A text with gaps as an encoder reads it."""
    first, *others = text.split(MASK)
    parts = [first]
    for part in others:
        if tokenizer.kind not in BARE:
            parts[-1] = parts[-1].removesuffix(" ")
        parts.append(part)
    mask = np.array([model.specials.mask], np.int64)
    joined: list[Ids] = []
    for part in parts:
        joined += [tokenizer.encode(part).astype(np.int64), mask]
    return add_special_tokens(np.concatenate(joined[:-1]), model.specials)


def _candidates(tokenizer: Tokenizer, allowed: Ids, row: Floats, k: int) -> list[tuple[str, float]]:
    best = np.argsort(-row, kind="stable")[:k]
    return [(tokenizer.decode([allowed[index]]), float(np.exp(row[index]))) for index in best]
