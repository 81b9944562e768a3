"""Weights on disk: safetensors, which nothing is unpickled from."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from langue.base.errors import LangueError

WEIGHTS = "weights.safetensors"


def save_weights(model: nn.Module, folder: Path) -> None:
    """Write the weights of a model into its folder."""
    write_tensors(folder / WEIGHTS, model.state_dict())


def load_weights(model: nn.Module, folder: Path) -> None:
    """Read them back.

    Raises:
        LangueError: they are not those of a model of this configuration.
    """
    try:
        fit(model, load_file(folder / WEIGHTS), str(folder / WEIGHTS))
    except (SafetensorError, OSError) as error:
        raise LangueError(f"cannot read {folder / WEIGHTS}: {error}") from None


def fit(model: nn.Module, weights: Mapping[str, torch.Tensor], where: str) -> None:
    """Copy weights into a model.

    Raises:
        LangueError: names or shapes are not the model's.
    """
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise LangueError(f"{where} does not fit the model: {error}") from None


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write one file, which holds the tensors twice in memory meanwhile.

    Raises:
        OSError: the disk is full or refuses, as by Python's own writing.
    """
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)
    except SafetensorError as error:
        raise OSError(str(error)) from error
