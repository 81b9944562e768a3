"""Pairs without labels: which sentences are taken, what stays, and what is too short."""

from pathlib import Path

import pytest

import langue
from langue.base.errors import InvalidSetting
from langue.corpus.config import DataConfig
from langue.corpus.document import Document
from langue.corpus.gap_sentences import best_sentences, gap_sentences
from langue.corpus.ledger import Ledger
from langue.corpus.units import tokens_of

ENGLISH = "Rain fell. The old king of Spain saw Paris. The king saw rain in old Paris. Who knows?"
CHINESE = "今天下雨。国王到巴黎看了雨。巴黎很大。国王今天看了巴黎的大雨。他走了。"


def pairs(*texts: str, **settings: float) -> tuple[list[tuple[str, ...]], Ledger]:
    ledger = Ledger()
    config = DataConfig(**({"gap_sentences": 0.2, "gap_sentences_kept": 0.0} | settings))  # type: ignore[arg-type]
    read = (Document(text, "x", "x") for text in texts)
    return [document.texts for document in gap_sentences(read, config, ledger)], ledger


def test_what_shares_most_with_the_rest_is_taken() -> None:
    assert pairs(ENGLISH)[0] == [
        ("Rain fell. The old king of Spain saw Paris. Who knows?", "The king saw rain in old Paris.")
    ]
    assert pairs(CHINESE)[0] == [
        ("今天下雨。国王到巴黎看了雨。巴黎很大。他走了。", "国王今天看了巴黎的大雨。")
    ]


def test_scores_are_those_of_sets_of_words() -> None:
    """By brute force: F1 of the words of a sentence and those of all others, each counted once."""
    sentences = [piece + "。" for piece in CHINESE.split("。") if piece]
    scores = []
    for k, sentence in enumerate(sentences):
        own, rest = set(tokens_of(sentence)), set(tokens_of("".join(sentences[:k] + sentences[k + 1 :])))
        precision, recall = len(own & rest) / len(own), len(own & rest) / len(rest)
        scores.append(2 * precision * recall / (precision + recall) if own & rest else 0.0)
    order = sorted(range(len(sentences)), key=lambda k: -scores[k])
    for number in range(1, len(sentences)):
        assert best_sentences(sentences, number) == sorted(order[:number])


def test_some_stay_in_the_source_the_same_each_time() -> None:
    texts = [f"Day {k}. The king saw day {k} in Rome. Rome is old." for k in range(200)]
    read, _ = pairs(*texts, gap_sentences_kept=0.25)
    kept = [target in source for source, target in read]
    assert 30 <= sum(kept) <= 70
    assert pairs(*texts, gap_sentences_kept=0.25)[0] == read
    assert all(target in source for source, target in pairs(*texts, gap_sentences_kept=1.0)[0])
    assert {len(target.split(". ")) for _, target in pairs(*texts, gap_sentences=0.7)[0]} == {2}


def test_what_is_too_short_is_dropped_and_told() -> None:
    read, ledger = pairs("One. Two.", "", ENGLISH)
    assert len(read) == 1
    assert ledger.dropped["too few sentences"]["documents"] == 2


def test_a_store_of_them_is_one_of_pairs(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("\n".join(f"{k} {ENGLISH}" for k in range(60)))
    report = langue.prepare(file, tmp_path / "store", documents="line", gap_sentences=0.3, kind="bytes")
    manifest = langue.info(tmp_path / "store")
    assert manifest["sep"] is not None and report.splits["train"]["documents"] > 40
    with pytest.raises(InvalidSetting, match="these are pairs"):
        langue.prepare(file, tmp_path / "new", documents="pairs", gap_sentences=0.3)
