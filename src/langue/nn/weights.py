"""Weights on disk: safetensors, which nothing is unpickled from."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file, save_model
from torch import nn
from torch.overrides import TorchFunctionMode

from langue.base.checked import ArraySpec, check, damaged
from langue.base.errors import Damaged, LangueError, is_out_of_memory

M = TypeVar("M", bound=nn.Module)
WEIGHTS = "weights.safetensors"
LARGEST = 1e6  # of a weight: beyond any that trains, and within what products of 32 bits take


def save_weights(model: nn.Module, folder: Path) -> None:
    """Write the weights of a model into its folder."""
    write_tensors(folder / WEIGHTS, model.state_dict())


def load_weights(
    build: Callable[[], M], folder: Path, *, file: str = WEIGHTS, beside: Collection[str] = ()
) -> M:
    """Read them back: the model, ready to be used, on the CPU. Tied weights are written once or more.

    Args:
        build: makes the model; it is called twice, first for the shapes alone, which take no memory: a
            configuration that was made up may ask for any amount.
        beside: names of tensors of the file that are not the model's.

    Raises:
        Damaged: they are not those of a model of this configuration, or hold what no training ends with;
            the tensor is named.
    """
    path = folder / file
    try:
        with torch.device("meta"), _WithoutGenerator():
            shapes = build()
        with safe_open(str(path), "pt") as opened:
            names = [name for name in opened.keys() if name not in beside]  # noqa: SIM118  # no mapping
            _check_shapes(shapes, {name: opened.get_slice(name).get_shape() for name in names}, path)
        model, weights = build(), load_file(path)
    except (SafetensorError, OSError) as error:
        raise Damaged(f"cannot read {path}: {error}") from None
    except RuntimeError as error:
        if not is_out_of_memory(error):  # torch has no shapes either of what no machine could hold
            raise
        raise Damaged(
            f"{path} does not fit the model, whose description is of more than any memory"
        ) from None
    own = model.state_dict()
    for name in names:
        tensor = weights[name]
        if tensor.dtype != own[name].dtype:
            raise damaged(path, name, f"is of the type {tensor.dtype}, not {own[name].dtype}")
        if tensor.is_floating_point() and tensor.numel():
            low, high = tensor.aminmax()  # NaN, where there is one anywhere
            if not (low >= -LARGEST and high <= LARGEST):
                raise damaged(path, name, f"holds a weight that is no number, or beyond ±{LARGEST:.0e}")
    model.load_state_dict({name: weights[name] for name in names}, strict=False)  # all, as was seen above
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


class _WithoutGenerator(TorchFunctionMode):
    """Random numbers that are not drawn need no generator, and it would be one of another device."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return func(*args, **{name: value for name, value in (kwargs or {}).items() if name != "generator"})


def _check_shapes(model: nn.Module, stored: Mapping[str, Sequence[int]], path: Path) -> None:
    """Compare the tensors of a file with those of a model; of tied ones, one is enough."""
    own = model.state_dict()
    ties: dict[str, int] = {}
    for tensors in (model.named_parameters, model.named_buffers):
        ties |= {name: id(tensor) for name, tensor in tensors(remove_duplicate=False)}
    there = {ties[name] for name in stored if name in ties}
    for name in own:
        if name not in stored and ties[name] not in there:
            raise Damaged(f"{path} does not fit the model: {name} is missing")
    for name, shape in stored.items():
        if name not in own:
            raise Damaged(f"{path} does not fit the model: it has no {name}")
        if list(own[name].shape) != list(shape):
            wanted = list(own[name].shape)
            raise Damaged(f"{path} does not fit the model: {name} has the shape {list(shape)}, not {wanted}")


def save_tied_weights(model: nn.Module, folder: Path) -> None:
    """Write the weights of a model of which some may be one: that is written once."""
    save_model(model, str(folder / WEIGHTS))


def saved_tensor(
    folder: Path, name: str, spec: ArraySpec, *, file: str = WEIGHTS, **sizes: int
) -> torch.Tensor:
    """One of the tensors of a folder, which its model is built by.

    Args:
        spec: what it must be; `sizes` are those that are known.

    Raises:
        Damaged: it is not there, or is something else.
    """
    path = folder / file
    try:
        with safe_open(str(path), "pt") as opened:
            tensor = opened.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise Damaged(f"{path} does not fit the model: {error}") from None
    check({name: tensor.numpy()}, path, {name: spec}, **sizes)
    return tensor


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
