"""Optimizers, the clipping of gradients, and the moving average of weights.

All state exists from the start, under names, so that a checkpoint is one flat table of tensors that
is written as it stands and copied back in place.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from langue.base.errors import LangueError
from langue.training.config import TrainingConfig
from langue.training.lamb import LAMB

Tensors = dict[str, torch.Tensor]


class Optimizer:
    """AdamW (Loshchilov and Hutter 2019), Muon for the matrices (Jordan 2024), LAMB, or plain SGD.

    What has one dimension, biases and gains, does not decay. Muon takes the weights of linear layers
    inside the network; embeddings, the head and all else stay with AdamW, as its author advises.

    Raises:
        LangueError: Muon is asked for, and the network has no such weights.
    """

    def __init__(self, model: nn.Module, config: TrainingConfig) -> None:
        self.config = config
        self.names: dict[torch.Tensor, str] = {
            parameter: name for name, parameter in model.named_parameters()
        }
        inner = _inner_matrices(model) if config.optimizer == "muon" else set()
        if config.optimizer == "muon" and not inner:
            raise LangueError("muon takes linear layers, and this network has none inside; take adamw or sgd")
        rest = [parameter for parameter in self.names if parameter not in inner]
        groups = [
            {"params": [p for p in rest if p.ndim >= 2], "weight_decay": config.weight_decay},
            {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        self.parts: list[torch.optim.Optimizer] = []
        if config.optimizer == "sgd":
            self.parts.append(torch.optim.SGD(groups, lr=config.learning_rate))
        elif config.optimizer == "lamb":
            self.parts.append(LAMB(groups, betas=(0.9, config.beta2)))
            self._prime(self.parts[-1], "exp_avg", "exp_avg_sq")
        elif groups:
            self.parts.append(torch.optim.AdamW(groups, betas=(0.9, config.beta2), fused=True))
            self._prime(self.parts[-1], "exp_avg", "exp_avg_sq")
        if inner:
            matrices = [parameter for parameter in self.names if parameter in inner]
            # This adjustment makes its steps as long as AdamW's: one learning rate serves both.
            muon = torch.optim.Muon(
                matrices, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
            )
            self.parts.append(muon)
            self._prime(muon, "momentum_buffer")

    def _prime(self, part: torch.optim.Optimizer, *keys: str) -> None:
        for group in part.param_groups:
            for parameter in group["params"]:
                part.state[parameter] = {key: torch.zeros_like(parameter) for key in keys}
                if isinstance(part, torch.optim.AdamW | LAMB):
                    part.state[parameter]["step"] = torch.zeros((), device=parameter.device)

    def tensors(self) -> Tensors:
        return {
            f"{self.names[parameter]}.{key}": value
            for part in self.parts
            for parameter, state in part.state.items()
            for key, value in state.items()
        }

    def step(self, rate: float) -> None:
        """Update the weights by their gradients, which are then forgotten."""
        for part in self.parts:
            factor = self.config.muon_lr_multiplier if isinstance(part, torch.optim.Muon) else 1.0
            for group in part.param_groups:
                group["lr"] = rate * factor
            part.step()
        self.zero_grad()

    def zero_grad(self) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none=True)


def _inner_matrices(model: nn.Module) -> set[torch.Tensor]:
    """Weights of linear layers, without those that are an embedding too or make the logits."""
    vocabulary = getattr(model, "vocabulary", None)
    linear: set[torch.Tensor] = {
        module.weight
        for module in model.modules()
        if isinstance(module, nn.Linear) and not (vocabulary and module.out_features == vocabulary.size)
    }
    return linear - {module.weight for module in model.modules() if isinstance(module, nn.Embedding)}


def clip(model: nn.Module, largest: float) -> float:
    """Scale the gradient down to that norm; the norm it had."""
    return float(full_tensor(nn.utils.clip_grad_norm_(model.parameters(), largest)))


def norms_by_layer(model: nn.Module) -> dict[str, float]:
    """Norm of the gradient of each layer: of `h.0.attn.c_attn.weight` and its siblings as `h.0`."""
    squares: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            found = re.match(r"(?:[^.]+\.)*?\d+|[^.]+", name)
            layer = found.group() if found else name
            square = float(full_tensor(parameter.grad.detach().float().square().sum()))
            squares[layer] = squares.get(layer, 0.0) + square
    return {layer: square**0.5 for layer, square in squares.items()}


def full_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """All of a tensor whose parts lie on several devices; another as it is."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def weights(model: nn.Module) -> Tensors:
    """Parameters and buffers, live, each once even where two modules share it."""
    return {name: tensor.detach() for name, tensor in (*model.named_parameters(), *model.named_buffers())}


@torch.no_grad()
def copy(source: Tensors, target: Tensors) -> None:
    for name, tensor in target.items():
        tensor.copy_(source[name])


class Average:
    """Exponential moving average of the weights: less noise than the last ones (Polyak 1992).

    Args:
        decay: 0 keeps none: `tensors` is empty and `applied` changes nothing.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.live = weights(model) if decay else {}
        self.tensors = {name: tensor.clone() for name, tensor in self.live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))  # early on the first weights weigh too much
        for name, tensor in self.tensors.items():
            if tensor.is_floating_point():
                tensor.lerp_(self.live[name], 1 - decay)
            else:
                tensor.copy_(self.live[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The averaged weights stand in the model while the block runs."""
        kept = {name: tensor.clone() for name, tensor in self.live.items()}
        copy(self.tensors, self.live)
        try:
            yield
        finally:
            copy(kept, self.live)
