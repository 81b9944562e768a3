"""Spans that answer: learned, kept with their threshold, read in windows, and equal to transformers' head."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.test_checked_arrays import arrays_in, assert_refused

import langue
from langue import cli
from langue.base.errors import LangueError
from langue.corpus.normalize import Normalization
from langue.models.folder import load
from langue.protocols import SpanPredictor
from langue.tasks.answers.spans import SpanReader, read_spans
from langue.tasks.span import TASK, encode

ENGLISH = "The king saw a {} film, and its number was {}."
CHINESE = "话说天下大势，{}必合，编号是{}。"
FAST = {"seeds": 1, "epochs": 6, "learning_rate": 3e-3, "batch_size": 16}


def questions(count: int, seed: int, *, unanswerable: bool = False) -> dict[str, Any]:
    """What a number was; of a text that has none, there is no answer."""
    draw = np.random.default_rng(seed)
    paragraphs = []
    for index in range(count):
        text = (ENGLISH, CHINESE)[index % 2]
        number = str(draw.integers(100, 1000))
        none = unanswerable and index % 3 == 0
        text = text.format(("good", "分久", "bad", "合久")[draw.integers(4)], "gone" if none else number)
        answers = [] if none else [{"text": number, "answer_start": text.index(number)}]
        asked = ("What was the number?", "编号是什么？")[index % 2]
        paragraphs.append(
            {
                "context": text,
                "qas": [{"id": f"{seed}-{index}", "question": asked, "answers": answers}],
            }
        )
    return {"data": [{"paragraphs": paragraphs}]}


def write(path: Path, table: Any) -> Path:
    path.write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def encoder(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder") / "bert"
    tiny = {"layers": 1, "width": 32, "heads": 2, "context": 64, "steps": 5, "batch_tokens": 256}
    langue.train("bert", small_store, folder, **tiny)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("questions")
    return {
        name: write(folder / f"{name}.json", questions(count, seed, unanswerable=True))
        for name, count, seed in (("train", 300, 0), ("valid", 60, 1), ("test", 60, 2))
    }


@pytest.fixture(scope="module")
def tuned(encoder: Path, files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tuned") / "span"
    result = langue.finetune(
        encoder, files["train"], folder, task="span", valid=files["valid"], test=files["test"], **FAST
    )
    return folder, result


def test_learns_where_answers_stand_and_that_there_may_be_none(tuned: Any, files: dict[str, Path]) -> None:
    folder, result = tuned
    assert result.valid[0].f1 > 0.9
    assert "exact-match" in str(result) and "F1 counts each question" in str(result)
    model: Any = langue.load(folder)
    assert isinstance(model, langue.SpanModel)
    for text, question in ((ENGLISH, "What was the number?"), (CHINESE, "编号是什么？")):
        there = text.format("good", "427")
        given = model.answer(question, there)
        assert given.text == "427"
        one = given.candidates[0]
        assert there[one.begin : one.end] == there.encode()[one.begin_byte : one.end_byte].decode() == "427"
        assert one.passage == there and 0 < one.score <= given.answerable <= 1
        assert not model.answer(question, text.format("good", "gone")).answered
    assert 0 < model.folder.model.threshold < 1  # chosen by what was held out
    # What was measured while it was made is what the folder measures, beside what needs no model.
    again = langue.evaluate(folder, files["test"])
    assert (again.exact.value, again.f1.value) == pytest.approx(result.test[0][:2])
    assert again.unit == "span" and again.no_answer.f1 > 0.8
    assert again.baseline.f1.value < again.f1.value
    assert "baseline" in str(again) and "baseline" in again.to_json()


def test_every_question_is_answered_where_training_has_no_others(encoder: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "q.json", questions(40, 3))
    langue.finetune(encoder, path, tmp_path / "m", task="span", seeds=1, epochs=1)
    given = langue.answer("What was the number?", "Nothing of the number.", model=tmp_path / "m")
    assert langue.load(tmp_path / "m").folder.model.threshold == 0
    assert given.answered and given.text


def test_transformers_reads_the_same_logits_and_loss(tuned: Any, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    langue.export_model(tuned[0], tmp_path / "hf")
    peer = transformers.AutoModelForQuestionAnswering.from_pretrained(tmp_path / "hf").eval()
    folder: Any = load(tuned[0])
    (window,) = SpanReader.of(folder).windows("What was the number?", ENGLISH.format("bad", 321))
    ids, types = (torch.from_numpy(part)[None] for part in window[:2])
    begin, end = torch.tensor([7]), torch.tensor([9])
    with torch.no_grad():
        theirs = peer(ids, token_type_ids=types, start_positions=begin, end_positions=end)
        ours = folder.model.span_logits([window.ids], [window.types])[0]
        loss = folder.model.loss([window[:2]], [(7, 9)])
    both = torch.stack([theirs.start_logits[0], theirs.end_logits[0]], 1)
    np.testing.assert_allclose(ours, both, atol=1e-4)
    assert float(loss) == pytest.approx(float(theirs.loss), abs=1e-4)


def test_windows_read_alone_padded_or_packed_say_the_same(tuned: Any) -> None:
    folder: Any = load(tuned[0])
    reader, model = SpanReader.of(folder), folder.model
    texts = [ENGLISH.format("good", n) for n in range(7)] + [CHINESE.format("x", 8), "", "word " * 30]
    windows = [one for text in texts for one in reader.windows("What was the number?", text)]
    read = [one.ids for one in windows], [one.types for one in windows]
    together = model.span_logits(*read)
    with torch.no_grad():
        packed = model([one[:2] for one in windows])
    for index, (ids, types) in enumerate(zip(*read, strict=True)):
        alone = model.span_logits([ids], [types])[0]
        np.testing.assert_allclose(together[index], alone, atol=1e-5)
        np.testing.assert_allclose(packed[index], alone, atol=1e-5)


def test_a_text_longer_than_the_window_is_read_in_windows_that_overlap(tuned: Any) -> None:
    folder: Any = load(tuned[0])
    reader = SpanReader.of(folder)
    text = "It was so. " * 40 + ENGLISH.format("good", "513") + " 天下大势。" * 30
    windows = reader.windows("What was the number?", text)
    assert len(windows) > 5 and max(len(one.ids) for one in windows) == folder.model.window
    spans = [tuple(span) for one in windows for span in one.spans.tolist()]
    assert {place for begin, end in spans for place in range(begin, end)} == set(range(len(text)))
    whole = [one for one in windows if one.ends(text.index("513"), text.index("513") + 3)]
    assert 0 < len(whole) < len(windows)


class Drawn(SpanPredictor):
    """Logits that are drawn, of windows in their order."""

    window, overlap, max_answer_tokens, threshold = 40, 10, 6, 0.0

    def span_logits(self, sequences: Any, types: Any) -> list[Any]:
        draw = np.random.default_rng(0)
        return [draw.normal(size=(len(ids), 2)).astype(np.float32) for ids in sequences]


def test_the_best_span_of_all_windows_is_that_of_trying_all(tuned: Any) -> None:
    folder: Any = load(tuned[0])
    model, text = Drawn(), "The king saw a lovely film, 天下大势。 " * 9
    reader = SpanReader(folder.tokenizer, folder.normalization, folder.model.specials, window=40, overlap=10)
    windows = reader.windows("What was it?", text)
    logits = model.span_logits([one.ids for one in windows], None)
    tried = {}
    for window, scores in zip(windows, logits, strict=True):
        count = len(window.spans)
        assert len(window.ids) == window.first + count + 1
        for first in range(count):
            for last in range(first, min(first + 6, count)):
                score = scores[window.first + first, 0] + scores[window.first + last, 1]
                span = int(window.spans[first, 0]), int(window.spans[last, 1])
                tried[span] = max(tried.get(span, -np.inf), float(score))
    (reading,) = read_spans(model, [windows])
    assert len(windows) > 3 and len(reading.spans) == 20
    best = sorted(tried.values(), reverse=True)[:20]
    assert [span.score for span in reading.spans] == pytest.approx(best)
    assert all(tried[span.begin, span.end] == pytest.approx(span.score) for span in reading.spans)
    assert reading.nothing == pytest.approx(min(float(scores[0].sum()) for scores in logits))


def test_offsets_are_of_the_text_as_it_was_given(tuned: Any) -> None:
    """NFC makes one letter of two, and a control character goes; the answer is where it stood before."""
    folder: Any = load(tuned[0])
    assert folder.normalization == Normalization()
    text = "The cafe\u0301\x07 saw a good film, and its number was 835."
    one = langue.answer("What was the number?", text, model=tuned[0]).candidates[0]
    assert text[one.begin : one.end] == "835"


def test_answers_that_do_not_stand_in_their_text_are_not_learned(tuned: Any, tmp_path: Path) -> None:
    table = questions(2, 5)
    table["data"][0]["paragraphs"][0]["qas"][0]["answers"][0]["text"] = "absent"
    asked = TASK.read(write(tmp_path / "q.json", table), None).examples
    one, other = encode(SpanReader.of(load(tuned[0])), asked)
    assert one.spans == [] and one.answers == ["absent"]
    (begin, end), (window,) = other.spans[0], other.windows
    words = window.spans[begin - window.first : end - window.first + 1]
    assert other.text[words[0][0] : words[-1][1]].strip() == other.answers[0]


def test_a_head_that_is_not_what_it_must_be_is_named(tuned: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(tuned[0], tmp_path / "span")
    heads = [one for one in arrays_in(folder) if one[1].startswith("out.")]
    assert len(heads) == 2
    for path, name, array in heads:
        assert_refused(folder, path, name, array)


def test_verbs(
    tuned: Any, encoder: Path, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tuned[0])
    (tmp_path / "text.txt").write_text(CHINESE.format("分久", "618"), encoding="utf-8")
    assert cli.run(["answer", "编号是什么？", str(tmp_path / "text.txt"), "--model", folder]) == 0
    assert capsys.readouterr().out.startswith("618\n")
    predictions = tmp_path / "p.json"
    given = ["answer", str(files["test"]), "--model", folder, "--predictions", str(predictions)]
    assert cli.run(given) == 0
    assert "spans as answers" in capsys.readouterr().out
    assert len(json.loads(predictions.read_text(encoding="utf-8"))) == 60
    with pytest.raises(LangueError, match="marks no answers"):
        langue.answer("What?", "A text.", model=encoder)
    nothing = {"data": [{"paragraphs": [{"context": "x", "qas": [{"id": 1, "question": "Why?"}]}]}]}
    with pytest.raises(LangueError, match="has too few examples"):
        langue.finetune(encoder, write(tmp_path / "n.json", nothing), tmp_path / "n", task="span")
