"""Self-tests of a model's scores: `langue evaluate --check`.

Each returns the largest deviation it saw, in nats (or in probability for the sum): a model passes
if all lie below `TOLERANCE`, which is float32 arithmetic in another order, and no more.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from langue.base.arrays import Floats, Ids
from langue.protocols import Causal, Masked
from langue.tokens.masked import add_special_tokens

TOLERANCE = 2e-3
POSITIONS = 12  # tokens of a document whose whole distribution is looked at
DOCUMENTS = 8
LONGEST = 600  # tokens: past the first window of a small model, and still quick


class Check(NamedTuple):
    name: str
    deviation: float
    passed: bool

    def line(self) -> str:
        verdict = "pass" if self.passed else "FAIL"
        return f"{verdict}  {self.name} (largest deviation {self.deviation:.1e})"


def check(model: Causal, documents: Sequence[Ids]) -> list[Check]:
    """Run every self-test on the first documents (at most `DOCUMENTS`, cut to `LONGEST` tokens)."""
    texts = [np.array(ids[:LONGEST]) for ids in documents[:DOCUMENTS] if len(ids)]
    alone = [model.log_probs([ids])[0] for ids in texts]
    deviations = {
        **_sums(model, texts),
        "same score alone and in a batch": _apart(alone, model.log_probs(texts)),
        "score is the sum of next-token log-probabilities": _next(model, texts, alone),
        "generation predicts what scoring predicts": _decoder(model, texts, alone),
        "no token sees its own label": _leak(model, texts, alone),
    }
    return [Check(name, value, bool(value <= TOLERANCE)) for name, value in deviations.items()]


def check_masked(model: Masked, documents: Sequence[Ids]) -> list[Check]:
    """The self-tests of an encoder, on the first documents, cut to what it can see at once."""
    texts = [add_special_tokens(ids[: model.window - 2], model.specials) for ids in documents[:DOCUMENTS]]
    positions = [np.array(_positions(ids)) for ids in texts]
    hidden = [ids.copy() for ids in texts]
    for ids, some in zip(hidden, positions, strict=True):
        ids[some] = model.specials.mask
    together = model.masked_log_probs(hidden, positions)
    alone = [model.masked_log_probs([ids], [some])[0] for ids, some in zip(hidden, positions, strict=True)]
    states = model.hidden(texts)
    deviations = {
        "probabilities sum to one": float(
            np.abs(np.exp(np.concatenate(together).astype(np.float64)).sum(-1) - 1).max()
        ),
        "same prediction alone and in a batch": _apart(alone, together),
        "same hidden states alone and in a batch": _apart([model.hidden([ids])[0] for ids in texts], states),
    }
    return [Check(name, value, bool(value <= TOLERANCE)) for name, value in deviations.items()]


def _positions(ids: Ids) -> list[int]:
    return sorted({int(position) for position in np.linspace(0, len(ids) - 1, POSITIONS)})


def _apart(some: Sequence[Floats], others: Sequence[Floats]) -> float:
    return max(_gap(one, other) for one, other in zip(some, others, strict=True))


def _gap(one: Floats, other: Floats) -> float:
    """The largest difference; two minus infinities, of what is impossible to both, do not differ."""
    with np.errstate(invalid="ignore"):
        return float(np.where(one == other, 0.0, np.abs(one - other)).max())


def _sums(model: Causal, texts: Sequence[Ids]) -> dict[str, float]:
    contexts = [ids[:position] for ids in texts for position in _positions(ids)]
    excess = np.exp(model.next_log_probs(contexts).astype(np.float64)).sum(-1) - 1
    if model.rounded_down:
        return {"probabilities, rounded down, sum to one at most": max(float(excess.max()), 0.0)}
    return {"probabilities sum to one": float(np.abs(excess).max())}


def _next(model: Causal, texts: Sequence[Ids], alone: Sequence[Floats]) -> float:
    worst = 0.0
    for ids, scores in zip(texts, alone, strict=True):
        positions = _positions(ids)
        rows = model.next_log_probs([ids[:position] for position in positions])
        worst = max(worst, _gap(rows[np.arange(len(positions)), ids[positions]], scores[positions]))
    return worst


def _decoder(model: Causal, texts: Sequence[Ids], alone: Sequence[Floats]) -> float:
    """Feed a document a token at a time, across an edge of the window where there is one."""
    ids, scores = max(zip(texts, alone, strict=True), key=lambda pair: len(pair[0]))
    begin = max(0, min(len(ids), model.window or 0) - POSITIONS)
    decoder = model.decoder([ids[:begin]])
    worst = 0.0
    for position in range(begin, min(len(ids), begin + 2 * POSITIONS)):
        worst = max(worst, _gap(decoder.log_probs()[0][ids[position]], scores[position]))
        decoder.extend([ids[position : position + 1]])
    return worst


def _leak(model: Causal, texts: Sequence[Ids], alone: Sequence[Floats]) -> float:
    """Change the second half of each document: the first half must score as before."""
    changed = []
    for ids in texts:
        other = ids.copy()
        half = len(ids) // 2
        other[half:] = (other[half:].astype(np.int64) + 1) % model.vocabulary.size
        changed.append(other)
    halves = [len(ids) // 2 for ids in texts]
    before = [np.r_[0.0, scores[:half]] for scores, half in zip(alone, halves, strict=True)]
    after = [np.r_[0.0, scores[:half]] for scores, half in zip(model.log_probs(changed), halves, strict=True)]
    return _apart(before, after)
