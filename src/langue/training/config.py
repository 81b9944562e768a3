"""How a model is trained by gradient: the `[training]` section of a recipe."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import msgspec

from langue.base.bounds import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Probability,
)
from langue.base.config import Config


class RunConfig(Config, frozen=True):
    """How a run is computed and kept, whatever the model learns from."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "micro_tokens": "micro_batch_tokens",
        "recompute": "gradient_checkpointing",
    }

    micro_batch_tokens: NonNegativeInt = 0  # of a batch, passed at a time; 0: all, half if memory runs out
    precision: Literal["auto", "float32", "bfloat16"] = (
        "auto"  # of matrix products; bfloat16 where it is fast
    )
    gradient_checkpointing: bool = False  # less memory, a third slower
    checkpoint_minutes: PositiveFloat = 5.0  # what a crash may cost
    keep_checkpoints: PositiveInt = 2  # the last, and one should that be damaged
    keep_run: bool = False  # leave checkpoints and metrics beside the model when it is done
    log_every: PositiveInt = 10  # steps
    tensorboard: bool = False


class TaggerRunConfig(RunConfig, frozen=True):
    """How a tagger is trained from scratch; how long and how fast it learns stands in its `[model]`."""

    precision: Literal["auto", "float32", "bfloat16"] = "float32"  # a small LSTM gains nothing by less


class TrainingConfig(RunConfig, frozen=True):
    """The budget is the first of `steps`, `tokens`, `epochs`, `minutes` that is not 0."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "optimiser": "optimizer",
        "matrix_rate": "muon_lr_multiplier",
        "final_rate": "min_lr_ratio",
        "average": "ema_decay",
        "shard": "fsdp",
    }

    steps: NonNegativeInt = 0
    tokens: NonNegativeInt = 0
    epochs: NonNegativeFloat = 0.0
    minutes: NonNegativeFloat = (
        0.0  # if none is given: 3, what a newcomer waits; results differ as seconds do
    )
    batch_tokens: PositiveInt = 4096  # small batches learn most a minute here
    optimizer: Literal["adamw", "muon", "lamb", "sgd"] = "adamw"
    learning_rate: PositiveFloat = 1e-3  # nanoGPT's for models of this size
    muon_lr_multiplier: PositiveFloat = 1.0  # of the matrices, where muon is the optimizer
    beta2: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)] = 0.95  # of AdamW; 0.99 for small batches
    weight_decay: NonNegativeFloat = 0.1  # on matrices only
    schedule: Literal["cosine", "wsd", "linear", "constant"] = "cosine"
    warmup: Probability = 0.05  # of the budget
    decay: Probability = 0.2  # of the budget, at its end: `wsd` only (Hägele et al. 2024)
    min_lr_ratio: Probability = 0.1  # of the learning rate, at the end
    clip: PositiveFloat = 1.0  # largest norm of the gradient
    ema_decay: Fraction = 0.0  # decay of averaged weights; 0: none
    evaluations: PositiveInt = 10  # points of the validation curve
    validation_tokens: PositiveInt = 8192  # of each: two batches, so it costs little
    compile: bool = False  # pays on long runs: tens of seconds at the start
    fsdp: bool = False  # many devices: FSDP instead of DDP
    seed: int = 0

    def check(self) -> None:
        if self.fsdp and self.optimizer in ("muon", "lamb"):
            raise ValueError(f"{self.optimizer} needs whole matrices; with fsdp = true take adamw")
