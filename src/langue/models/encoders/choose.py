"""What a `bert` is where its user says nothing: as large as the time allows, without pairs of passages."""

from collections.abc import Mapping
from typing import Any

from langue.models.family import Choice, Circumstances
from langue.models.networks.rule import Rung, by_muon, plan

LADDER = [
    Rung(2, 96, 2, 64),
    Rung(2, 192, 3, 64),
    Rung(4, 256, 4, 128),
    Rung(6, 384, 6, 256),
    Rung(8, 512, 8, 512),
    Rung(12, 768, 12, 512),
]
# A fifth of the tokens hidden and no pairs: what learned most in little time (docs/log.md; Liu et al. 2019).
OPTIONS = {"sentence_pairs": "none", "mlm_probability": 0.2}
RATE = 5e-3  # its norms come last: more is too much
# Of [model]. Where another is given the network is the user's own: what is left out of it is as published.
FREE = {*Rung._fields, "dropout", "masking", "packed", *OPTIONS}


def choose_bert(model: Mapping[str, Any], training: Mapping[str, Any], by: Circumstances) -> Choice:
    """What `Family.choose` is of `bert`."""
    if set(model) - FREE:
        return Choice({})
    planned = plan(LADDER, model, training, by, by_muon(RATE))
    rung = planned.rung
    return planned.choice(
        {**rung._asdict(), **OPTIONS},
        model,
        training,
        f"{rung.layers} layers of {rung.width}, context {rung.context}, no pairs of passages, a fifth of the "
        f"tokens hidden, taught {planned.why}. --set size=tiny takes the BERT of the paper instead",
    )
