"""What a `gpt2` is where its user says nothing: a function of the text, the time and the machine's class."""

from typing import Any

import msgspec

from langue.base.config import decode
from langue.models.family import Circumstances
from langue.models.networks.choose import LADDER, choose_gpt2, choose_rnn
from langue.models.networks.config import QWEN3, GPT2Config, RNNConfig
from langue.models.networks.rule import SPEED
from langue.nn.machine_class import MachineClass
from langue.training.config import TrainingConfig

MEGABYTE = Circumstances(tokens=300_000, vocabulary=4500, minutes=3.0, machine=MachineClass.AVX2.value)


def chosen(
    by: Circumstances = MEGABYTE, model: dict[str, Any] | None = None, training: dict[str, Any] | None = None
) -> tuple[GPT2Config, TrainingConfig]:
    """The sections that come of it, decoded."""
    sections: dict[str, dict[str, Any]] = {"model": dict(model or {}), "training": dict(training or {})}
    for name, value in choose_gpt2(model or {}, training or {}, by).settings.items():
        section, _, key = name.partition(".")
        assert key not in sections[section]  # what is given stays
        sections[section][key] = value
    return decode(GPT2Config, sections["model"], "model"), decode(
        TrainingConfig, sections["training"], "training"
    )


def test_every_class_has_a_speed() -> None:
    assert set(SPEED) == {kind.value for kind in MachineClass}


def test_a_qwen3_that_muon_teaches_for_as_many_tokens_as_the_class_reads() -> None:
    model, training = chosen()
    assert {name: getattr(model, name) for name in QWEN3} == QWEN3
    assert training.optimizer == "muon" and training.tokens and not training.minutes
    assert chosen() == (model, training)
    reason = choose_gpt2({}, {}, MEGABYTE).reason
    assert "300,000 tokens" in reason and "AVX2" in reason and "size=tiny" in reason


def test_more_time_and_a_faster_machine_make_a_larger_network() -> None:
    def weights(minutes: float, machine: MachineClass) -> int:
        shape = chosen(msgspec.structs.replace(MEGABYTE, minutes=minutes, machine=machine.value))[0].shape
        return shape.layers * shape.width**2

    ladder = [weights(minutes, MachineClass.AVX2) for minutes in (0.1, 3, 30, 300)]
    assert ladder == sorted(set(ladder))
    assert weights(3, MachineClass.X86) < weights(3, MachineClass.AMX) < weights(3, MachineClass.CUDA_BF16)
    assert weights(1e6, MachineClass.CUDA_BF16) == LADDER[-1].layers * LADDER[-1].width ** 2


def test_repeated_text_is_learned_with_dropout_and_not_for_ever() -> None:
    little = msgspec.structs.replace(MEGABYTE, tokens=10_000)
    model, training = chosen(little)
    assert model.dropout == 0.2 and training.tokens == 400_000
    assert chosen()[0].dropout == 0.0


def test_a_budget_that_is_given_is_kept_and_counts() -> None:
    assert chosen(training={"minutes": 3.0})[1].tokens == 0
    assert chosen(training={"tokens": 10**9})[0].shape.width > chosen()[0].shape.width
    assert chosen(training={"epochs": 1.0})[1].epochs == 1.0
    assert chosen(training={"steps": 7})[1].steps == 7


def test_what_is_given_stays_and_a_network_that_is_given_is_as_published() -> None:
    model, training = chosen(model={"dropout": 0.3, "tied": False}, training={"batch_tokens": 512})
    assert (model.dropout, model.tied, model.position) == (0.3, False, "rotary")
    assert training.batch_tokens == 512 and training.optimizer == "muon"
    for given in (
        {"size": "tiny"},
        {"layers": 2, "size": "tiny"},
        {"position": "rotary"},
        {"init_from": "folder"},
    ):
        assert choose_gpt2(given, {}, MEGABYTE).settings == {}
    assert chosen(training={"optimizer": "adamw"})[1].learning_rate == TrainingConfig().learning_rate


def test_the_rest_is_chosen_around_a_number_that_is_given() -> None:
    model, training = chosen(model={"layers": 3})
    assert model.layers == 3 and model.qk_norm and training.optimizer == "muon"
    wide = chosen(model={"width": 320, "context": 64})[0]
    assert wide.shape.context == 64 and wide.shape.width % (2 * wide.shape.heads) == 0
    assert {name: getattr(wide, name) for name in QWEN3} == QWEN3
    for width in (2, 30, 31, 97, 100, 1024):  # an odd one has no rotary positions, and is told so
        heads = choose_gpt2({"width": width}, {}, MEGABYTE).settings["model.heads"]
        assert heads == 1 if width % 2 else width % (2 * heads) == 0
    assert chosen(model={"heads": 2})[0].shape.heads == 2


def test_an_rnn_is_tied_and_taught_as_in_the_paper() -> None:
    settings = choose_rnn({}, {"minutes": 3.0}, MEGABYTE).settings
    sections: dict[str, dict[str, Any]] = {"model": {}, "training": {"minutes": 3.0}}
    for name, value in settings.items():
        section, _, key = name.partition(".")
        sections[section][key] = value
    assert decode(RNNConfig, sections["model"], "model").tied
    assert decode(TrainingConfig, sections["training"], "training").optimizer == "sgd"
    assert choose_rnn({"cell": "gru"}, {}, MEGABYTE).settings == {}
