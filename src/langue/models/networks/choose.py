"""What a `gpt2` is where its user says nothing: as large as the time allows, with the options of Qwen3."""

from collections.abc import Mapping
from typing import Any

from langue.models.choose import Rung, dotted, plan
from langue.models.family import Choice, Circumstances
from langue.models.networks.config import qwen3

LADDER = [
    Rung(2, 96, 2, 128),
    Rung(4, 128, 4, 128),
    Rung(4, 192, 4, 128),
    Rung(6, 256, 4, 256),
    Rung(6, 384, 6, 256),
    Rung(8, 512, 8, 512),
    Rung(12, 768, 12, 1024),
]
# Of [model]. Where another is given the network is the user's own: what is left out of it is as in 2019.
FREE = {"dropout", "tied", "z_loss", "key_value_heads"}


def choose_gpt2(model: Mapping[str, Any], training: Mapping[str, Any], by: Circumstances) -> Choice:
    """A `Family.choose`."""
    if set(model) - FREE:
        return Choice({})
    planned = plan(LADDER, training, by)
    rung = planned.rung
    settings = dotted("model", {**qwen3(*rung), "dropout": planned.dropout}, model)
    settings |= dotted("training", planned.training, training)
    return Choice(
        settings,
        f"{rung.layers} layers of {rung.width}, context {rung.context}, with the options of Qwen3, taught "
        f"{planned.why}. --set size=tiny takes the GPT-2 of 2019 instead",
    )
