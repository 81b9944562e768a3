"""Why a model gives a token of a text the probability that it has, in texts and bits.

What a family says in token ids (`protocols.explanation`) is spelled here; beside it stands what every
`Causal` model can say: the rank of the token, the entropy of the distribution, and the likeliest others.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from langue.base.arrays import Floats, Ids
from langue.base.errors import InvalidSetting
from langue.evaluation.score import finite
from langue.generation.generate import shown
from langue.models.folder import ModelFolder
from langue.protocols import Causal, Explainable, entropy
from langue.protocols.explanation import (
    AttentionExplanation,
    Explanation,
    MatchExplanation,
    MixtureExplanation,
    NGramExplanation,
    Passage,
    StateExplanation,
)
from langue.tokens.tokenizer import Tokenizer

CONTEXT = 8  # tokens of a context that a line of text shows


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
        raise InvalidSetting(f"the text has {len(ids)} tokens, its end included; there is none at {index}")
    index %= len(ids)
    context = context_at(folder, ids, index)
    row, id = model.next_log_probs([context])[0], int(ids[index])
    best = np.argsort(-row, kind="stable")[:k].tolist()
    return Explained(
        shown(tokenizer, id),
        index,
        float(np.exp(row[id])),
        -float(row[id]) / math.log(2),
        int(np.count_nonzero(row > row[id])) + 1,
        float(entropy(row[None])[0]) / math.log(2),
        [(shown(tokenizer, other), float(np.exp(row[other]))) for other in best],
        reason(model, tokenizer, context, id, layer=layer),
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


def reason(
    model: Causal, tokenizer: Tokenizer, context: Ids, id: int, *, layer: int | None = None
) -> dict[str, Any] | None:
    """What the family says of a token, spelled; None where it cannot say."""
    explanation = model.explain(context, id) if isinstance(model, Explainable) else None
    if layer is not None and not isinstance(explanation, AttentionExplanation | MixtureExplanation):
        raise InvalidSetting("only networks with attention have layers to look into; leave layer out")
    return explanation and _spelled(explanation, tokenizer, context, layer)


def _spelled(
    explanation: Explanation, tokenizer: Tokenizer, context: Ids, layer: int | None
) -> dict[str, Any]:
    match explanation:
        case NGramExplanation():
            return _ngrams(explanation, tokenizer, context)
        case MatchExplanation():
            return {
                "kind": "match",
                "length": explanation.length,
                "count": explanation.count,
                "total": explanation.total,
                "alpha": explanation.alpha,
                "passages": [_passage(passage, tokenizer) for passage in explanation.passages],
            }
        case StateExplanation():
            return {"kind": "states", "states": _states(explanation, tokenizer)}
        case AttentionExplanation():
            return _attention(explanation, tokenizer, layer)
        case MixtureExplanation():
            return {
                "kind": "mixture",
                "parts": [
                    {
                        "name": part.name,
                        "weight": part.weight,
                        "probability": math.exp(part.log_prob),
                        "reason": part.explanation and _spelled(part.explanation, tokenizer, context, layer),
                    }
                    for part in explanation.parts
                ],
            }


def _tokens(tokenizer: Tokenizer, ids: Sequence[int] | Ids) -> list[str]:
    return [shown(tokenizer, int(id)) for id in ids]


def _ngrams(explanation: NGramExplanation, tokenizer: Tokenizer, context: Ids) -> dict[str, Any]:
    seen = [step.order for step in explanation.orders if step.seen]
    orders = []
    for step in explanation.orders:
        begin = len(context) - step.order + 1
        start = ["<s>"] if begin < 0 else []
        orders.append({**asdict(step), "context": [*start, *_tokens(tokenizer, context[max(begin, 0) :])]})
    return {"kind": "ngram", "order": max(seen, default=0), "orders": orders}


def _passage(passage: Passage, tokenizer: Tokenizer) -> dict[str, Any]:
    """Its text; characters that are cut at the far ends are left out."""
    before = tokenizer.decode_bytes(passage.before).decode(errors="ignore")
    after = tokenizer.decode_bytes(passage.after).decode(errors="ignore")
    return {
        "document": passage.document,
        "offset": passage.offset,
        "before": before,
        "match": tokenizer.decode_bytes(passage.match).decode(errors="backslashreplace"),
        "token": shown(tokenizer, passage.token),
        "after": after,
    }


def _states(explanation: StateExplanation, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    return [
        {
            **state._asdict(),
            "words": [{"token": shown(tokenizer, id), "probability": p} for id, p in state.words],
        }
        for state in explanation.states
    ]


def _attention(explanation: AttentionExplanation, tokenizer: Tokenizer, layer: int | None) -> dict[str, Any]:
    layers, heads, _ = explanation.weights.shape
    number = layers - 1 if layer is None else layer
    if not 0 <= number < layers:
        raise InvalidSetting(f"the network has the layers 0 to {layers - 1}; there is no layer {layer}")
    weights = explanation.weights[number]
    return {
        "kind": "attention",
        "layer": number,
        "layers": layers,
        "heads": heads,
        "tokens": _tokens(tokenizer, explanation.ids),
        "mean": _rounded(weights.mean(0)),
        "weights": [_rounded(head) for head in weights],
    }


def _rounded(weights: Floats) -> list[float]:
    """Of a picture: four digits are more than is seen."""
    return [round(weight, 4) for weight in weights.tolist()]


def lines_of(reason: dict[str, Any] | None) -> list[str]:
    """A reason in lines of text."""
    match reason:
        case None:
            return ["why: its family cannot say"]
        case {"kind": "ngram", "orders": orders}:
            return [_order_line(step) for step in orders]
        case {"kind": "match"}:
            head = (
                f"after a match of {reason['length']} tokens, {reason['count']} of {reason['total']} times:"
            )
            return [head, *(_passage_line(passage) for passage in reason["passages"])]
        case {"kind": "states", "states": states}:
            return [
                f"state {state['state']}: {state['prior']:.1%} before, {state['posterior']:.1%} after; "
                + " ".join(word["token"] for word in state["words"])
                for state in states
            ]
        case {"kind": "attention"}:
            pairs = zip(reason["mean"], reason["tokens"], strict=True)
            best = sorted(enumerate(pairs), key=lambda item: -item[1][0])[:CONTEXT]
            looks = "  ".join(f"{token} {weight:.0%}" for _, (weight, token) in best)
            return [f"layer {reason['layer']} of {reason['layers']} looks at: {looks}"]
        case {"kind": "mixture", "parts": parts}:
            lines = []
            for part in parts:
                lines.append(f"{part['name']}: weight {part['weight']:.2f}, p {part['probability']:.4g}")
                lines += [f"  {line}" for line in lines_of(part["reason"])]
            return lines
    raise AssertionError(reason)


def _order_line(step: dict[str, Any]) -> str:
    gram = " ".join(step["context"][-CONTEXT:]) or "no context"
    counts = ""
    if step["count"] is not None:
        of = "different tokens before" if step["distinct"] else "times"
        counts = f"; {step['count']:,} of {step['total']:,} {of}"
    return (
        f"order {step['order']} ({gram}): p {step['probability']:.4g} = {step['share']:.4g} + "
        f"{step['backoff']:.3f} x the order below{counts}; {step['continuations']:,} continuations"
    )


def _passage_line(passage: dict[str, Any]) -> str:
    text = f"{passage['before']}[{passage['match']}]{passage['token']}{passage['after']}"
    return f"  document {passage['document']}, token {passage['offset']}: {text!r}"
