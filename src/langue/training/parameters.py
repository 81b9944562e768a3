"""Which optimizer takes which parameters."""

import torch
from torch import nn

from langue.base.errors import LangueError
from langue.nn.precision import matmul_dtype
from langue.protocols import Vocabulary
from langue.training.config import TrainingConfig
from langue.training.lamb import LAMB
from langue.training.muon import Muon


def optimizers(
    model: nn.Module, config: TrainingConfig, vocabulary: Vocabulary | None = None
) -> list[torch.optim.Optimizer]:
    """AdamW (Loshchilov and Hutter 2019), Muon for the matrices (Jordan 2024), LAMB, or plain SGD.

    What has one dimension, biases and gains, does not decay. Muon takes the weights of linear layers
    inside the network; embeddings, the head and all else stay with AdamW, as its author advises.

    Args:
        vocabulary: of what the model predicts: a layer as wide makes the logits.

    Raises:
        LangueError: Muon is asked for, and the network has no such weights.
    """
    inner = _inner_matrices(model, vocabulary) if config.optimizer == "muon" else set()
    if config.optimizer == "muon" and not inner:
        raise LangueError("muon takes linear layers, and this network has none inside; take adamw or sgd")
    rest = [parameter for parameter in model.parameters() if parameter not in inner]
    groups = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    betas = (0.9, config.beta2)
    if config.optimizer == "sgd":
        return [torch.optim.SGD(groups, lr=config.learning_rate)]
    if config.optimizer == "lamb":
        return [_primed(LAMB(groups, betas=betas), "exp_avg", "exp_avg_sq", "step")]
    parts: list[torch.optim.Optimizer] = []
    if groups:
        adamw = torch.optim.AdamW(groups, betas=betas, fused=True)
        parts.append(_primed(adamw, "exp_avg", "exp_avg_sq", "step"))
    if inner:
        matrices = [parameter for parameter in model.parameters() if parameter in inner]
        dtype = matmul_dtype(matrices[0].device, config.precision)
        muon = Muon(matrices, weight_decay=config.weight_decay, dtype=dtype)
        parts.append(_primed(muon, "momentum_buffer"))
    return parts


def _primed(part: torch.optim.Optimizer, *keys: str) -> torch.optim.Optimizer:
    """The same with state from the start, all zeros: `step` is a number, others are as large as a weight."""
    for parameter in (parameter for group in part.param_groups for parameter in group["params"]):
        part.state[parameter] = {
            key: torch.zeros((), device=parameter.device) if key == "step" else torch.zeros_like(parameter)
            for key in keys
        }
    return part


def _inner_matrices(model: nn.Module, vocabulary: Vocabulary | None) -> set[torch.Tensor]:
    """Weights of linear layers, without those that are an embedding too or make the logits."""
    linear: set[torch.Tensor] = {
        module.weight
        for module in model.modules()
        if isinstance(module, nn.Linear) and not (vocabulary and module.out_features == vocabulary.size)
    }
    return linear - {module.weight for module in model.modules() if isinstance(module, nn.Embedding)}
