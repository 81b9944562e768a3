"""Batches of packed documents and of pairs: what stands in them, against the documents of the store."""

import gzip
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langue
from langue.base.errors import LangueError
from langue.corpus.sample import sample_path
from langue.tokens.masked import NONE, MaskedBatches, SentencePairBatches, can_pair
from langue.tokens.masked_batch import MaskedBatch, Specials
from langue.tokens.store import TOKENIZER, TokenStore
from langue.tokens.tokenizer import Tokenizer

SPECIALS = Specials(300, 301, 302)
WORDS = ("one", "two", "three", "four", "five", "six", "seven")

MakeStore = Callable[..., TokenStore]


@pytest.fixture(scope="session")
def store_of(tmp_path_factory: pytest.TempPathFactory) -> MakeStore:
    def make(texts: list[str], kind: str = "bytes") -> TokenStore:
        folder: Path = tmp_path_factory.mktemp("texts")
        (folder / "a.txt").write_text("\n".join(texts), encoding="utf-8")
        (folder / "b.txt").write_text("held out", encoding="utf-8")
        held = [folder / "b.txt"]
        langue.prepare(folder / "a.txt", folder / "s", valid=held, test=held, documents="line", kind=kind)
        return TokenStore(folder / "s")

    return make


@pytest.fixture(scope="session")
def numbered(store_of: MakeStore) -> TokenStore:
    """Documents of one to twenty sentences; every sentence names its document and its number."""
    return store_of([" ".join(f"Doc d{d:02} says {s}." for s in range(1 + d % 20)) for d in range(60)])


def shape(**changed: Any) -> dict[str, Any]:
    usual = {
        "rows": 4,
        "context": 128,
        "eos": 0,
        "specials": SPECIALS,
        "masking": "whole-word",
        "mlm_probability": 0.15,
    }
    return usual | {"seed": 0} | changed


def original(batch: MaskedBatch) -> np.ndarray:
    """The ids before any was hidden."""
    return np.where(batch.targets != NONE, batch.targets, batch.inputs)


def pieces(batch: MaskedBatch) -> list[tuple[np.ndarray, np.ndarray, int]]:
    """Ids, types and answer of every piece."""
    found = []
    for row, ids in enumerate(original(batch)):
        for segment in dict.fromkeys(batch.segments[row].tolist()):
            here = batch.segments[row] == segment
            if segment != NONE:
                found.append((ids[here], batch.types[row][here], int(batch.pairs[row][here][0])))
    return found


@pytest.mark.parametrize("kind", ["packed", "next_sentence", "sentence_order"])
def test_a_batch_is_a_pure_function_of_seed_and_number(numbered: TokenStore, kind: str) -> None:
    split = numbered.split("train")

    def source(seed: int) -> Any:
        if kind == "packed":
            return MaskedBatches(split, **shape(seed=seed))
        return SentencePairBatches(split, sentence_pairs=kind, **shape(seed=seed))  # type: ignore[arg-type]

    late, first = source(0), source(0)
    later = late.batch(7)
    for number in range(7):
        first.batch(number)
    for one, other in zip(later, first.batch(7), strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(later.inputs, source(1).batch(7).inputs)
    assert not np.array_equal(later.targets, late.batch(8).targets)
    for one, other in zip(late.first(3), first.first(3), strict=True):
        assert np.array_equal(one, other)
    assert later.inputs.shape == (4, 128)
    assert sum(later.cut(row, row + 1).targets_count for row in range(4)) == later.targets_count


def test_packed_rows_are_the_documents(numbered: TokenStore) -> None:
    split = numbered.split("train")
    source = MaskedBatches(split, **shape())
    documents = [
        np.r_[SPECIALS.cls, document[:-1], SPECIALS.sep].astype(np.int64) for document in split.documents()
    ]
    seen = np.zeros(sum(map(len, documents)), np.int64)
    for number in range(source.per_epoch):
        batch = source.batch(number)
        ids = original(batch)
        assert (ids[:, 0] == SPECIALS.cls).all()
        for row in range(batch.rows):
            for segment in np.unique(batch.segments[row]):
                here = batch.segments[row] == segment
                positions, document = batch.positions[row][here], documents[segment]
                assert np.array_equal(np.diff(positions), np.ones(here.sum() - 1))
                assert positions[0] == 0  # they start afresh with each document
                offset = sum(map(len, documents[:segment]))
                if segment == batch.segments[row, 0]:  # it may have begun before this row
                    windows = np.lib.stride_tricks.sliding_window_view(document, here.sum())[:, 1:]
                    begin = np.flatnonzero((windows == ids[row][here][1:]).all(1))[0]
                else:
                    begin = 0
                    assert np.array_equal(ids[row][here], document[: here.sum()])
                seen[offset + begin : offset + begin + here.sum()] += 1
    assert seen.max() <= 2  # texts that stand twice are found at the first place
    assert (seen > 0).mean() > 0.85  # all but the room in which edges move


def test_special_tokens_are_never_hidden_and_words_are_whole(numbered: TokenStore) -> None:
    source = MaskedBatches(numbered.split("train"), **shape())
    tokenizer = Tokenizer.load(numbered.path / TOKENIZER)
    for number in range(3):
        batch = source.batch(number)
        chosen = batch.targets != NONE
        assert not np.isin(batch.targets[chosen], SPECIALS).any()
        text = original(batch)
        letters = np.array([id for id in range(258) if tokenizer.decode([id]).isalpha()])
        letter = np.isin(text, letters)
        both = letter[:, 1:] & letter[:, :-1]
        assert (chosen[:, 1:] == chosen[:, :-1])[both].all()
        assert 0.1 < chosen.mean() < 0.2


def text_of(store: TokenStore, ids: np.ndarray) -> str:
    return Tokenizer.load(store.path / TOKENIZER).decode(ids)


def parts(store: TokenStore, ids: np.ndarray, types: np.ndarray) -> tuple[str, str]:
    """The texts of A and B; checks the frame."""
    assert ids[0] == SPECIALS.cls
    assert (ids[types == 0][-1], ids[-1]) == (SPECIALS.sep, SPECIALS.sep)
    assert np.array_equal(np.sort(types), types)
    return text_of(store, ids[types == 0][1:-1]), text_of(store, ids[types == 1][:-1])


def documents_in(text: str) -> set[str]:
    return set(re.findall(r"d\d\d", text))


def test_a_next_passage_follows_and_a_random_one_is_of_another_document(numbered: TokenStore) -> None:
    texts = [text_of(numbered, document) for document in numbered.split("train").documents()]
    source = SentencePairBatches(numbered.split("train"), sentence_pairs="next_sentence", **shape(context=96))
    answers, lengths = [], []
    for number in range(60):
        for ids, types, answer in pieces(source.batch(number)):
            first, second = parts(numbered, ids, types)
            answers.append(answer)
            lengths.append(len(ids))
            if answer == 0:
                assert any(first + second in text for text in texts)
            else:
                one, other = documents_in(first), documents_in(second)
                assert not one & other
    assert np.mean(answers) == pytest.approx(0.5, abs=0.06)
    assert max(lengths) <= 96
    assert len(answers) > 300


def test_swapped_passages_are_told_from_those_in_order(numbered: TokenStore) -> None:
    texts = [text_of(numbered, document) for document in numbered.split("train").documents()]
    source = SentencePairBatches(
        numbered.split("train"), sentence_pairs="sentence_order", **shape(context=96)
    )
    answers = []
    for number in range(60):
        for ids, types, answer in pieces(source.batch(number)):
            first, second = parts(numbered, ids, types)
            answers.append(answer)
            assert any((second + first if answer else first + second) in text for text in texts)
    assert np.mean(answers) == pytest.approx(0.5, abs=0.06)


def verse(draw: random.Random) -> str:
    return "".join(chr(draw.randrange(0x4E00, 0x4F00)) for _ in range(5))


def written(kind: str) -> list[str]:
    """Texts of one sentence, of a few of the same length, and of many."""
    draw = random.Random(0)
    if kind == "headlines":
        return ["".join(verse(draw) for _ in range(5))[: draw.randint(9, 25)] for _ in range(500)]
    if kind == "poems":
        return ["。".join(verse(draw) for _ in range(draw.choice((4, 4, 8)))) + "。" for _ in range(300)]
    with gzip.open(sample_path("english"), "rt", encoding="utf-8") as file:
        text = file.read(150_000)
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["headlines", "poems", "prose"])
@pytest.mark.parametrize("sentence_pairs", ["next_sentence", "sentence_order"])
def test_the_lengths_of_the_parts_do_not_tell_how_they_relate(
    store_of: MakeStore, kind: str, sentence_pairs: Any
) -> None:
    tree = pytest.importorskip("sklearn.tree")
    store = store_of(written(kind), kind="chars")
    source = SentencePairBatches(store.split("train"), sentence_pairs=sentence_pairs, **shape(context=64))
    ids, types, answers = source.examples(3000)
    seconds = np.array([part.sum() for part in types])
    lengths = np.stack([np.array([len(part) for part in ids]) - seconds, seconds], 1)
    told = tree.DecisionTreeClassifier(min_samples_leaf=25).fit(lengths[:1500], answers[:1500])
    assert told.score(lengths[1500:], answers[1500:]) < 0.55


def test_a_split_of_four_slots_has_no_pairs(store_of: MakeStore) -> None:
    split = store_of(["ab"]).split("train")  # [CLS] a b [SEP]
    assert not can_pair(split, "sentence_order")
    with pytest.raises(LangueError, match="too few documents to make pairs of"):
        SentencePairBatches(split, sentence_pairs="sentence_order", **shape())
    split = store_of(["abc"]).split("train")
    source = SentencePairBatches(split, sentence_pairs="sentence_order", **shape())
    assert {len(ids) for ids in source.examples(50)[0]} <= {5, 6}


def test_passages_are_whole_sentences_where_they_fit(numbered: TokenStore) -> None:
    source = SentencePairBatches(
        numbered.split("train"), sentence_pairs="sentence_order", **shape(context=128, mlm_probability=0.01)
    )
    whole = total = 0
    for number in range(20):
        for ids, types, _ in pieces(source.batch(number)):
            for part in parts(numbered, ids, types) if len(ids) > 60 else ():  # others: one sentence, cut
                total += 1
                whole += part.strip().startswith("Doc") and part.endswith(".")
    assert total > 50
    assert whole / total > 0.85  # the rest begins within a document of one sentence


def test_chinese_pairs(store_of: MakeStore) -> None:
    texts = [f"第{n}回说的是宝玉。黛玉来了，问道：“你好？”宝玉不答。{n}人都走了。" for n in range(30)]
    store = store_of(texts)
    source = SentencePairBatches(store.split("train"), sentence_pairs="sentence_order", **shape(context=160))
    ends = [
        part[-1] for ids, types, _ in pieces(source.batch(0)) for part in parts(store, ids, types) if part
    ]
    assert sum(end in "。”" for end in ends) / len(ends) > 0.75


def test_pairs_weigh_as_much_as_tokens(numbered: TokenStore) -> None:
    batch = SentencePairBatches(numbered.split("train"), sentence_pairs="next_sentence", **shape()).batch(0)
    assert batch.pair_weight * (batch.pairs != NONE).sum() == pytest.approx(batch.targets_count)
    assert batch.cut(0, 1).pair_weight == batch.pair_weight


def test_pairs_need_text_to_pair(store_of: MakeStore) -> None:
    one = store_of(["One document. It is alone."]).split("train")
    with pytest.raises(LangueError, match="too few documents to make pairs of"):
        SentencePairBatches(one, sentence_pairs="next_sentence", **shape())
    assert (
        SentencePairBatches(one, sentence_pairs="sentence_order", **shape(context=24)).batch(0).targets_count
    )
    tiny = store_of(["a", "b"]).split("train")
    with pytest.raises(LangueError, match='set sentence_pairs = "none"'):
        SentencePairBatches(tiny, sentence_pairs="next_sentence", **shape(context=12)).batch(0)
    rare = store_of(["a"] * 2000 + ["one two", "three four"]).split("train")
    with pytest.raises(LangueError, match="nearly all documents too short"):
        SentencePairBatches(rare, sentence_pairs="next_sentence", **shape(context=12)).batch(0)
