"""Weights on disk: safetensors, which nothing is unpickled from."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import nn

from langue.base.errors import LangueError

M = TypeVar("M", bound=nn.Module)
WEIGHTS = "weights.safetensors"


def save_weights(model: nn.Module, folder: Path) -> None:
    """Write the weights of a model into its folder."""
    write_tensors(folder / WEIGHTS, model.state_dict())


def load_weights(model: M, folder: Path) -> M:
    """Read them back: the model, ready to be used, on the CPU.

    Raises:
        LangueError: they are not those of a model of this configuration.
    """
    load_state(model, read_weights(folder), str(folder / WEIGHTS))
    return model.eval()


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a model folder.

    Raises:
        LangueError: there are none, or the file is damaged.
    """
    try:
        return load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise LangueError(f"cannot read {folder / WEIGHTS}: {error}") from None


def save_tied_weights(model: nn.Module, folder: Path) -> None:
    """Write the weights of a model of which some may be one: that is written once."""
    save_model(model, str(folder / WEIGHTS))


def load_tied_weights(model: M, folder: Path) -> M:
    """Read them back: the model, ready to be used, on the CPU.

    Raises:
        LangueError: they are not those of a model of this configuration.
    """
    try:
        load_model(model, str(folder / WEIGHTS))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise LangueError(f"{folder / WEIGHTS} does not fit the model: {error}") from None
    return model.eval()


def saved_tensor(folder: Path, name: str) -> torch.Tensor:
    """One of the tensors of a folder, which its model is built by.

    Raises:
        LangueError: it is not there.
    """
    try:
        with safe_open(str(folder / WEIGHTS), "pt") as file:
            return file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise LangueError(f"{folder / WEIGHTS} does not fit the model: {error}") from None


def load_state(model: nn.Module, weights: Mapping[str, torch.Tensor], where: str) -> None:
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
