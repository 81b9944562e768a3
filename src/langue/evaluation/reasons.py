"""What families say of a token (`protocols.explanation`), put to texts: as values of JSON, and in lines."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from langue.base.arrays import Floats, Ids
from langue.base.errors import InvalidSetting
from langue.generation.generate import shown
from langue.protocols.explanation import (
    AttentionExplanation,
    ClassExplanation,
    CrossAttentionExplanation,
    Explanation,
    FeatureExplanation,
    MatchExplanation,
    MixtureExplanation,
    NGramExplanation,
    Passage,
    SaliencyExplanation,
    StateExplanation,
    WordClass,
)
from langue.tokens.tokenizer import Tokenizer

CONTEXT = 8  # tokens of a context that a line of text shows
# Those in which a layer can be looked into.
LAYERED = (AttentionExplanation, CrossAttentionExplanation, MixtureExplanation)
OF_CLASS = "~"  # behind a word: the class whose most frequent word it is


def spelled(
    explanation: Explanation, tokenizer: Tokenizer, context: Ids, layer: int | None
) -> dict[str, Any]:
    """A reason as JSON has it, its `kind` first.

    Args:
        context: the tokens before the one that is explained.
        layer: of a network, whose attention is shown; None: the last.

    Raises:
        InvalidSetting: there is no such layer.
    """
    match explanation:
        case NGramExplanation():
            return _ngrams(explanation, _last(tokenizer, context, explanation))
        case ClassExplanation():
            return _classes(explanation, tokenizer)
        case FeatureExplanation():
            return _features(explanation, tokenizer)
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
        case CrossAttentionExplanation():
            return {
                "kind": "cross-attention",
                "source": _attention(explanation.source, tokenizer, layer),
                "target": _attention(explanation.target, tokenizer, layer),
            }
        case SaliencyExplanation():
            tokens = _tokens(tokenizer, explanation.ids)
            return {"kind": "saliency", "tokens": tokens, "saliency": _rounded(explanation.saliency)}
        case MixtureExplanation():
            return {
                "kind": "mixture",
                "parts": [
                    {
                        "name": part.name,
                        "weight": part.weight,
                        "probability": math.exp(part.log_prob),
                        "reason": part.explanation and spelled(part.explanation, tokenizer, context, layer),
                    }
                    for part in explanation.parts
                ],
            }


def _tokens(tokenizer: Tokenizer, ids: Sequence[int] | Ids) -> list[str]:
    return [shown(tokenizer, int(id)) for id in ids]


def _ngrams(explanation: NGramExplanation, names: Sequence[str]) -> dict[str, Any]:
    """`names` are of the last tokens of the context, as far as the longest n-gram reaches."""
    seen = [step.order for step in explanation.orders if step.seen]
    orders = []
    for step in explanation.orders:
        begin = len(names) - step.order + 1
        start = ["<s>"] if begin < 0 else []
        orders.append({**asdict(step), "context": [*start, *names[max(begin, 0) :]]})
    return {"kind": "ngram", "order": max(seen, default=0), "orders": orders}


def _last(tokenizer: Tokenizer, context: Ids, explanation: NGramExplanation) -> list[str]:
    reach = max(step.order for step in explanation.orders) - 1
    return _tokens(tokenizer, context[max(len(context) - reach, 0) :])


def _classes(explanation: ClassExplanation, tokenizer: Tokenizer) -> dict[str, Any]:
    def name(one: WordClass) -> str:
        return shown(tokenizer, one.words[0][0]) + OF_CLASS

    own = explanation.word_class
    return {
        "kind": "classes",
        "class": name(own),
        "share": explanation.share,
        "words": _words(own.words, tokenizer),
        "classes": [
            {"class": name(one), "words": _words(one.words, tokenizer)} for one in explanation.context
        ],
        "ngrams": _ngrams(explanation.ngrams, [name(one) for one in explanation.context]),
    }


def _features(explanation: FeatureExplanation, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "kind": "features",
        "bias": explanation.bias,
        "log_z": explanation.log_z,
        "features": [
            {"tokens": _tokens(tokenizer, one.tokens), "back": one.back, "weight": one.weight}
            for one in explanation.features
        ],
    }


def _words(words: Sequence[tuple[int, float]], tokenizer: Tokenizer) -> list[dict[str, Any]]:
    return [{"token": shown(tokenizer, id), "probability": p} for id, p in words]


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
            "words": _words(state.words, tokenizer),
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
    return ["why: its family cannot say"] if reason is None else LINES[reason["kind"]](reason)


def _class_lines(reason: dict[str, Any]) -> list[str]:
    words = "  ".join(f"{word['token']} {word['probability']:.1%}" for word in reason["words"])
    return [f"class {reason['class']}, {reason['share']:.4g} of it: {words}", *lines_of(reason["ngrams"])]


def _feature_lines(reason: dict[str, Any]) -> list[str]:
    lines = [_feature_line(feature) for feature in reason["features"]]
    return [*lines, f"bias {reason['bias']:+.3f}; log Z {reason['log_z']:.3f}"]


def _match_lines(reason: dict[str, Any]) -> list[str]:
    head = f"after a match of {reason['length']} tokens, {reason['count']} of {reason['total']} times:"
    return [head, *(_passage_line(passage) for passage in reason["passages"])]


def _state_lines(reason: dict[str, Any]) -> list[str]:
    return [
        f"state {state['state']}: {state['prior']:.1%} before, {state['posterior']:.1%} after; "
        + " ".join(word["token"] for word in state["words"])
        for state in reason["states"]
    ]


def _attention_lines(reason: dict[str, Any]) -> list[str]:
    looks = _strongest(reason["tokens"], reason["mean"], "{:.0%}")
    return [f"layer {reason['layer']} of {reason['layers']} looks at: {looks}"]


def _part_lines(reason: dict[str, Any]) -> list[str]:
    lines = []
    for part in reason["parts"]:
        lines.append(f"{part['name']}: weight {part['weight']:.2f}, p {part['probability']:.4g}")
        lines += [f"  {line}" for line in lines_of(part["reason"])]
    return lines


LINES: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "ngram": lambda reason: [_order_line(step) for step in reason["orders"]],
    "classes": _class_lines,
    "features": _feature_lines,
    "match": _match_lines,
    "states": _state_lines,
    "attention": _attention_lines,
    "cross-attention": lambda reason: [
        f"{name}: {line}" for name in ("source", "target") for line in lines_of(reason[name])
    ],
    "saliency": lambda reason: [
        f"it hangs on: {_strongest(reason['tokens'], reason['saliency'], '{:+.2f}')}"
    ],
    "mixture": _part_lines,
}


def _strongest(tokens: Sequence[str], weights: Sequence[float], form: str) -> str:
    """The tokens of the largest weights, whatever their sign, with these."""
    best = sorted(zip(tokens, weights, strict=True), key=lambda pair: -abs(pair[1]))[:CONTEXT]
    return "  ".join(f"{token} {form.format(weight)}" for token, weight in best)


def _feature_line(feature: dict[str, Any]) -> str:
    gram = " ".join(feature["tokens"])
    where = f"{gram} …" if feature["back"] == 1 else f"{gram}, {feature['back']} back"
    weight = "never seen together" if feature["weight"] is None else f"{feature['weight']:+.3f}"
    return f"feature ({where}): {weight}"


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
