"""Settings by name, as objects, and as the command line has them, are the same settings."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import langue
from langue import cli, configs
from langue.base.deprecated import RenamedWarning
from langue.models.registry import MODULES, family, family_of

TINY = {"layers": 1, "width": 32, "heads": 2, "context": 32}
SHORT = {"steps": 2, "batch_tokens": 128, "evaluations": 1}


def test_objects_and_names_set_the_same(small_store: Path, tmp_path: Path) -> None:
    model, training = configs.GPT2Config(**TINY), configs.TrainingConfig(**SHORT)
    objects = langue.train(model, small_store, tmp_path / "a", training=training, seed=3)
    names = langue.train("gpt2", small_store, tmp_path / "b", **TINY, **SHORT, seed=3)
    assert objects.info()["config"] == names.info()["config"]
    files = [trained.info()["files"]["weights.safetensors"] for trained in (objects, names)]
    assert files[0] == files[1]  # so a name, the seed, changes an object
    estimate = langue.estimate(model, small_store, training=training)
    assert estimate.to_json()["parameters"] == objects.size()["parameters"]


def test_objects_say_how_text_is_read(small_text: Path, tmp_path: Path) -> None:
    data, tokenizer = configs.DataConfig(documents="blank-line"), configs.TokenizerConfig(kind="bytes")
    langue.prepare(small_text, tmp_path / "a", data=data, tokenizer=tokenizer, valid_fraction=0.1)
    langue.prepare(small_text, tmp_path / "b", documents="blank-line", kind="bytes", valid_fraction=0.1)
    one, other = langue.info(tmp_path / "a"), langue.info(tmp_path / "b")
    assert one["data"] == other["data"] and one["splits"] == other["splits"]


def test_an_unknown_setting_is_told_in_python_and_on_the_command_line(
    small_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(langue.InvalidSetting) as caught:
        langue.train("ngram", small_store, tmp_path / "m", ordr=3)
    assert str(caught.value) == "unknown key ordr; did you mean order?"
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.json").write_text("{}")
    with pytest.raises(langue.LangueError, match="pass overwrite=True"):
        langue.train("ngram", small_store, tmp_path / "m", order=1)
    command = ["train", "ngram", str(small_store), "-o", str(tmp_path / "m"), "--set", "order=1"]
    assert cli.run(command) == 2
    assert "pass --overwrite" in capsys.readouterr().err
    assert cli.run([*command, "--set", "overwrite=true"]) == 2  # an argument of the function is no setting
    assert "unknown key overwrite" in capsys.readouterr().err


def test_assignments_of_an_earlier_version_still_set(small_store: Path, tmp_path: Path) -> None:
    train: Any = langue.train
    with pytest.warns(RenamedWarning, match="order=5"):
        model = train("ngram", small_store, tmp_path / "m", assignments=["order=2", "quantize=true"], order=1)
    assert model.info()["config"]["order"] == 1 and model.info()["config"]["quantize"]


def test_no_setting_hides_behind_an_argument_of_a_verb() -> None:
    trainable = [family(name).config for name in MODULES if name != "classifier"]
    tasks = [configs.ClassifyConfig, configs.SimCSEConfig, configs.SpanConfig, configs.TagConfig]
    labeled: list[type] = [*tasks, configs.TaggedConfig]
    sections = {
        langue.train: [*trainable, configs.TrainingConfig, configs.TaggedConfig],
        langue.estimate: [*trainable, configs.TrainingConfig],
        langue.prepare: [configs.DataConfig, configs.TokenizerConfig],
        langue.finetune: labeled,
    }
    for verb, kinds in sections.items():
        arguments = set(inspect.signature(verb).parameters)
        assert not arguments & {field for kind in kinds for field in kind.__struct_fields__}, verb


def test_every_section_has_a_public_name() -> None:
    public = {getattr(configs, name) for name in configs.__all__}
    assert set(dir(configs)) == set(configs.__all__)
    for name in MODULES:
        assert family(name).config in public
        if name not in ("mixture", "encoder-tagger", "classifier", "span"):  # which name models or labels
            assert family_of(family(name).config()).name == name
    with pytest.raises(langue.InvalidSetting, match="Sampling is the configuration of no family"):
        family_of(configs.Sampling())


def test_sections_of_what_counts_import_no_torch() -> None:
    names = "NGramConfig, CRFConfig, TrainingConfig, DataConfig, TokenizerConfig, TaggedConfig, Sampling"
    code = f"import sys; from langue.configs import {names}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
