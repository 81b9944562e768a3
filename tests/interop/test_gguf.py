"""GGUF: what is written, what is refused; and that llama.cpp, where it is there, reads the same."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langue
from langue import cli
from langue.base.errors import LangueError, MissingExtra, Unsupported
from langue.models.networks.config import QWEN3

TINY = {"size": "tiny", "layers": 2, "width": 32, "heads": 2, "context": 64, "steps": 8, "batch_tokens": 512}
TEXTS = ("The king is dead.  Long live 1234 kings!", "却说那人年方三十。天下大势 🙂 é", "")
gguf: Any = pytest.importorskip("gguf")


@pytest.fixture(scope="module")
def models(
    small_models: dict[str, Path],
    small_store: Path,
    small_text: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("gguf")
    langue.prepare(small_text, folder / "bytes", kind="bytes", documents="blank-line")
    langue.train("gpt2", small_store, folder / "qwen3", key_value_heads=1, **TINY, **QWEN3)
    langue.train("gpt2", folder / "bytes", folder / "of-bytes", tied=False, **TINY)
    return {"gpt2": small_models["gpt2"], "qwen3": folder / "qwen3", "of-bytes": folder / "of-bytes"}


NAMES = ["gpt2", "qwen3", "of-bytes"]


@pytest.mark.parametrize("name", NAMES)
def test_the_file_holds_the_weights_and_the_tokenizer(
    models: dict[str, Path], tmp_path: Path, name: str
) -> None:
    path = tmp_path / "model.gguf"
    export = langue.export_model(models[name], path)
    model: Any = langue.load(models[name])
    network = model.folder.model
    assert export.format == "gguf" and export.size == model.size()
    reader = gguf.GGUFReader(path)
    tensors = {tensor.name: np.array(tensor.data) for tensor in reader.tensors}
    assert sum(tensor.size for tensor in tensors.values()) == model.size()["parameters"]
    assert ("output.weight" in tensors) == (not network.config.tied)
    embedding, first = network.wte.weight.detach().numpy(), network.h[-1].mlp.c_fc.weight.detach().numpy()
    np.testing.assert_array_equal(tensors["token_embd.weight"].reshape(embedding.shape), embedding)
    last = len(network.h) - 1
    up = tensors[f"blk.{last}.ffn_up.weight"]
    if name == "qwen3":
        up = np.concatenate([tensors[f"blk.{last}.ffn_gate.weight"], up])
    np.testing.assert_array_equal(up.reshape(first.shape), first)

    def field(key: str) -> Any:
        return reader.fields[key].contents()

    architecture = field("general.architecture")
    assert architecture == ("qwen3" if name == "qwen3" else "gpt2")
    assert field(f"{architecture}.context_length") == network.config.shape.context
    assert field("tokenizer.ggml.tokens") == model.tokenizer.names()
    assert field("tokenizer.ggml.bos_token_id") == model.tokenizer.eos
    assert field("tokenizer.ggml.add_bos_token") is True


def test_the_suffix_of_the_output_chooses_the_format(
    models: dict[str, Path], small_models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, path = str(models["gpt2"]), str(tmp_path / "model.gguf")
    assert cli.run(["export", model, "-o", path]) == 0
    assert "(gguf)" in capsys.readouterr().out
    assert cli.run(["export", model, "-o", path]) == 2
    assert "already exists" in capsys.readouterr().err
    assert cli.run(["export", model, "-o", path, "--overwrite", "--json"]) == 0
    assert langue.export_model(model, tmp_path / "folder").format == "huggingface"
    assert langue.export_model(model, tmp_path / "named", format="gguf").format == "gguf"
    with pytest.raises(Unsupported, match="is a ngram, for which there is no gguf"):
        langue.export_model(small_models["trigram"], tmp_path / "ngram.gguf")


def test_what_llama_cpp_has_no_like_of_is_refused_by_name(
    models: dict[str, Path],
    small_text: Path,
    small_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    langue.prepare(small_text, tmp_path / "chars", kind="chars", documents="blank-line")
    langue.train("gpt2", tmp_path / "chars", tmp_path / "of-chars", **{**TINY, "steps": 1})
    with pytest.raises(Unsupported, match=r"llama\.cpp has no like of a tokenizer chars"):
        langue.export_model(tmp_path / "of-chars", tmp_path / "x.gguf")
    langue.train("gpt2", small_store, tmp_path / "other", activation="relu2", **{**TINY, "steps": 1})
    with pytest.raises(Unsupported, match="GPT-2 has no activation = relu2"):
        langue.export_model(tmp_path / "other", tmp_path / "x.gguf")
    with pytest.raises(LangueError, match="model folder"):
        langue.export_model(tmp_path / "nothing", tmp_path / "x.gguf")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingExtra, match=r"langue\[export\]"):
        langue.export_model(models["gpt2"], tmp_path / "x.gguf")
    assert not (tmp_path / "x.gguf").exists()


@pytest.fixture(scope="module")
def llama_cpp() -> Any:
    """The benchmark's hold on llama.cpp, where its library is there."""
    path = Path(__file__).parents[2] / "benchmarks" / "llama_cpp.py"
    spec = importlib.util.spec_from_file_location("llama_cpp_of_benchmarks", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if module.folder() is None:
        pytest.skip("needs llama.cpp's library: LLAMA_CPP_LIB (benchmarks/llama_cpp.py says how to get it)")
    return module


@pytest.mark.parametrize("name", NAMES)
def test_llama_cpp_reads_the_same(llama_cpp: Any, models: dict[str, Path], tmp_path: Path, name: str) -> None:
    """Ids as here; probabilities but for its cache in float16."""
    langue.export_model(models[name], tmp_path / "model.gguf")
    model: Any = langue.load(models[name])
    window = model.folder.model.window
    theirs = llama_cpp.Model(tmp_path / "model.gguf", context=window)
    for text in TEXTS:
        ids = [model.tokenizer.eos, *model.tokenizer.encode(text).tolist()]
        assert theirs.encode(text) == ids
        decoder = model.folder.model.decoder([[]])
        rows = [decoder.log_probs()[0], *decoder.extend([np.array(ids[1:window])], every=True)[0]]
        log_probs = np.array(rows, np.float64)
        others = theirs.log_probs(ids[:window])
        assert np.abs(log_probs - others).max() < 5e-3
        assert (np.exp(log_probs) * (log_probs - others)).sum(1).mean() < 1e-6
    theirs.close()
