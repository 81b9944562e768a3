"""Taggers on encoders, exported: transformers gives the tags that langue gives."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import langue
from langue import cli
from langue.models.taggers.encoder_tagger import spaced

transformers = pytest.importorskip("transformers")
TINY = {"layers": 1, "width": 32, "heads": 2, "context": 64, "steps": 3, "batch_tokens": 256}
LEARN = {"task": "tag", "epochs": 12, "seeds": 1, "batch_size": 4, "learning_rate": 3e-3}
ENGLISH = [
    ("Anna lives in Rome .", "B-PER O O B-LOC O"),
    ("Bruno Costa left New York .", "B-PER I-PER O B-LOC I-LOC O"),
    ("She sleeps .", "O O O"),
    ("Paris !", "B-LOC O"),
]
CHINESE = [
    ("王 小 明 在 北 京 。", "B-PER I-PER I-PER O B-LOC I-LOC O"),
    ("李 四 去 上 海 。", "B-PER I-PER O B-LOC I-LOC O"),
]
DATA = {"english": ENGLISH, "chinese": CHINESE}
UNSEEN = {"english": "Winston met Bruno near New Rome , did n't he ?", "chinese": "玄 德 引 兵 去 北 海 ！ ”"}


@pytest.fixture(scope="module")
def encoders(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("encoders")
    for family in ("bert", "albert", "electra"):
        langue.train(family, small_store, folder / family, **TINY)
    return {family: folder / family for family in ("bert", "albert", "electra")}


def tagger(encoder: Path, language: str, output: Path, **settings: Any) -> Path:
    """A tagger that has learned the few sentences of a language."""
    rows = [zip(text.split(), tags.split(), strict=True) for text, tags in DATA[language]]
    data = output.with_suffix(".conll")
    lines = "\n".join("".join(f"{word} {tag}\n" for word, tag in row) for row in rows)
    data.write_text("\n".join([lines] * 6), encoding="utf-8")
    langue.finetune(encoder, data, output, valid=data, **{**LEARN, "head": "softmax", **settings})
    return output


def sentences(language: str) -> list[list[str]]:
    return [text.split() for text, _ in DATA[language]] + [UNSEEN[language].split()]


CASES = [("bert", "english"), ("bert", "chinese"), ("albert", "chinese"), ("electra", "english")]


@pytest.mark.parametrize(("family", "language"), CASES)
def test_transformers_gives_the_same_tags(
    family: str, language: str, encoders: dict[str, Path], tmp_path: Path
) -> None:
    folder = tagger(encoders[family], language, tmp_path / "m", constraints=False, encoding="given")
    langue.export_model(folder, tmp_path / "hf")
    hf, told = transformers.AutoModelForTokenClassification.from_pretrained(
        tmp_path / "hf", output_loading_info=True
    )
    assert type(hf).__name__.endswith("ForTokenClassification")
    assert not told["missing_keys"] and not told["unexpected_keys"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    pipeline = transformers.pipeline(
        "token-classification", str(tmp_path / "hf"), device="cpu", ignore_labels=[]
    )
    model: Any = langue.load(folder)
    used = set()
    for words in sentences(language):
        sentence = model.sentences([words])
        spelled = list(spaced(words))
        read = tokenizer(spelled, is_split_into_words=True, return_tensors="pt")
        owners = read.word_ids()
        firsts = [owners.index(number) for number in range(len(words))]
        with torch.no_grad():
            theirs = hf.eval()(**read).logits[0, firsts].log_softmax(-1)
        ours = np.log(model.folder.model.marginals(sentence)[0])
        np.testing.assert_allclose(theirs.numpy(), ours, atol=1e-4)

        tags = [tag for _, tag in model.tag(words)]
        text = "".join(spelled)
        pieces = pipeline(text)
        begins = np.cumsum([0, *map(len, spelled)])[:-1]
        named = {}
        for piece in pieces:
            named.setdefault(int(np.searchsorted(begins, piece["start"], "right")) - 1, piece["entity"])
        assert [named[number] for number in range(len(words))] == tags
        used |= set(tags)
    assert len(used) > 2
    if language == "chinese":  # characters that are one piece of the vocabulary are read as two all the same
        assert len(model.folder.tokenizer.encode("玄德")) == 1
        assert len(tokenizer("玄德", add_special_tokens=False)["input_ids"]) > 1


def test_constraints_are_told_to_be_left_out(
    encoders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tagger(encoders["bert"], "english", tmp_path / "m", epochs=1)
    assert cli.run(["export", str(folder), "-o", str(tmp_path / "hf")]) == 0
    assert "left out: the rule that tags together spell spans" in capsys.readouterr().out
    assert "constraints=false" in (tmp_path / "hf" / "README.md").read_text(encoding="utf-8")
    # Inside, spans are spelled as BIOES; what comes out is spelled as the data is.
    table = json.loads((tmp_path / "hf" / "config.json").read_text(encoding="utf-8"))
    model: Any = langue.load(folder)
    assert "S-LOC" in model.folder.model.labels
    assert set(table["id2label"].values()) == {"O", "B-PER", "I-PER", "B-LOC", "I-LOC"}
    back = langue.import_model(tmp_path / "hf", tmp_path / "back")  # the encoder, to be fine-tuned anew
    assert back.folder.family.name == "bert"
    for name, number in table["label2id"].items():
        assert model.folder.model.outer[number] == name


def test_a_crf_is_refused_by_name(
    encoders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tagger(encoders["bert"], "english", tmp_path / "m", epochs=1, head="crf")
    assert cli.run(["export", str(folder), "-o", str(tmp_path / "hf")]) == 2
    told = capsys.readouterr().err
    assert 'head = "crf"' in told and "--set head=softmax" in told
    assert not (tmp_path / "hf").exists()
