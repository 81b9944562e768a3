"""The registry of formats is open: another package's is read and written like langue's own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langue
from langue.base.errors import InvalidSetting, LangueError, Unsupported
from langue.interop import formats
from langue.interop.formats import Export, Format, ImportedModel
from langue.models.folder import ModelFolder, load


def recognizes(path: Path) -> bool:
    return path.suffix == ".pointer"


def read(path: Path) -> ImportedModel:
    """A file that names a model folder."""
    folder = load(path.read_text())
    return ImportedModel(
        family=folder.family,
        config=folder.config,
        model=folder.model,
        tokenizer_json=lambda: [(folder.path / "tokenizer.json").read_bytes()],
        fingerprint=folder.tokenizer.fingerprint,
        left_out=("nothing but air",),
    )


def write(folder: ModelFolder[Any], output: Path, overwrite: bool) -> Export:
    output.write_text(str(folder.path))
    return Export(output, "pointer", folder.model.size())


POINTER = Format(
    name="pointer",
    summary="a file that names a folder",
    families=("gpt2", "markov"),
    recognizes=recognizes,
    read=read,
    write=write,
)


@pytest.fixture
def pointer() -> Iterator[None]:
    formats.register(POINTER)
    formats.register(POINTER)  # once more is no harm
    yield
    formats._registered.clear()


def test_a_format_of_another_package(
    pointer: None, small_models: dict[str, Path], small_store: Path, tmp_path: Path, caplog: Any
) -> None:
    file = tmp_path / "gpt2.pointer"
    export = langue.export_model(small_models["gpt2"], file, format="pointer")
    assert json.loads(json.dumps(export.to_json()))["format"] == "pointer"
    assert str(export).startswith(f"{file}: ")
    back: Any = langue.import_model(file, tmp_path / "back")
    assert "left out: nothing but air" in caplog.text
    ours: Any = langue.load(small_models["gpt2"])
    assert np.array_equal(back.score("the king").bits, ours.score("the king").bits)
    still = {"steps": 1, "batch_tokens": 256, "learning_rate": 1e-30, "weight_decay": 0.0}
    again: Any = langue.train("gpt2", small_store, tmp_path / "again", init_from=str(file), **still)
    assert np.array_equal(again.score("the king").bits, ours.score("the king").bits)
    assert again.info()["recipe"]["model"]["init_from"] == str(file)


def test_what_no_format_holds_is_told(small_store: Path, tmp_path: Path) -> None:
    langue.train("markov", small_store, tmp_path / "m")
    with pytest.raises(
        Unsupported, match=r"is a markov, .* langue writes huggingface: gpt2, .*; arpa: ngram"
    ):
        langue.export_model(tmp_path / "m", tmp_path / "x")
    with pytest.raises(LangueError, match=r"of no format that langue reads. It reads .*; arpa: "):
        langue.import_model(tmp_path, tmp_path / "x")
    with pytest.raises(InvalidSetting, match="there is a format arpa already"):
        formats.register(Format(name="arpa", summary="", families=(), recognizes=recognizes))


def test_the_old_name_still_works(small_models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.warns(FutureWarning, match=r"langue\.export_encoder is now langue\.export_model"):
        langue.export_encoder(small_models["gpt2"], tmp_path / "hf")
    assert (tmp_path / "hf" / "config.json").is_file()
