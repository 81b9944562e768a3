"""How a model is trained by gradient: the `[training]` section of a recipe."""

from typing import Annotated

import msgspec

from langue.base.config import Config

Budget = Annotated[float, msgspec.Meta(ge=0.0)]


class TrainingConfig(Config, frozen=True):
    """AdamW with warm-up and cosine, under one budget: the first of these that is not 0."""

    steps: Annotated[int, msgspec.Meta(ge=0)] = 0
    tokens: Annotated[int, msgspec.Meta(ge=0)] = 0
    epochs: Budget = 0.0
    minutes: Budget = 0.0  # if none is given: 3, what a newcomer waits; seconds differ, so do results
    batch_tokens: Annotated[int, msgspec.Meta(ge=1)] = 4096  # small batches learn most a minute here
    learning_rate: Annotated[float, msgspec.Meta(gt=0.0)] = 1e-3  # nanoGPT's for models of this size
    weight_decay: Annotated[float, msgspec.Meta(ge=0.0)] = 0.1  # on matrices only
    warmup: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.05  # share of the budget
    clip: Annotated[float, msgspec.Meta(gt=0.0)] = 1.0  # largest norm of the gradient
    evaluations: Annotated[int, msgspec.Meta(ge=1)] = 10  # points of the validation curve
    seed: int = 0
