"""What a network is where its user says nothing: a `gpt2` or an `rnn` as large as the time allows; one that
writes summaries, such that it copies."""

from collections.abc import Mapping
from typing import Any

from langue.models.family import Choice, Circumstances
from langue.models.networks.config import qwen3
from langue.models.networks.rule import Rung, by_muon, plan

LADDER = [
    Rung(2, 96, 2, 128),
    Rung(2, 128, 4, 128),
    Rung(4, 128, 4, 128),
    Rung(4, 192, 4, 128),
    Rung(6, 256, 4, 256),
    Rung(6, 384, 6, 256),
    Rung(8, 512, 8, 512),
    Rung(12, 768, 12, 1024),
]
RNN_LADDER = [Rung(2, 200, 1, 35), Rung(2, 650, 1, 35)]  # the small and the medium one of Zaremba et al. 2014
RATE = 12e-3
DOCUMENT = 512  # tokens that are read of a document; a longer one is summarized by its beginning
# Of [model]. Where another is given the network is the user's own: what is left out of it is as in 2019.
FREE = {*Rung._fields, "d_ff", "dropout", "tied", "z_loss", "key_value_heads"}
FREE_IN_RNN = {"layers", "width", "context", "dropout", "tied", "variational_dropout", "weight_drop"}


def choose_gpt2(model: Mapping[str, Any], training: Mapping[str, Any], by: Circumstances) -> Choice:
    """What `Family.choose` is of `gpt2`."""
    if set(model) - FREE:
        return Choice({})
    planned = plan(LADDER, model, training, by, by_muon(RATE))
    rung = planned.rung
    return planned.choice(
        qwen3(*rung),
        model,
        training,
        f"{rung.layers} layers of {rung.width}, context {rung.context}, with the options of Qwen3, taught "
        f"{planned.why}. --set size=tiny takes the GPT-2 of 2019 instead",
    )


def choose_rnn(model: Mapping[str, Any], training: Mapping[str, Any], by: Circumstances) -> Choice:
    """What `Family.choose` is of `rnn`: its embeddings tied, taught by plain descent as in the paper."""
    if set(model) - FREE_IN_RNN:
        return Choice({})
    planned = plan(RNN_LADDER, model, training, by, by_descent)
    layers, width, _, context = planned.rung
    return planned.choice(
        {"layers": layers, "width": width, "context": context, "tied": True},
        model,
        training,
        f"an LSTM of {layers} layers of {width}, input and output embedding one, taught {planned.why}. "
        "--set size=small takes the one of the paper instead",
    )


def by_descent(rung: Rung, tokens: float) -> dict[str, Any]:
    """The paper's rate of 1 and norm of 5, of a sum over 20 steps, for a mean over tokens."""
    return {
        "batch_tokens": 20 * rung.context, "optimizer": "sgd", "learning_rate": 20.0, "clip": 0.25,
        "weight_decay": 0.0, "schedule": "wsd", "warmup": 0.002, "decay": 0.6, "min_lr_ratio": 0.02,
    }  # fmt: skip


def choose_transformer(model: Mapping[str, Any], training: Mapping[str, Any], by: Circumstances) -> Choice:
    """What `Family.choose` is of `transformer`: norms that need no warm-up, for summaries."""
    return _for_summaries({"norm": "pre", "context": DOCUMENT}, by)


def choose_bert2bert(model: Mapping[str, Any], training: Mapping[str, Any], by: Circumstances) -> Choice:
    """The same of `bert2bert`."""
    return _for_summaries({}, by)


def _for_summaries(settings: dict[str, Any], by: Circumstances) -> Choice:
    if not by.summaries:
        return Choice({})
    settings |= {"copy_attention": True, "source_loss": False}
    return Choice(
        {f"model.{name}": value for name, value in settings.items()},
        "of summaries it copies from the document, and learns the summaries alone. "
        "--set copy_attention=false --set source_loss=true learns them as any pairs",
    )
