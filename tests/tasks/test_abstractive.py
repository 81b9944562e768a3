"""Summaries that are written: from pairs to a model, by Python and the command line, and its figures."""

import json
from pathlib import Path
from typing import Any

import pytest

import langue
from langue import cli
from langue.base.errors import InvalidSetting, LangueError, Unsupported
from langue.tasks.abstractive import AbstractiveSummarizer

CITIES = ["Rome", "Paris", "Oslo", "Bern", "Kyiv", "Baku", "Lima", "Cairo", "Quito", "Sofia", "Riga", "Minsk"]
TINY: dict[str, Any] = {"layers": 1, "width": 48, "heads": 4, "batch_tokens": 512, "learning_rate": 6e-3}
KN = Path(__file__).parents[1] / "compat" / "data" / "models" / "ngram"


def document(city: str, k: int) -> str:
    return f"Rain {k}. We saw {city} {k}. Old {k}."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Headlines that are copied from the middle of short documents."""
    folder = tmp_path_factory.mktemp("headlines")
    rows = [
        json.dumps({"article": document(city, k % 10), "highlights": f"{city} {k % 10}"})
        for k, city in enumerate(CITIES * 10)
    ]
    (folder / "pairs.jsonl").write_text("\n".join(rows) + "\n")
    held = folder / "held.jsonl"
    held.write_text("\n".join(rows[:24]) + "\n")
    langue.prepare(
        folder / "pairs.jsonl", folder / "store", documents="summaries", kind="chars", valid=held, test=held
    )
    langue.train("transformer", folder / "store", folder / "model", steps=150, **TINY)
    return folder


def test_of_summaries_a_network_copies_and_learns_targets_alone(made: Path) -> None:
    config = langue.info(made / "model")["config"]
    assert config["copy_attention"] and not config["source_loss"] and config["norm"] == "pre"
    assert langue.info(made / "store")["data"]["documents"] == "summaries"


def test_a_headline_is_written_and_its_copied_share_told(made: Path) -> None:
    summary = langue.summarize(document("Riga", 4), model=made / "model")
    assert summary.text == "Riga 4"
    assert summary.method == "abstractive" and summary.sentences == () and summary.total == 3
    assert summary.copied == 1.0
    model = langue.load(made / "model")
    assert isinstance(model, langue.Seq2SeqModel)
    assert langue.summarize(document("Oslo", 1), method="abstractive", model=model).text == "Oslo 1"
    assert langue.summarize("", model=model).text == ""


def test_lengths_are_kept_to(made: Path) -> None:
    text, model = document("Sofia", 2), langue.load(made / "model")
    assert langue.summarize(text, model=model, characters=3).text == "Sof"
    assert len(langue.summarize(text, model=model, max_tokens=4).text) <= 4
    longer = langue.summarize(text, model=model, min_tokens=12, max_tokens=20).text
    assert 12 <= len(longer) <= 20
    three = [longer[k : k + 3] for k in range(len(longer) - 2)]
    assert len(set(three)) == len(three)  # of characters, which are its tokens


def test_files_are_summarized_in_batches_and_in_order(made: Path, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "news.jsonl"
    texts = [document(city, 3) for city in CITIES[:7]]
    file.write_text("".join(json.dumps({"id": k, "text": text}) + "\n" for k, text in enumerate(texts)))
    assert cli.run(["summarize", str(file), "--model", str(made / "model"), "--quiet"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["id"] for row in printed] == list(range(7))
    assert [row["summary"] for row in printed] == [f"{city} 3" for city in CITIES[:7]]
    one = tmp_path / "one.txt"
    one.write_text(texts[0])
    arguments = ["--model", str(made / "model"), "--method", "abstractive", "--explain", "--num-beams", "2"]
    assert cli.run(["summarize", str(one), *arguments]) == 0
    assert capsys.readouterr().out == "Rome 3\nby abstractive, 100% of it copied\n"


def test_it_is_measured_by_rouge_beside_lead(made: Path) -> None:
    pytest.importorskip("rouge_score")
    pytest.importorskip("sacrebleu")
    result = langue.evaluate(made / "model", made / "held.jsonl")
    table = result.to_json()
    assert table["method"] == "abstractive" and table["rouge1"]["value"] > 90
    assert set(table["baselines"]) == {"lexrank", "lead"}
    assert table["baselines"]["lead"]["rouge1"]["value"] < 60
    assert "abstractive − lead: ROUGE-1 +" in str(result) and "1 sentence by the other methods" in str(result)
    bits = langue.evaluate(made / "model", made / "held.jsonl", documents="summaries").to_json()
    stored = langue.evaluate(made / "model", made / "store").to_json()
    assert bits["target_bits_per_byte"] == pytest.approx(stored["target_bits_per_byte"], abs=1e-4)
    assert stored["target_bits_per_byte"] < 1
    with pytest.raises(InvalidSetting, match="by ROUGE"):
        langue.evaluate(made / "model", made / "held.jsonl", check=True)


def test_what_learned_gap_sentences_is_tuned_on_pairs(made: Path) -> None:
    """It begins with the weights of the other: a step that changes nothing scores as that one does."""
    texts = made / "texts.txt"
    texts.write_text("\n".join(document(city, k % 7) for k, city in enumerate(CITIES * 4)))
    tokens = str(made / "store" / "tokenizer.json")
    held: dict[str, Any] = {"valid": texts, "test": texts, "file": tokens}
    langue.prepare(texts, made / "gaps", documents="line", gap_sentences=0.3, **held)
    langue.train("transformer", made / "gaps", made / "pretrained", steps=2, **TINY)
    still = TINY | {"learning_rate": 1e-12, "steps": 1, "weight_decay": 0.0}
    for width in ("layers", "width", "heads"):
        del still[width]
    start = str(made / "pretrained")
    langue.train("transformer", made / "store", made / "tuned", init_from=start, **still)
    before, after = (
        langue.evaluate(made / name, made / "store").to_json()["target_bits_per_byte"]
        for name in ("pretrained", "tuned")
    )
    assert after == pytest.approx(before, rel=1e-4)
    with pytest.raises(LangueError, match="leave layers, width and heads out"):
        langue.train("transformer", made / "store", made / "new", init_from=start, width=32, **still)


def test_what_does_not_go_together_is_told(made: Path, small_store: Path) -> None:
    model = made / "model"
    with pytest.raises(InvalidSetting, match="by sentences of the document"):
        langue.summarize("A text.", model=model, sentences=2)
    with pytest.raises(InvalidSetting, match="takes a model that writes"):
        langue.summarize("A text.", method="abstractive")
    with pytest.raises(InvalidSetting, match="lexrank takes sentences of the document; name a model"):
        langue.summarize("A text.", num_beams=3)
    with pytest.raises(InvalidSetting, match="num_beams"):
        langue.summarize("A text.", model=model, num_beams=0)
    with pytest.raises(Unsupported, match="makes no summaries"):
        langue.summarize("A text.", model=KN)
    with pytest.raises(LangueError, match="source_loss = false learns targets alone"):
        langue.train("transformer", small_store, made / "new", source_loss=False, steps=1, **TINY)


def test_a_long_document_is_said_to_be_cut_and_whoever_waits_can_leave(made: Path) -> None:
    model = langue.load(made / "model")
    longest = model.folder.model.longest_source
    for text in ("Rain. " * longest, document("Riga", 4)):
        told = langue.summarize(text, model=model, max_tokens=3)
        assert told.cut == told.to_json()["cut"] == (len(text) > longest)
    steps = iter(range(3))

    def before_step() -> None:
        if next(steps) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        AbstractiveSummarizer(model.folder, before_step=before_step).summarize(document("Riga", 4))
