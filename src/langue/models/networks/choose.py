"""What a `gpt2` is where its user says nothing: a shape, options and a budget by rule.

The rule speaks of work: what a class of machines does in the time that is given, in round numbers, is as
many tokens of a small network as few of a large one. Its constants are from `benchmarks/gpt2_options.py`.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from langue.models.family import BUDGETS, Choice, Circumstances
from langue.models.networks.config import qwen3
from langue.nn.machine_class import MachineClass

# FLOP/s of a training step, what two cores or one GPU of a class do, to the nearest power of 2 or so.
SPEED = {
    MachineClass.X86: 2e10,
    MachineClass.AVX2: 8e10,
    MachineClass.AVX512: 1.2e11,
    MachineClass.AVX512_BF16: 2e11,
    MachineClass.AMX: 5e11,
    MachineClass.ARM: 8e10,
    MachineClass.ARM_BF16: 2e11,
    MachineClass.CUDA: 1e13,
    MachineClass.CUDA_BF16: 1e14,
    MachineClass.OTHER: 2e10,
}
TOKENS_PER_WEIGHT = 0.3  # that multiplies: with fewer, a smaller network is better
MOST_EPOCHS = 40  # of a budget that nobody gave: beyond, little text is learned by heart
DROPOUT = {16: 0.2, 4: 0.1, 0: 0.0}  # from so many epochs on
STEPS = 2000  # in which a long run is cut; a short one has batches of 2,048 tokens
BATCHES = [2048, 4096, 8192, 16384, 32768, 65536, 131072]
# Where one of these is given, so is the network: what is left out of it is as in 2019.
FREE = ("dropout", "tied", "z_loss", "key_value_heads")


class Rung(NamedTuple):
    """A shape of the ladder."""

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


LADDER = [
    Rung(2, 96, 2, 128),
    Rung(3, 128, 4, 128),
    Rung(4, 192, 4, 128),
    Rung(6, 256, 4, 256),
    Rung(6, 384, 6, 256),
    Rung(8, 512, 8, 512),
    Rung(12, 768, 12, 1024),
]


def choose_gpt2(model: Mapping[str, Any], training: Mapping[str, Any], by: Circumstances) -> Choice:
    """The largest shape of the ladder that sees enough tokens, as a Qwen3, taught by Muon."""
    if set(model) - set(FREE):
        return Choice({})
    budget = next((name for name in BUDGETS if training.get(name)), None)
    rung, tokens = LADDER[0], 0.0
    for larger in LADDER:
        seen = _seen(larger, training, budget, by)
        if larger is LADDER[0] or seen >= TOKENS_PER_WEIGHT * larger.weights(by.vocabulary):
            rung, tokens = larger, seen
    if budget is None:
        tokens = min(tokens, MOST_EPOCHS * by.tokens)
    epochs = tokens / max(by.tokens, 1)
    batch = next((size for size in BATCHES if size >= tokens / STEPS), BATCHES[-1])
    settings: dict[str, Any] = {f"model.{name}": value for name, value in qwen3(*rung).items()}
    settings["model.dropout"] = next(rate for least, rate in DROPOUT.items() if epochs >= least)
    taught: dict[str, Any] = {}
    if not {"optimizer", "learning_rate", "schedule"} & set(training):
        taught = {
            "batch_tokens": batch, "optimizer": "muon", "schedule": "linear", "warmup": 0.03,
            "min_lr_ratio": 0.0, "learning_rate": float(f"{4e-3 * math.sqrt(192 / rung.width):.1e}"),
        }  # fmt: skip
    if budget is None:
        taught["tokens"] = max(round(tokens), batch)
    settings |= {f"training.{name}": value for name, value in taught.items() if name not in training}
    settings = {name: value for name, value in settings.items() if name.removeprefix("model.") not in model}
    return Choice(settings, _reason(rung, tokens, epochs, budget, by))


def _seen(rung: Rung, training: Mapping[str, Any], budget: str | None, by: Circumstances) -> float:
    """The tokens that a network of a shape learns from."""
    if budget == "tokens":
        return float(training["tokens"])
    if budget == "epochs":
        return float(training["epochs"]) * by.tokens
    if budget == "steps":
        return float(training["steps"]) * float(training.get("batch_tokens", BATCHES[0]))
    return 60 * by.minutes * SPEED[MachineClass(by.machine)] / rung.flops(by.vocabulary)


def _reason(rung: Rung, tokens: float, epochs: float, budget: str | None, by: Circumstances) -> str:
    given = f"the {budget} given" if budget not in (None, "minutes") else f"{by.minutes:g} minutes"
    return (
        f"{rung.layers} layers of {rung.width}, context {rung.context}, with the options of Qwen3, taught "
        f"{tokens:,.0f} tokens or so, {epochs:.1f} epochs: chosen for {by.tokens:,} tokens of a vocabulary "
        f"of {by.vocabulary:,}, {given} and a machine of the class {by.machine}. --set size=tiny takes the "
        "GPT-2 of 2019 instead"
    )
