"""How far a run is, and what a step did."""

from typing import NamedTuple

import msgspec


class State(msgspec.Struct):
    """How far a run is: all of it that is not a tensor."""

    step: int = 0
    seconds: float = 0.0  # training, over all its sessions
    device_seconds: float = 0.0  # the same of each device, whose number may change from one to the next
    sessions: int = 0
    micro_batch_rows: int = 0  # of a batch that pass at a time, on each process
    micro_batch_tokens: int = 0  # the setting that this began from
    curve: list[dict[str, float]] = []  # what was measured on the validation data
    peak_bytes: int = 0


RENAMED = {"micro_rows": "micro_batch_rows", "micro_tokens": "micro_batch_tokens"}  # in an older `State`


class Step(NamedTuple):
    """What a step did."""

    loss: float  # nats per target, before the update
    rate: float
    norm: float  # of the gradient, before clipping
    norms: dict[str, float]  # by layer; empty on most steps
