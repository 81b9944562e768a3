"""What was called otherwise in an earlier version: settings, families, the API, options, folders."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import langue
from langue import cli
from langue.base.config import field_names, old_names
from langue.base.deprecated import RenamedWarning
from langue.corpus.config import DataConfig
from langue.models.registry import MODULES, RENAMED, family
from langue.tasks.tag import TagConfig
from langue.tokens.store import TokenStore
from langue.training.config import TrainingConfig
from langue.training.recipe import read_recipe

CONFIGS = [*(family(name).config for name in MODULES), TrainingConfig, DataConfig, TagConfig]


def test_every_old_name_is_free_and_its_new_one_exists() -> None:
    for kind in CONFIGS:
        for old, new in old_names(kind).items():
            assert old not in field_names(kind) and new in field_names(kind), (kind, old)
    assert all(old not in MODULES and new in MODULES for old, new in RENAMED.items())


def test_old_settings_families_and_values_are_those_of_now() -> None:
    now = ["training.optimizer=sgd", "min_lr_ratio=0.5", "sentence_pairs=sentence_order", "d_ff=64"]
    old = ["training.optimiser=sgd", "final_rate=0.5", "pairs=order", "inner=64"]
    with pytest.warns(RenamedWarning):
        recipe = read_recipe("bert", old)
    assert recipe == read_recipe("bert", now)
    with pytest.warns(RenamedWarning) as told:
        recipe = read_recipe("pair", ["share=all"])
    assert "the family pair is now electra" in str(told[0].message)
    assert recipe == read_recipe("electra", [], {"embedding_sharing": "all"})


def test_the_command_line_says_the_new_name_once(
    small_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "m")
    assert cli.run(["train", "infinigram", str(small_store), "-o", output, "--set", "add=0.1"]) == 0
    told = capsys.readouterr().err
    assert told.count("langue: add is now alpha") == 1
    assert cli.run(["find", output, "the", "--show", "1"]) == 0
    told = capsys.readouterr().err
    assert told == "langue: --show is now --limit; the next version no longer knows the old name\n"


def test_old_methods_and_keywords_of_a_model(small_models: dict[str, Path]) -> None:
    model: Any = langue.load(small_models["trigram"])
    with pytest.warns(RenamedWarning):
        assert model.next("The", top=2) == model.next_tokens("The", k=2)
    with pytest.warns(RenamedWarning):
        assert model.beams("The", beams=2, max_tokens=2) == model.beam_search(
            "The", num_beams=2, max_tokens=2
        )
    with pytest.warns(RenamedWarning):
        assert not model.reads_both_ways
    with pytest.warns(RenamedWarning):
        assert model.normalisation == model.normalization


def test_folders_with_old_keys_are_read_without_a_word(small_store: Path, tmp_path: Path) -> None:
    langue.train("ngram", small_store, tmp_path / "m", quantize=True, alpha=0.5, order=2)
    path = tmp_path / "m" / "model.json"
    table = json.loads(path.read_text())
    del table["digest"]  # which no earlier version wrote
    table["normalisation"] = table.pop("normalization")
    for new, old in (("quantize", "quantise"), ("alpha", "k")):
        table["config"][old] = table["config"].pop(new)
    path.write_text(json.dumps(table))
    model: Any = langue.load(tmp_path / "m")
    assert model.folder.config.quantize and model.folder.config.alpha == 0.5
    assert model.normalization.form == "NFC"

    store = shutil.copytree(small_store, tmp_path / "s")
    manifest = json.loads((store / "manifest.json").read_text())
    del manifest["digest"]
    manifest["normalisation"] = manifest.pop("normalization")
    (store / "manifest.json").write_text(json.dumps(manifest))
    assert TokenStore(store).manifest["normalization"]["form"] == "NFC"
    langue.train("ngram", store, tmp_path / "n", order=2)


@pytest.mark.parametrize("family", ["bert", "electra"])
def test_runs_and_encoders_with_old_names_go_on(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """What an earlier version left is rewritten here; folders that it wrote itself are in `tests/compat`."""
    tiny = {"layers": 1, "width": 32, "heads": 2, "context": 16, "batch_tokens": 128, "steps": 4}
    straight: Any = langue.train(family, small_store, tmp_path / "a", **tiny, ema_decay=0.5, keep_run=True)
    run = tmp_path / "a.run"
    table = json.loads((run / "run.json").read_text())
    names = {"optimizer": "optimiser", "ema_decay": "average", "micro_batch_tokens": "micro_tokens"}
    table["training"] = {names.get(name, name): value for name, value in table["training"].items()}
    table["model"]["pairs"] = {"next_sentence": "next"}.get(*[table["model"].pop("sentence_pairs")] * 2)
    if family == "electra":
        table["family"] = "pair"
        table["model"]["share"] = table["model"].pop("embedding_sharing")
    (run / "run.json").write_text(json.dumps(table))
    resumed: Any = langue.train(
        family, small_store, tmp_path / "a", **tiny, ema_decay=0.5, resume=True, overwrite=True
    )
    assert resumed.info()["measured"]["steps"] == straight.info()["measured"]["steps"] == 4

    path = tmp_path / "a" / "model.json"
    table = json.loads(path.read_text())
    del table["digest"]
    table["config"]["unit"] = table["config"].pop("masking")
    table["family"] = {"electra": "pair"}.get(family, family)
    path.write_text(json.dumps(table))
    langue.train(family, small_store, tmp_path / "b", init_from=str(tmp_path / "a"), steps=1, batch_tokens=64)
