"""A task: one kind of labeled data, and how an encoder learns it.

A task is a value: a reader of files, a head on an encoder, a loss and a metric. `registry.register` makes
it known, and `langue.finetune(…, task=NAME)` does all else: several seeds, validation, checkpoints,
several processes, the model folder.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

import msgspec
import torch
from torch import nn

from langue.base.bounds import Fraction, NonNegativeFloat, NonNegativeInt, PositiveInt
from langue.base.config import Config, encode
from langue.models.family import Family
from langue.models.folder import ModelFolder
from langue.protocols import Masked
from langue.tasks.results import FinetuneResult
from langue.training.config import RunConfig

R = TypeVar("R")  # an example, as it is read from a file
E = TypeVar("E")  # the same, as the network reads it
N = TypeVar("N", bound=nn.Module)

EPOCHS, MOST_EPOCHS, STEPS = 3, 20, 300
RATE, BASE_WIDTH = 5e-5, 768  # of BERT base
RATE_POWER, MOST_RATE = 1.3, 1e-3  # by what was best of encoders 384 and 128 wide


class FinetuneConfig(RunConfig, frozen=True):
    """The `--set` of `langue finetune`."""

    RENAMED: ClassVar[Mapping[str, str]] = {"batch": "batch_size", "pool": "pooling", "start": "init"}
    RENAMED_VALUES: ClassVar[Mapping[str, Mapping[str, str]]] = {"init": {"encoder": "pretrained"}}

    # 0: 3 (Devlin et al. 2019, appendix A.3: 2 to 4), and of few examples as many as make 300 steps, up to 20
    # (Mosbach et al. 2021)
    epochs: NonNegativeInt = 0
    patience: NonNegativeInt = 0  # epochs in a row that are no better, after which a seed ends; 0: none
    batch_size: PositiveInt = 32  # examples
    learning_rate: NonNegativeFloat = 0.0  # 0: by the width; 5e-5 for BERT base, 1e-4 for 384, 5e-4 for 128
    weight_decay: NonNegativeFloat = 0.01
    dropout: Fraction = 0.1  # of the pooled state
    pooling: Literal["auto", "cls", "mean"] = "auto"  # auto: [CLS] if it was trained on pairs, else the mean
    seeds: PositiveInt = 3  # runs: heads and orders differ
    seed: int = 0  # of the first
    init: Literal["pretrained", "random"] = "pretrained"  # random: what pretraining was worth


class Labeled(NamedTuple, Generic[R]):
    """What a reader gives."""

    examples: list[R]
    layout: Any = None  # how other files of the same kind are read
    facts: Mapping[str, Any] = {}  # what a model folder tells of the file, beside its name and hash


@dataclass(frozen=True, kw_only=True)
class Head(Generic[R, E, N]):
    """What a task makes of an encoder, its training examples and the settings."""

    config: Config  # of the task's family, from which it builds the network again
    build: Callable[[int], N]  # the network of a seed, its encoder with the weights it is to start from
    encode: Callable[[Sequence[R]], list[E]]
    unit: str = "text"  # what the metric counts
    figure: str | None = None  # by which epoch and seed are chosen, where the settings ask for another
    facts: Mapping[str, Any] = field(default_factory=dict)  # of the labels, for the model folder
    reads_ids: bool = True  # its folder holds the encoder's tokenizer; else the network's `save` sees to it
    truncated: Callable[[], int] = lambda: 0  # how many of the texts that were encoded were too long
    remark: Callable[[], str] = lambda: ""  # what a user is to know of what was encoded


def to_json(result: FinetuneResult, network: Any, validation: Sequence[Any]) -> dict[str, Any]:
    """What a model folder says was measured, unless its task says more."""
    return result.to_json()


@dataclass(frozen=True, kw_only=True)
class Task(Generic[R, E, N]):
    """One kind of labeled data. R: an example as it is read; E: as the network reads it; N: the network."""

    name: str
    summary: str  # one line, for help
    # Of the models that it makes: how they are written and read, which face they have; None: the encoder's.
    family: Family[Any] | None
    # The reader: (file, layout), the layout that of the training file, or for that the section `data`.
    read: Callable[[Path, Any], Labeled[R]]
    text: Callable[[R], Sequence[str]]  # by which an example is told from its copies, to hold some out
    # (encoder, all labeled examples of the training file, those that are learned from, settings)
    head: Callable[[ModelFolder[Masked], Sequence[R], Sequence[R], Any], Head[R, E, N]]
    loss: Callable[[N, Sequence[E]], torch.Tensor]  # summed over the targets of the examples
    # A NamedTuple of figures of examples; those that are `float` are shares.
    metric: Callable[[N, Sequence[E]], Any]
    figure: str  # of the metric, by which epoch and seed are chosen: the larger, the better
    # (network of the best epoch, validation examples): sets what its `config` holds that is not learned by
    # gradient, as a threshold or a temperature
    calibrate: Callable[[N, Sequence[E]], None] | None = None
    # (folder of a finished model, examples): how `langue evaluate` reads them
    encode: Callable[[ModelFolder[Any], Sequence[R]], list[E]] | None = None
    # Of an example: each is to be learned, so what alone has one is not held out.
    labels: Callable[[R], Iterable[str]] = lambda example: ()
    targets: Callable[[E], int] = lambda example: 1  # of an example: what `loss` sums over
    tokens: Callable[[E], int] = lambda example: 1  # of an example
    by_length: bool = False  # batches are to hold examples of like length
    settings: type[FinetuneConfig] = FinetuneConfig
    data: type[Config] | None = None  # settings of the reader
    use: str = "langue evaluate MODEL DATA"  # what is done with the model
    measured: Callable[[FinetuneResult, N, Sequence[E]], dict[str, Any]] = to_json


def settled(settings: FinetuneConfig, width: int, examples: int) -> FinetuneConfig:
    """The same with the epochs and the learning rate that were left open.

    Args:
        width: of the encoder: a narrow one does not learn at the rates of BERT base.
        examples: that are learned from.
    """
    steps = max(1, -(-examples // settings.batch_size))  # of an epoch
    epochs = settings.epochs or min(MOST_EPOCHS, max(EPOCHS, -(-STEPS // steps)))
    rate = settings.learning_rate or min(MOST_RATE, RATE * (BASE_WIDTH / width) ** RATE_POWER)
    return msgspec.structs.replace(settings, epochs=epochs, learning_rate=rate)


def encoder_table(encoder: ModelFolder[Masked]) -> dict[str, Any]:
    """The configuration of an encoder, to build it within another model."""
    return encode(encoder.config) | {"init_from": ""}


def start_encoder(network: nn.Module, encoder: ModelFolder[Masked], settings: FinetuneConfig) -> bool:
    """Give the encoder within a network the weights that it is to start from.

    Returns:
        Whether they are the trained ones.
    """
    if settings.init != "pretrained":
        return False
    assert isinstance(encoder.model, nn.Module)
    network.load_state_dict(encoder.model.state_dict())
    return True
