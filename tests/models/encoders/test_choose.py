"""What a `bert` is where its user says nothing."""

from langue.base.config import decode
from langue.models.encoders.bert import BertConfig
from langue.models.encoders.choose import LADDER, choose_bert
from langue.models.family import Circumstances
from langue.training.config import TrainingConfig

MEGABYTE = Circumstances(tokens=400_000, vocabulary=4000, minutes=3.0, machine="AVX2")


def test_no_pairs_and_a_network_for_the_time() -> None:
    choice = choose_bert({}, {"minutes": 3.0}, MEGABYTE)
    model = {
        name.removeprefix("model."): value for name, value in choice.settings.items() if "model." in name
    }
    config = decode(BertConfig, model, "model")
    assert config.sentence_pairs == "none" and tuple(config.shape) in LADDER
    assert choice.settings["training.optimizer"] == "muon" and "training.tokens" not in choice.settings
    assert "no pairs of passages" in choice.reason
    training = {
        name.removeprefix("training."): value
        for name, value in choice.settings.items()
        if "training." in name
    }
    decode(TrainingConfig, training, "training")


def test_pairs_that_are_asked_for_stay_and_a_network_that_is_given_is_as_published() -> None:
    assert (
        "model.sentence_pairs" not in choose_bert({"sentence_pairs": "next_sentence"}, {}, MEGABYTE).settings
    )
    around = choose_bert({"layers": 3}, {}, MEGABYTE).settings
    assert around["model.sentence_pairs"] == "none" and "model.layers" not in around
    for given in ({"size": "base"}, {"attention": "disentangled"}, {"special_ids": [1, 2, 3]}):
        assert choose_bert(given, {}, MEGABYTE).settings == {}
