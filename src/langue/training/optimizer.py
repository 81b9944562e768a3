"""The update of the weights, by one optimizer or by two that share them.

All state exists from the start, under names, so that a checkpoint is one flat table of tensors that
is written as it stands and copied back in place.
"""

from torch import Tensor, nn

from langue.protocols import Vocabulary
from langue.training.config import TrainingConfig
from langue.training.muon import Muon
from langue.training.parameters import optimizers
from langue.training.tensors import Tensors


class Optimizer:
    """The optimizers of a model, as one; `parameters.optimizers` says what may be wrong."""

    def __init__(
        self, model: nn.Module, config: TrainingConfig, vocabulary: Vocabulary | None = None
    ) -> None:
        self.config = config
        self.names: dict[Tensor, str] = {p: name for name, p in model.named_parameters()}
        self.parts = optimizers(model, config, vocabulary)

    def tensors(self) -> Tensors:
        states = [item for part in self.parts for item in part.state.items()]
        return {f"{self.names[p]}.{key}": value for p, state in states for key, value in state.items()}

    def step(self, rate: float) -> None:
        """Update the weights by their gradients, which are then forgotten."""
        for part in self.parts:
            factor = self.config.muon_lr_multiplier if isinstance(part, Muon) else 1.0
            for group in part.param_groups:
                group["lr"] = rate * factor
            part.step()
        self.zero_grad()

    def zero_grad(self) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none=True)
