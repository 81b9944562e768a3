"""What a family trained by gradient is where its user says nothing: the rule that `Family.choose` goes by.

The rule speaks of work. What a class of machines does in the time that is given, in round numbers, is many
tokens of a small network or few of a large one; it takes the largest that still sees enough of them. No clock
is asked. The constants are from `benchmarks/gpt2_options.py`, `docs/log.md` has its figures.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from langue.models.family import BUDGETS, Choice, Circumstances

# FLOP/s of a training step that two cores of a class sustain, or a GPU: by the value of `MachineClass`.
SPEED = {
    "x86-64 without AVX2": 2e10,
    "AVX2": 8e10,
    "AVX-512": 1.2e11,
    "AVX-512 with bfloat16": 2e11,
    "AMX": 5e11,
    "Arm": 8e10,
    "Arm with bfloat16": 2e11,
    "CUDA before Ampere": 1e13,
    "CUDA": 1e14,
    "another processor": 2e10,
}
TOKENS_PER_WEIGHT = 0.9  # that multiplies: with fewer a smaller network is better
MOST_EPOCHS = 40  # of a budget that nobody gave: beyond, little text is learned by heart
DROPOUT = {16: 0.2, 8: 0.1, 0: 0.0}  # from so many epochs on
STEPS = 2000  # that a long run is cut into; a short one has the smallest batches
BATCHES = (2048, 4096, 8192, 16384, 32768, 65536, 131072)  # tokens
SHORT = 1e6  # tokens: the rates of Muon are those of runs of so many, and lower in longer ones
TAUGHT = ("optimizer", "learning_rate", "schedule", "fsdp")  # who sets one of these sets the rest


class Rung(NamedTuple):
    """A shape of the ladder. Any of its numbers may be given; the rest is chosen."""

    layers: int
    width: int
    heads: int
    context: int

    def weights(self, vocabulary: int) -> int:
        """That multiply: of the blocks, and of the output."""
        return 12 * self.layers * self.width**2 + vocabulary * self.width

    def flops(self, vocabulary: int) -> float:
        """Of a token of a training step."""
        return 6.0 * self.weights(vocabulary) + 6.0 * self.layers * self.width * self.context


def pinned(ladder: Sequence[Rung], model: Mapping[str, Any]) -> list[Rung]:
    """The ladder with the numbers of a shape that are given; heads that are not have 32 channels at least."""
    given = {name: int(model[name]) for name in Rung._fields if model.get(name)}
    rungs = [rung._replace(**given) for rung in ladder]
    if "width" in given and "heads" not in given:
        width = given["width"]
        heads = [count for count in range(1, width + 1) if width % (2 * count) == 0 and width // count >= 32]
        rungs = [
            rung._replace(heads=max((count for count in heads if count <= rung.heads), default=1))
            for rung in rungs
        ]
    return rungs


@dataclass(frozen=True)
class Plan:
    """A shape of a ladder, and how it is to learn.

    Attributes:
        tokens: read in all.
        epochs: of the text.
        training: settings of [training].
        why: the end of a sentence that begins with the shape.
    """

    rung: Rung
    tokens: float
    epochs: float
    training: dict[str, Any]
    why: str

    def choice(
        self, shape: Mapping[str, Any], model: Mapping[str, Any], training: Mapping[str, Any], reason: str
    ) -> Choice:
        """This plan with a network of a shape, but for what is given of [model] and [training]."""
        dropout = next(rate for least, rate in DROPOUT.items() if self.epochs >= least)
        settings = _dotted("model", {**shape, "dropout": dropout}, model)
        return Choice(settings | _dotted("training", self.training, training), reason)


def plan(
    ladder: Sequence[Rung],
    model: Mapping[str, Any],
    training: Mapping[str, Any],
    by: Circumstances,
    taught: Callable[[Rung, float], dict[str, Any]],
) -> Plan:
    """The largest shape that sees enough tokens.

    Args:
        ladder: from the smallest up.
        model: what is given of [model]; numbers of a shape stand in every one of the ladder.
        training: what is given of [training].
        taught: the optimizer and all that hangs on it, for a shape and the tokens that it sees.
    """
    ladder = pinned(ladder, model)
    budget = next((name for name in BUDGETS if training.get(name)), None)
    seen = [_tokens_seen(rung, training, budget, by) for rung in ladder]
    enough = [
        index
        for index, (rung, tokens) in enumerate(zip(ladder, seen, strict=True))
        if tokens >= TOKENS_PER_WEIGHT * rung.weights(by.vocabulary)
    ]
    index = max(enough, default=0)
    rung, tokens = ladder[index], seen[index]
    if budget is None:
        tokens = min(tokens, float(MOST_EPOCHS * by.tokens))
    settings = {} if any(training.get(name) for name in TAUGHT) else taught(rung, tokens)
    if budget is None:
        settings["tokens"] = max(round(tokens), 1)
    epochs = tokens / max(by.tokens, 1)
    asked = f"the {budget} given" if budget not in (None, "minutes") else f"{by.minutes:g} minutes"
    why = (
        f"{tokens:,.0f} tokens or so, {epochs:.1f} epochs: chosen for {by.tokens:,} tokens of a vocabulary "
        f"of {by.vocabulary:,}, {asked}, and a machine of the class {by.machine}"
    )
    return Plan(rung, tokens, epochs, settings, why)


def _tokens_seen(rung: Rung, training: Mapping[str, Any], budget: str | None, by: Circumstances) -> float:
    """How many tokens a network of a shape learns from."""
    if budget == "tokens":
        return float(training["tokens"])
    if budget == "epochs":
        return float(training["epochs"]) * by.tokens
    if budget == "steps":
        return float(training["steps"]) * float(training.get("batch_tokens", BATCHES[0]))
    return 60 * by.minutes * SPEED[by.machine] / rung.flops(by.vocabulary)


def by_muon(rate: float) -> Callable[[Rung, float], dict[str, Any]]:
    """The settings of a Transformer that Muon teaches.

    Args:
        rate: of 128 channels in a short run.
    """

    def taught(rung: Rung, tokens: float) -> dict[str, Any]:
        lower = math.sqrt(128 / rung.width) * min(SHORT / max(tokens, 1.0), 1.0) ** 0.25
        return {
            "batch_tokens": next((size for size in BATCHES if size >= tokens / STEPS), BATCHES[-1]),
            "optimizer": "muon",
            "learning_rate": float(f"{rate * lower:.1e}"),
            "schedule": "linear",
            "warmup": 0.03,
            "min_lr_ratio": 0.0,
        }

    return taught


def _dotted(section: str, settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a section by dotted name, without those that are given."""
    return {f"{section}.{name}": value for name, value in settings.items() if name not in given}
