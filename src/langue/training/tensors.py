"""The tensors of a network under their names: what is kept, averaged and written."""

import torch
from torch import distributed, nn

Tensors = dict[str, torch.Tensor]


def as_module(model: object) -> nn.Module:
    """The same model, as PyTorch knows it."""
    assert isinstance(model, nn.Module)
    return model


def weights(model: nn.Module) -> Tensors:
    """Parameters and buffers, live, each once even where two modules share it."""
    return {name: tensor.detach() for name, tensor in (*model.named_parameters(), *model.named_buffers())}


@torch.no_grad()
def copy(source: Tensors, target: Tensors) -> None:
    for name, tensor in target.items():
        tensor.copy_(source[name])


def full_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """All of a tensor whose parts lie on several devices; another as it is."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return tensor
    from torch.distributed.tensor import DTensor  # which takes a third of a second, and more memory

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
