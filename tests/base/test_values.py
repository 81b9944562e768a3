"""A section is checked when it is built, whoever builds it."""

import math
from typing import Any

import msgspec
import pytest

from langue.base.config import Config, decode
from langue.base.errors import InvalidSetting
from langue.corpus.config import DataConfig
from langue.corpus.normalize import Normalization
from langue.corpus.tagged import TaggedConfig
from langue.tokens.train import TokenizerConfig
from langue.training.config import TrainingConfig


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (TrainingConfig, {"steps": -1}, "TrainingConfig.steps: Expected `int` >= 0"),
        (TrainingConfig, {"steps": True}, "TrainingConfig.steps: Expected `int`, got `bool`"),
        (TrainingConfig, {"optimizer": "sdg"}, "Invalid enum value 'sdg'; did you mean sgd?"),
        (TrainingConfig, {"clip": math.nan}, "TrainingConfig.clip: nan is no number that can be kept"),
        (TrainingConfig, {"clip": math.inf}, "TrainingConfig.clip: inf is no number that can be kept"),
        (TrainingConfig, {"fsdp": True, "optimizer": "muon"}, "muon needs whole matrices"),
        (TokenizerConfig, {"kind": "foo"}, "TokenizerConfig.kind: Invalid enum value 'foo'; known: bpe"),
        (TokenizerConfig, {"vocabulary": -3}, "TokenizerConfig.vocabulary: Expected `int` >= 1"),
        (TaggedConfig, {"columns": "word"}, "columns is to be a list of texts, not one text; write ['word']"),
        (TaggedConfig, {"columns": ["word", "tag"]}, "is to be a tuple, not a list; write ('word', 'tag')"),
        (DataConfig, {"normalization": {"form": "NFKC"}}, "is to be a Normalization, not a dict"),
    ],
)
def test_a_constructor_refuses_what_a_recipe_may_not_hold(
    kind: type[Config], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidSetting) as caught:
        kind(**values)
    assert message in str(caught.value)
    with pytest.raises(InvalidSetting):
        msgspec.structs.replace(kind(), **values)


def test_a_bad_setting_is_a_value_error_for_whoever_knows_no_langue() -> None:
    assert issubclass(InvalidSetting, ValueError)


def test_a_table_is_refused_by_its_path() -> None:
    with pytest.raises(InvalidSetting, match=r"^training.clip: inf is no number that can be kept"):
        decode(TrainingConfig, {"clip": math.inf}, "training")
    with pytest.raises(InvalidSetting, match=r"^data.columns is to be a list of texts, not one text"):
        decode(TaggedConfig, {"columns": "word"}, "data")
    with pytest.raises(InvalidSetting, match=r"^training: muon needs whole matrices"):
        decode(TrainingConfig, {"fsdp": True, "optimizer": "muon"}, "training")


def test_what_is_right_is_built() -> None:
    assert DataConfig(normalization=Normalization(form="NFKC")).normalization.form == "NFKC"
    assert TrainingConfig(learning_rate=1) == decode(TrainingConfig, {"learning_rate": 1}, "training")
    assert TaggedConfig(columns=("word", "tag")) == decode(TaggedConfig, {"columns": ["word", "tag"]}, "data")
    assert msgspec.structs.replace(TrainingConfig(), steps=5).steps == 5
