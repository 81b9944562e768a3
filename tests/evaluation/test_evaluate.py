"""Bits per byte against sums by hand, for stores, text files and single texts."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

import langue
from langue.evaluation.documents import Document, Documents, open_documents
from langue.evaluation.evaluate import evaluate, score_documents
from langue.evaluation.score import Score
from langue.evaluation.scorer import TextBits, Unscored
from langue.tokens.store import TokenStore


class Uniform:
    """A scorer of another maker: three bits a character, the end included; it refuses long texts."""

    name, tokens_by, closed, normalization = "uniform", "characters", None, None
    window = stride = impossible = None
    seconds = 0.0

    def prepare(self, documents: Documents) -> None:
        pass

    def score(self, texts: Sequence[str]) -> list[Score | Unscored]:
        raise AssertionError

    def bits(self, documents: Sequence[Document]) -> list[TextBits | Unscored]:
        return [
            Unscored("it is too long")
            if len(document.text) > 40
            else TextBits(3.0 * (len(document.text) + 1), len(document.text) + 1)
            for document in documents
        ]


def test_a_scorer_of_another_maker_is_measured_on_texts(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("ab cd\n第一回\n", encoding="utf-8")
    documents = open_documents(tmp_path / "text.txt", rule="line")
    scores, reasons = score_documents(Uniform(), documents)
    assert scores.bits == pytest.approx([18, 12])
    assert (scores.tokens, scores.words, scores.bytes.tolist()) == (10, 3, [5, 9])
    assert not reasons
    assert evaluate(Uniform(), documents).bits_per_byte == pytest.approx(30 / 14)


def test_a_document_that_a_scorer_refuses_leaves_it_without_a_figure(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("ab\n" + "x" * 50 + "\n", encoding="utf-8")
    evaluation = evaluate(Uniform(), open_documents(tmp_path / "text.txt", rule="line"))
    assert evaluation.bits_per_byte is evaluation.perplexity is None
    assert evaluation.reason == "it is too long"
    json.dumps(evaluation.to_json(), allow_nan=False)


def test_a_store_is_measured_as_the_sum_of_its_documents(
    small_models: dict[str, Path], small_store: Path
) -> None:
    found = langue.evaluate(small_models["trigram"], small_store, check=True)
    model = langue.load(small_models["trigram"])
    split = TokenStore(small_store).split("test")
    texts = [model.tokenizer.decode(ids) for ids in split.documents()]
    scores = model.score_all(texts)
    total = sum(score.total_bits for score in scores)
    size = sum(len(text.encode()) for text in texts)
    assert found.bits_per_byte == pytest.approx(total / size, rel=1e-6)
    assert found.perplexity == pytest.approx(2 ** (total / len(split.tokens)), rel=1e-5)
    facts = found.to_json()
    wanted = "bits_per_byte bits_per_byte_interval perplexity word_perplexity tokens bytes documents checks"
    assert set(wanted.split()) <= set(facts)
    assert (facts["tokens"], facts["bytes"], facts["documents"]) == (len(split.tokens), size, len(split))
    assert facts["bits_per_byte_interval"][0] < facts["bits_per_byte"] < facts["bits_per_byte_interval"][1]
    assert found.passed
    json.dumps(facts, allow_nan=False)


@pytest.mark.parametrize("name", ["trigram", "gpt2"])
def test_every_model_passes_its_self_tests(
    name: str, small_models: dict[str, Path], small_store: Path
) -> None:
    found = langue.evaluate(small_models[name], small_store, check=True)
    assert len(found.checks) == 5
    assert found.passed, str(found)


def test_a_text_file_is_measured_whole(small_models: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("ROMEO:\nWhat news?\n", encoding="utf-8")
    found = langue.evaluate(small_models["trigram"], path)
    score = langue.load(small_models["trigram"]).score("ROMEO:\nWhat news?")
    assert found.bits_per_byte == pytest.approx(score.bits_per_byte)
    assert found.bits_per_byte_interval is None  # one document
    assert "no interval" in str(found)


@pytest.mark.parametrize(
    ("kind", "rule", "documents"), [("bpe", "line", 30), ("whitespace", "line", 30), ("bpe", "blank-line", 3)]
)
@pytest.mark.parametrize("family", ["ngram", "bert"])
def test_a_text_is_cut_as_the_training_text_was(
    kind: str, rule: str, documents: int, family: str, tmp_path: Path
) -> None:
    """So that `evaluate` on a text, and the sum of `score` over its documents, are one figure."""
    lines = [f"headline {n} of the day: {n % 7} kings" + "\n" * (n % 10 == 9) for n in range(30)]
    text = tmp_path / "text"
    text.write_text("\n".join(lines) + "\n")
    langue.prepare(
        text, tmp_path / "store", documents=rule, kind=kind, valid=[text], test=[text], vocabulary=300
    )  # fmt: skip
    small = {"layers": 1, "width": 16, "heads": 1, "context": 16, "batch_tokens": 64, "steps": 2}
    model = langue.train(
        family, tmp_path / "store", tmp_path / "model", **({"order": 3} if family == "ngram" else small)
    )  # fmt: skip
    stored, measured = langue.evaluate(model, tmp_path / "store"), langue.evaluate(model, text)
    if not isinstance(model, langue.CausalModel):
        assert measured.to_json()["documents"] == stored.to_json()["documents"] == documents
        return
    assert len(measured.scores.bits) == documents
    assert measured.total_bits == pytest.approx(stored.total_bits, rel=1e-6)
    pieces = "\n".join(lines).split("\n" if rule == "line" else "\n\n")
    scores = model.score_all([piece.strip("\n") for piece in pieces if piece.strip()])
    assert sum(score.total_bits for score in scores) == pytest.approx(measured.total_bits, rel=1e-6)


def test_a_notebook_shows_what_is_printed(small_models: dict[str, Path], small_store: Path) -> None:
    evaluation = langue.evaluate(small_models["trigram"], small_store)
    comparison = langue.compare([small_models["trigram"]], on=small_store)
    assert (repr(evaluation), repr(comparison)) == (str(evaluation), str(comparison))
    assert "array(" not in repr(evaluation) + repr(comparison)


def test_the_bytes_are_those_of_the_text_whatever_the_tokenizer(small_text: Path, tmp_path: Path) -> None:
    sizes = set()
    for kind in ("bytes", "chars", "words"):
        store = tmp_path / kind
        langue.prepare(
            small_text, store, kind=kind, documents="blank-line", valid_fraction=0.1, test_fraction=0.1
        )
        langue.train("ngram", store, tmp_path / f"m-{kind}", order=2)
        sizes.add(langue.evaluate(tmp_path / f"m-{kind}", store).to_json()["bytes"])
    assert len(sizes) == 1


def test_scores_carry_the_bytes_of_every_token(small_models: dict[str, Path]) -> None:
    text = "第一回 The king is dead.\n"
    score = langue.load(small_models["trigram"]).score(text)
    data = text.encode()
    spelled = b"".join(data[start:end] for start, end in score.spans)
    assert spelled == data
    assert score.tokens[-1] == "<eos>"
    assert score.spans[-1].tolist() == [len(data), len(data)]
    assert score.total_bits == pytest.approx(score.bits.sum())
    assert score.bits_per_byte == pytest.approx(score.total_bits / len(data))


@pytest.mark.parametrize("text", ["魑", "🙂", "é魑魅 ok"])
def test_bytes_of_half_a_character_are_shown_as_bytes(small_models: dict[str, Path], text: str) -> None:
    score = langue.CausalModel.load(small_models["trigram"]).score(text)
    shown = "\n".join([*score.token_rows(), str(score.to_json(per_token=True))])
    assert "\ufffd" not in shown
    half = rf"\x{text.encode()[-1]:02x}"
    assert text.isascii() or text.endswith("ok") or any(half in row for row in score.token_rows())


def test_a_closed_vocabulary_has_a_perplexity_and_no_bits_per_byte(small_text: Path, tmp_path: Path) -> None:
    langue.prepare(small_text, tmp_path / "store", kind="whitespace", documents="blank-line")
    langue.train("ngram", tmp_path / "store", tmp_path / "model", order=2)
    found = langue.evaluate(tmp_path / "model", tmp_path / "store")
    assert found.bits_per_byte is None
    assert found.to_json()["bits_per_byte"] is None
    assert found.perplexity > 1
    assert "closed" in str(found)


def test_a_window_does_not_change_with_the_batch(small_models: dict[str, Path]) -> None:
    """Texts longer than the window of 32 tokens: alone, together, and in another order."""
    model = langue.load(small_models["gpt2"])
    texts = ["The king is dead. " * 12, "short", "第一回" * 30, ""]
    together = model.score_all(texts)
    for text, score in zip(texts, together, strict=True):
        assert model.score(text).bits == pytest.approx(score.bits, abs=1e-4)
    for score, other in zip(together, reversed(model.score_all(texts[::-1])), strict=True):
        assert other.bits == pytest.approx(score.bits, abs=1e-4)


def test_what_is_impossible_is_reported_and_stays_json(
    small_models: dict[str, Path], small_store: Path, tmp_path: Path
) -> None:
    """A plain Markov chain holds impossible what it never saw: infinite, with the first n-gram."""
    for order in (1, 2):
        langue.train("markov", small_store, tmp_path / f"markov{order}", order=order)
    found = langue.evaluate(tmp_path / "markov2", small_store, check=True)
    assert found.passed, str(found)
    assert math.isinf(found.perplexity)
    assert "infinite: the model gives probability 0 to '" in str(found)
    facts = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert facts["perplexity"] is facts["bits_per_byte"] is facts["bits_per_byte_interval"] is None
    assert "probability 0" in facts["reason"]
    folders = [tmp_path / "markov1", small_models["trigram"], tmp_path / "markov2"]
    compared = langue.compare(folders, on=small_store)
    json.dumps(compared.to_json(), allow_nan=False)
    assert compared.rows[0].evaluation.name == "trigram"
    assert "trigram is better than markov1, which holds impossible what occurs" in str(compared)
    assert "can't tell: both" in str(compared)
    score = langue.load(tmp_path / "markov1").score("zqzq qzqz")
    assert json.loads(json.dumps(score.to_json(per_token=True), allow_nan=False))["bits"] is None
    smoothed = langue.train("markov", small_store, tmp_path / "smoothed", order=1, alpha=0.1)
    assert math.isfinite(langue.evaluate(smoothed, small_store).perplexity)


def test_scores_that_are_no_probabilities_have_no_perplexity(small_store: Path, tmp_path: Path) -> None:
    stupid = langue.train("ngram", small_store, tmp_path / "stupid", smoothing="stupid-backoff")
    assert stupid.score("the").total_bits > 0
    with pytest.raises(langue.LangueError, match="no probabilities"):
        langue.evaluate(stupid, small_store)
