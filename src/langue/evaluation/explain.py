"""Why a model gives a token of a text the probability that it has, in texts and bits.

What a family says (`protocols.explanation`) is spelled by `reasons`; beside it stands what every `Causal`
model can say: the rank of the token, the entropy of the distribution, and the likeliest others.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from langue.base.arrays import Ids
from langue.base.errors import InvalidSetting
from langue.base.wording import counted
from langue.evaluation.reasons import LAYERED, lines_of, spelled
from langue.evaluation.score import finite
from langue.generation.generate import shown
from langue.models.folder import ModelFolder
from langue.protocols import Causal, Explainable, entropy


@dataclass(frozen=True)
class Explained:
    """One token of a text: how likely it is, among which others, and why."""

    token: str
    index: int  # of the token in the text, the first is 0; its end is the last
    probability: float
    bits: float
    rank: int  # 1: the likeliest
    entropy: float  # bits
    top: list[tuple[str, float]]
    reason: dict[str, Any] | None  # None: its family cannot say

    def to_json(self) -> dict[str, Any]:
        top = [{"token": token, "probability": probability} for token, probability in self.top]
        return {**asdict(self), "bits": finite(self.bits), "top": top}

    def __str__(self) -> str:
        head = (
            f"{self.token!r}: {self.bits:.2f} bits (probability {self.probability:.4g}), "
            f"rank {self.rank:,}, entropy {self.entropy:.2f} bits"
        )
        others = "  ".join(f"{token} {probability:.1%}" for token, probability in self.top)
        return "\n".join([head, f"likeliest: {others}", *lines_of(self.reason)])


def explain(
    folder: ModelFolder[Causal], text: str | Ids, index: int = -1, *, k: int = 10, layer: int | None = None
) -> Explained:
    """Why a token of a text is as likely as it is.

    Args:
        text: normalized, or its ids; its end is a token too.
        index: of the token; -1 is the end of the document, -2 the last token of the text.
        k: likeliest tokens to name.
        layer: of a network, whose attention is shown; None: the last. The mean of its heads, and each.

    Raises:
        InvalidSetting: there is no such token or layer.
    """
    tokenizer, model = folder.tokenizer, folder.model
    ids = np.append(tokenizer.encode(text) if isinstance(text, str) else text, tokenizer.eos)
    model.vocabulary.check(ids)
    if not -len(ids) <= index < len(ids):
        raise InvalidSetting(
            f"the text has {counted(len(ids), 'token')}, its end included; there is none at {index}"
        )
    index %= len(ids)
    context = context_at(folder, ids, index)
    row, id = model.next_log_probs([context])[0], int(ids[index])
    explanation = model.explain(context, id) if isinstance(model, Explainable) else None
    if layer is not None and not isinstance(explanation, LAYERED):
        raise InvalidSetting("only networks with attention have layers to look into; leave --layer out")
    best = np.argsort(-row, kind="stable")[:k].tolist()
    return Explained(
        shown(tokenizer, id),
        index,
        float(np.exp(row[id])),
        -float(row[id]) / math.log(2),
        int(np.count_nonzero(row > row[id])) + 1,
        float(entropy(row[None])[0]) / math.log(2),
        [(shown(tokenizer, other), float(np.exp(row[other]))) for other in best],
        None if explanation is None else spelled(explanation, tokenizer, context, layer),
    )


def context_at(folder: ModelFolder[Causal], ids: Ids, index: int) -> Ids:
    """What a token is predicted from: all before it in its document, which may be its line."""
    before = ids[:index]
    if folder.lines:
        line_ends = [
            at for at, id in enumerate(before.tolist())
            if id == folder.tokenizer.eos or folder.tokenizer.token_bytes(id) == b"\n"
        ]  # fmt: skip
        before = before[line_ends[-1] + 1 :] if line_ends else before
    return before
