"""F1 with its interval is that of seqeval; the baseline of words is what it says."""

from pathlib import Path

import numpy as np
import pytest

import langue
from langue.corpus.schemes import UNKNOWN
from langue.corpus.tagged import Sentence
from langue.tasks.baselines.word_tags import F1, WordTags
from langue.tasks.metrics import score_tags

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def test_the_f1_is_that_of_the_scores() -> None:
    draw = np.random.default_rng(0)
    right, predicted = ([list(draw.choice(TAGS, 6)) for _ in range(40)] for _ in range(2))
    for unit in ("entity", "tag"):
        figure = F1.of(right, predicted, unit)
        scores = score_tags(right, predicted, unit=unit)
        assert figure.value == pytest.approx(scores.f1)
        low, high = figure.ratio().interval
        assert low < scores.f1 < high
        assert figure.gain(figure).interval == (0, 0)


def test_sentences_without_spans_have_no_f1() -> None:
    nothing = F1.of([["O"], ["O", "O"]], [["O"], ["O", "O"]], "entity")
    assert nothing.value == 0 and nothing.ratio().interval == (0, 0)
    assert F1.of([["B-X"]], [["B-X"]], "entity").ratio().interval is None


def test_a_word_has_the_tag_that_it_mostly_has() -> None:
    def sentence(words: str, tags: str) -> Sentence:
        return Sentence((tuple(words.split()),), tuple(tags.split()))

    training = [
        sentence("the king", "D N"),
        sentence("king runs the", f"V V {UNKNOWN}"),
        sentence("the king", "D V"),
    ]
    (tags,) = WordTags(training).tag([sentence("the king sleeps", "D N V")])
    assert tags == ("D", "V", "V")


def test_a_tagger_stands_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "tags.conll"
    path.write_text("Anna B-PER\nsees O\nRome B-LOC\n\nRome B-PER\nsees O\nAnna B-LOC\n\n" * 6)
    langue.train("crf", path, tmp_path / "crf", iterations=30)
    result = langue.evaluate(tmp_path / "crf", path, train=path)
    assert result.f1.value == pytest.approx(result.scores.f1) == 1
    assert result.baseline.baseline.value < 0.9 < result.baseline.gain.value + result.baseline.baseline.value
    assert "above it" in str(result) and "word tags" in result.to_json()["baselines"]
    assert "f1_interval" in langue.evaluate(tmp_path / "crf", path).to_json()
