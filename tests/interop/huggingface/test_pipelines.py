"""What is exported, transformers uses whole: model, tokenizer and pipeline, in English and in Chinese."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import langue
from langue import cli
from langue.base.errors import LangueError

transformers = pytest.importorskip("transformers")
TINY = {"layers": 1, "width": 32, "heads": 2, "context": 64, "steps": 20, "batch_tokens": 512}
TEXTS = ["The king is dead, and 天下大勢", "却说曹操引兵"]
GAPS = ["The [MASK] is dead.", "却说[MASK]操引兵", "[MASK] and [MASK]"]


@pytest.fixture(scope="module", params=["bert", "albert", "electra", "bert over words"])
def exported(
    request: pytest.FixtureRequest,
    small_store: Path,
    small_text: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Path, Path]:
    folder = tmp_path_factory.mktemp("pipelines")
    family, _, words = request.param.partition(" over ")
    store = small_store
    if words:
        store = folder / "store"
        langue.prepare(small_text, store, kind="wordpiece", vocabulary=600, documents="blank-line")
    langue.train(family, store, folder / "m", **TINY)
    export = langue.export_model(folder / "m", folder / "hf")
    assert export.format == "huggingface"
    assert (folder / "hf" / "README.md").read_text().startswith("---")
    return family, folder / "m", folder / "hf"


def test_the_tokenizer_has_the_ids_of_the_model(exported: tuple[str, Path, Path]) -> None:
    _, folder, hf = exported
    model: Any = langue.load(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(hf)
    table = json.loads((hf / "config.json").read_text())
    specials = model.folder.model.specials
    ids = tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id
    assert ids == tuple(specials) == tuple(table[f"{name}_token_id"] for name in ("cls", "sep", "mask"))
    assert tokenizer.pad_token_id == table["pad_token_id"] == model.tokenizer.pad
    assert len(tokenizer) == table["vocab_size"]
    for text in TEXTS:
        read = tokenizer(text)["input_ids"]
        assert read == [specials.cls, *model.tokenizer.encode(text).tolist(), specials.sep]
        assert tokenizer.decode(read, skip_special_tokens=True) == model.tokenizer.decode(read[1:-1])
    both = tokenizer(*TEXTS)
    first, second = (model.tokenizer.encode(text).tolist() for text in TEXTS)
    assert both["input_ids"] == [specials.cls, *first, specials.sep, *second, specials.sep]
    assert both["token_type_ids"] == [0] * (len(first) + 2) + [1] * (len(second) + 1)


def test_names_of_tokens_in_a_text_are_text(exported: tuple[str, Path, Path]) -> None:
    """Where a gap can be filled, its mark has to be one; there, transformers has a switch for text."""
    family, folder, hf = exported
    model: Any = langue.load(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(hf)
    asked = {} if family == "electra" else {"split_special_tokens": True}
    assert ("split_special_tokens=True" in (hf / "README.md").read_text()) == bool(asked)
    for text in ("[MASK] of <eos>, [SEP]<pad> [CLS] </s>", "却说[MASK]<eos>操", "<unk>[UNK]"):
        read = tokenizer(text, **asked)["input_ids"]
        assert read[1:-1] == model.tokenizer.encode(text).tolist()


def test_features_are_what_embed_means_over(exported: tuple[str, Path, Path]) -> None:
    _, folder, hf = exported
    pipeline = transformers.pipeline("feature-extraction", str(hf), device="cpu")
    ours = langue.load(folder).embed(TEXTS)  # type: ignore[attr-defined]
    theirs = [np.array(states[0]).mean(0) for states in pipeline(TEXTS)]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_gaps_are_filled_as_by_langue(exported: tuple[str, Path, Path]) -> None:
    family, folder, hf = exported
    if family == "electra":
        assert "generator" in (hf / "README.md").read_text()
        return
    model: Any = langue.load(folder)
    pipeline = transformers.pipeline("fill-mask", str(hf), device="cpu", top_k=5)
    ids = model.tokenizer.complete.tolist()
    for text in GAPS:
        ours = model.fill(text, k=5).gaps
        # langue takes the space before a gap into what is filled in, where a token holds it.
        bare = text.replace(" [MASK]", "[MASK]")
        theirs = pipeline(bare, targets=[pipeline.tokenizer.convert_ids_to_tokens(id) for id in ids])
        theirs = theirs if isinstance(theirs[0], list) else [theirs]
        for gap, candidates in zip(ours, theirs, strict=True):
            expected = {candidate["token"]: candidate["score"] for candidate in candidates}
            names = {id: model.tokenizer.decode([id]) for id in expected}
            assert [text for text, _ in gap.candidates] == list(names.values())
            np.testing.assert_allclose([p for _, p in gap.candidates], list(expected.values()), atol=1e-5)


def test_an_exported_model_comes_back(exported: tuple[str, Path, Path], tmp_path: Path) -> None:
    family, folder, hf = exported
    back: Any = langue.import_model(hf, tmp_path / "back")
    np.testing.assert_allclose(back.embed(TEXTS), langue.load(folder).embed(TEXTS), atol=1e-6)  # type: ignore[attr-defined]
    assert "imported (huggingface hf)" in back.summary()
    assert "trained" not in back.summary()
    if family == "electra":
        with pytest.raises(LangueError, match="has no head that predicts"):
            back.fill("The [MASK]")
        export = langue.export_model(tmp_path / "back", tmp_path / "again")
        assert export.left_out == ()
        one, other = (
            transformers.AutoModelForPreTraining.from_pretrained(path) for path in (hf, tmp_path / "again")
        )
        for name, part in one.state_dict().items():
            assert torch.equal(part, other.state_dict()[name]), name


@pytest.mark.parametrize("family", ["bert", "albert"])
@pytest.mark.parametrize("task", ["classify", "pair"])
def test_classifiers_tell_the_same(family: str, task: str, small_store: Path, tmp_path: Path) -> None:
    langue.train(family, small_store, tmp_path / "m", **{**TINY, "steps": 3})
    second = "\tthe end" if task == "pair" else ""
    rows = [f"the king and 天下 {n}{second}\t{('yes', '否', 'no')[n % 3]}" for n in range(60)]
    (tmp_path / "data.tsv").write_text("\n".join(rows), encoding="utf-8")
    settings = {"epochs": 1, "seeds": 1, "batch_size": 8, "pooling": "cls"}
    langue.finetune(tmp_path / "m", tmp_path / "data.tsv", tmp_path / "c", task=task, **settings)
    langue.export_model(tmp_path / "c", tmp_path / "hf")
    pipeline = transformers.pipeline("text-classification", str(tmp_path / "hf"), device="cpu", top_k=None)
    model: Any = langue.load(tmp_path / "c")
    for text in TEXTS:
        theirs = pipeline({"text": text, "text_pair": "the end"} if task == "pair" else text)
        theirs = theirs[0] if isinstance(theirs[0], list) else theirs
        ours = dict(model.classify(text, "the end") if task == "pair" else model.classify(text))
        for candidate in theirs:
            assert ours[candidate["label"]] == pytest.approx(candidate["score"], abs=1e-5)


def test_what_has_no_form_there_is_told(
    small_models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["export", str(small_models["trigram"]), "-o", str(tmp_path / "x.arpa"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["format"] == "arpa"
    assert told["ngrams"] > 0
    wrong = ["export", str(small_models["gpt2"]), "-o", str(tmp_path / "x"), "--format", "arpa"]
    assert cli.run(wrong) == 2
    assert "is a gpt2, for which there is no arpa" in capsys.readouterr().err
    assert cli.run([*wrong[:-1], "onnx"]) == 2
    assert "no format onnx" in capsys.readouterr().err
