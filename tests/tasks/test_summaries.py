"""A ranker from a file of pairs to a folder, its figures, and the figures themselves."""

import json
from pathlib import Path

import numpy as np
import pytest

import langue
from langue.base.errors import LangueError, Unsupported
from langue.tasks.summary_scores import copied_share, is_chinese, score_summaries, tokens_of

ROUGE = pytest.importorskip("rouge_score.rouge_scorer")
pytest.importorskip("sacrebleu")
CRF = Path(__file__).parents[1] / "compat" / "data" / "models" / "crf"
CITIES = ["Rome", "Paris", "Oslo", "Bern", "Kyiv", "Baku", "Lima", "Cairo"]


def pair(city: str, k: int) -> dict[str, str]:
    others = [
        f"The streets of {city} are long.",
        "Many live there.",
        f"Rain falls in {city}.",
        "It is said so.",
    ]
    others.insert(k % 5, f"We show how {city} grew.")
    return {"text": " ".join(others), "summary": f"We show how {city} grew."}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    path.write_text("".join(json.dumps(pair(city, k)) + "\n" for k, city in enumerate(CITIES * 3)))
    return path


@pytest.fixture(scope="module")
def folder(pairs: Path) -> Path:
    langue.train("ranker", pairs, pairs.parent / "ranker", minimum_count=1)
    return pairs.parent / "ranker"


def test_a_trained_ranker_summarizes(folder: Path) -> None:
    model = langue.RankerModel.load(folder)
    text = pair("Tokyo", 3)["text"]
    assert model.summarize(text, sentences=1).text == "We show how Tokyo grew."
    assert langue.summarize(text, model=folder, sentences=1).method == "ranker"
    assert langue.summarize(text, model=model, sentences=1).text == "We show how Tokyo grew."
    assert isinstance(langue.load(folder), langue.RankerModel)
    assert "features" in model.summary()


def test_it_is_measured_beside_what_needs_no_training(folder: Path, pairs: Path) -> None:
    result = langue.evaluate(folder, pairs)
    table = result.to_json()
    assert table["rouge1"]["value"] == pytest.approx(100) and table["copied"] == pytest.approx(100)
    assert table["ratio"] == pytest.approx(0.2)
    assert set(table["baselines"]) == {"lexrank", "lead"}
    assert table["baselines"]["lead"]["rouge1"]["value"] < 90
    shown = str(result)
    assert "ranker − lead: ROUGE-1 +" in shown and "better" in shown
    json.dumps(table, allow_nan=False)


def test_what_a_ranker_is_not(folder: Path, pairs: Path) -> None:
    with pytest.raises(Unsupported, match="ranker of sentences"):
        langue.CausalModel.load(folder)
    with pytest.raises(Unsupported, match="is a tagger"):
        langue.RankerModel.load(CRF)
    with pytest.raises(Unsupported, match="self-tests"):
        langue.evaluate(folder, pairs, check=True)
    with pytest.raises(LangueError, match="evaluate"):
        langue.train("ranker", pairs, pairs.parent / "new", valid=pairs)
    with pytest.raises(LangueError, match="holds no documents"):
        (pairs.parent / "empty.jsonl").write_text("")
        langue.train("ranker", pairs.parent / "empty.jsonl", pairs.parent / "new")
    assert not (pairs.parent / "new").exists()


def test_rouge_is_the_librarys_of_words_in_english() -> None:
    summary, reference = "The cats sat on mats.", "A cat sits on the mat."
    scores = score_summaries([summary], [[reference]], [summary])
    expected = ROUGE.RougeScorer(["rouge1", "rougeL"], use_stemmer=True).score(reference, summary)
    assert scores.mean("rouge1") == pytest.approx(100 * expected["rouge1"].fmeasure)
    assert scores.mean("rougeL") == pytest.approx(100 * expected["rougeL"].fmeasure)
    assert not scores.characters and scores.interval("rouge1") is None


def test_rouge_is_of_characters_in_chinese() -> None:
    """4 of 5 characters each way; pairs 大雨 and 了 … by hand."""
    scores = score_summaries(["北京大雨。"], [["北京下大雨"]], ["北京下大雨"])
    assert scores.characters
    assert scores.mean("rouge1") == pytest.approx(100 * 2 * 4 / (4 + 5))
    assert scores.mean("rouge2") == pytest.approx(100 * 2 * 2 / (3 + 4))
    assert tokens_of("GPT-2很好") == ["gpt", "2", "很", "好"]
    assert is_chinese(["GPT 很好用"]) and not is_chinese(["only English", ""])


def test_of_several_references_the_mean_counts() -> None:
    scores = score_summaries(["a b", "a b"], [["a b", "c d"], ["a b", "a b"]], ["x", "x"])
    np.testing.assert_allclose(scores.rouge["rouge1"], [50, 100])
    low, high = scores.interval("rouge1") or (0, 0)
    assert 50 <= low <= 75 <= high <= 100
    same = scores.above(scores, "rouge1")
    assert same == (0, 0)


def test_copied_share() -> None:
    document = "the old king left France in May"
    assert copied_share(["the old king left Spain"], [document]) == pytest.approx(4 / 5)
    assert copied_share(["king old the left", ""], [document, document]) == 0
    assert copied_share(["in May"], [document]) == 1
