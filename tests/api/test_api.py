"""The surface a user imports."""

import importlib
import pkgutil
import shutil
from pathlib import Path

import pytest

import langue
from langue.models.counts.ngram import trie


def test_public_names_are_not_hidden_by_a_module_of_that_name() -> None:
    for module in pkgutil.walk_packages(langue.__path__, "langue."):
        if module.name != "langue.__main__":
            importlib.import_module(module.name)
    for name in langue.__all__:
        assert callable(getattr(langue, name)) or name == "configs", name
    assert set(langue.__all__) < set(dir(langue))
    with pytest.raises(AttributeError, match="no attribute"):
        _ = langue.nothing_of_that_name


def test_the_verbs_in_python(small_models: dict[str, Path], small_store: Path) -> None:
    model = langue.load(small_models["trigram"])
    assert model.next_tokens("The", k=3)[0][1] >= model.next_tokens("The", k=3)[2][1]
    made = model.generate("The king", max_tokens=20, seed=1)
    assert made == model.generate("The king", max_tokens=20, seed=1)
    assert "".join(model.stream("The king", max_tokens=20, seed=1)) == made.text
    assert model.info()["family"] == "ngram"
    assert "trigram" in repr(model)
    with pytest.raises(langue.InvalidSetting, match=r"temperature: Expected `float` >= 0.0"):
        model.generate("The", temperature=-1.0)
    with pytest.raises(langue.InvalidSetting, match="stop is to be a list of texts, not one text"):
        model.generate("The", stop="abc")


def test_settings_are_the_same_by_value_and_as_the_command_line_writes_them(
    small_store: Path, tmp_path: Path
) -> None:
    one = langue.train("ngram", small_store, tmp_path / "one", order=2)
    other = langue.train("ngram", small_store, tmp_path / "other", **{"model.order": 2})
    assert one.info()["config"] == other.info()["config"]
    for name, file in one.info()["files"].items():
        assert name == "README.md" or file == other.info()["files"][name]  # the card tells the seconds


def test_what_training_has_just_written_is_not_read_whole_once_more(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    monkeypatch.setattr(trie, "check_tables", lambda tables, where, *_, **__: read.append(where))
    model = langue.train("ngram", small_store, tmp_path / "bigram", order=2)
    assert model.next_tokens("The", k=1) and not read
    langue.load(shutil.copytree(tmp_path / "bigram", tmp_path / "copy"))
    assert read == [tmp_path / "copy"]
    done = shutil.copytree(tmp_path / "bigram", tmp_path / "done")  # by whom, this process does not know
    langue.train("ngram", small_store, done, order=2, resume=True)
    assert read == [tmp_path / "copy", done]


def test_training_twice_gives_the_same_bits(small_store: Path, tmp_path: Path) -> None:
    tiny = {"layers": 1, "width": 32, "heads": 2, "context": 32, "steps": 5, "batch_tokens": 256}
    one = langue.train("gpt2", small_store, tmp_path / "one", **tiny, seed=3)
    other = langue.train("gpt2", small_store, tmp_path / "other", **tiny, seed=3)
    another = langue.train("gpt2", small_store, tmp_path / "another", **tiny, seed=4)
    hashes = [model.info()["files"]["weights.safetensors"]["sha256"] for model in (one, other, another)]
    assert hashes[0] == hashes[1] != hashes[2]
