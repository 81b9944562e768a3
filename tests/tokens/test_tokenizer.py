"""What every tokenizer promises: any string → ids → the same string, and each token knows its bytes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from langue.base.errors import LangueError
from langue.tokens import tokenizer as module
from langue.tokens.tokenizer import Tokenizer
from langue.tokens.train import VOCABULARY, TokenizerConfig, train_tokenizer

KINDS = [kind for kind in VOCABULARY if kind != "whitespace"]
TEXTS = [
    "It was the best of times, it was the worst of times; it's 1859.\n\nIt was the age of wisdom.",
    "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。\n及秦灭之后，楚、汉分争，又并入于汉。",
    "langue 在 2026 年 works for 中文 and English alike 🙂\n",
]
# Everything UTF-8 can spell, weighted towards what trips tokenizers up.
ANY = st.text(
    st.one_of(
        st.sampled_from(" \n\t'’▁Ġ#<eos>pad中文。é\u0301🙂\u3000"), st.characters(exclude_categories=["Cs"])
    )
)


@pytest.fixture(scope="module")
def trained() -> dict[str, Tokenizer]:
    return {kind: train_tokenizer(TokenizerConfig(kind=kind, vocabulary=400), TEXTS * 3) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150)
@given(text=ANY)
def test_any_string_comes_back(trained: dict[str, Tokenizer], kind: str, text: str) -> None:
    tokenizer = trained[kind]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.eos not in ids
    assert tokenizer.pad not in ids


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100)
@given(text=ANY)
def test_spans_map_every_token_to_its_bytes(trained: dict[str, Tokenizer], kind: str, text: str) -> None:
    tokenizer = trained[kind]
    ids, spans = tokenizer.encode_with_spans(text)
    data = text.encode()
    assert np.array_equal(ids, tokenizer.encode(text))
    assert [data[start:end] for start, end in spans] == [tokenizer.token_bytes(id) for id in ids]
    assert b"".join(data[start:end] for start, end in spans) == data


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100)
@given(text=ANY)
def test_streamed_text_is_never_broken(trained: dict[str, Tokenizer], kind: str, text: str) -> None:
    stream = trained[kind].stream()
    pieces = [stream.push(id) for id in trained[kind].encode(text)]
    assert "".join(pieces) + stream.flush() == text
    assert all(text.startswith("".join(pieces[:n])) for n in range(len(pieces)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_and_a_long_text_give_the_same_ids(
    trained: dict[str, Tokenizer], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = trained[kind]
    texts = [
        *TEXTS, "", "x " * 50, "汉字。" * 30, " \n".join(TEXTS),
        "line\nand line\n" * 20, "one\n\n two\n" * 20,
        "あいう。えお、" * 20, "x1y22z3" * 30, "它，不;是(这)样" * 20, "don't,he'll;so" * 20,
    ]  # fmt: skip
    whole = [tokenizer.encode(text) for text in texts]
    monkeypatch.setattr(module, "CHUNK_CHARACTERS", 20)
    for expected, found in zip(whole, tokenizer.encode_batch(texts), strict=True):
        assert np.array_equal(expected, found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_longer_than_a_piece_is_cut_and_spelled_whole(
    trained: dict[str, Tokenizer], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_CHARACTERS", 20)
    monkeypatch.setattr(module, "WINDOW", 8)
    for text in ("acgt" * 100, "a" * 333, "天" * 100, "🙂é" * 50):
        assert max(len(piece) for piece in trained[kind].pieces(text)) <= 28
        ids, spans = trained[kind].encode_with_spans(text)
        assert np.array_equal(ids, trained[kind].encode(text))
        assert trained[kind].decode(ids) == text
        assert spans[-1, 1] == len(text.encode())


def test_words_between_blanks_are_cut_at_blanks_only(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "word。word,two 1a。" * 20
    tokenizer = train_tokenizer(TokenizerConfig(kind="whitespace"), [text])
    expected = tokenizer.encode(text)
    monkeypatch.setattr(module, "CHUNK_CHARACTERS", 5)
    assert np.array_equal(tokenizer.encode(text), expected)


@pytest.mark.parametrize("kind", [*KINDS, "whitespace"])
def test_save_and_load_keep_everything(kind: str, tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TokenizerConfig(kind=kind, vocabulary=400), TEXTS)
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.fingerprint == tokenizer.fingerprint
    assert (loaded.kind, loaded.vocab_size, loaded.closed) == (kind, tokenizer.vocab_size, tokenizer.closed)
    for text in TEXTS:
        assert np.array_equal(loaded.encode(text), tokenizer.encode(text))


def test_training_is_deterministic_across_processes() -> None:
    script = f"""
from langue.tokens.train import (TokenizerConfig, train_tokenizer)
for kind in {KINDS!r}:
    print(train_tokenizer(TokenizerConfig(kind=kind, vocabulary=700), {TEXTS!r} * 5).fingerprint)
"""
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert len(runs[0].split()) == len(KINDS)


def test_chinese_words_are_words() -> None:
    tokenizer = train_tokenizer(TokenizerConfig(kind="words"), ["我来到北京清华大学"] * 3)
    pieces = [tokenizer.decode([id]) for id in tokenizer.encode("我来到北京清华大学")]
    assert pieces == ["我", "来到", "北京", "清华大学"]


def test_whitespace_is_closed_and_ends_sentences() -> None:
    tokenizer = train_tokenizer(TokenizerConfig(kind="whitespace"), ["the king", "the <unk> king"])
    ids = tokenizer.encode("the queen\nking")
    unk = tokenizer.encode("<unk>")[0]
    the, king = tokenizer.encode("the")[0], tokenizer.encode("king")[0]
    assert list(ids) == [the, unk, tokenizer.eos, king]
    assert tokenizer.closed


def test_a_tokenizer_of_another_maker(tmp_path: Path) -> None:
    hf = tokenizers.ByteLevelBPETokenizer()
    hf.train_from_iterator(TEXTS, vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
    hf.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.load(tmp_path / "tokenizer.json")
    assert not tokenizer.closed
    assert tokenizer.eos == hf.token_to_id("<|endoftext|>")
    assert tokenizer.decode(tokenizer.encode(TEXTS[1])) == TEXTS[1]


def test_byte_level_is_told_by_the_parts_and_not_by_the_vocabulary(tmp_path: Path) -> None:
    hf = tokenizers.Tokenizer(tokenizers.models.BPE())  # its vocabulary lacks most of the alphabet
    hf.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    hf.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False
    )
    hf.train_from_iterator(TEXTS, trainer)
    hf.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.load(tmp_path / "tokenizer.json")
    for text in TEXTS:
        assert tokenizer.decode(tokenizer.encode(text)) == text == hf.decode(hf.encode(text).ids)
    assert tokenizer.closed  # for it drops bytes that it has no entry for


def test_an_added_token_that_is_no_special_one_is_text(tmp_path: Path) -> None:
    hf = tokenizers.ByteLevelBPETokenizer()
    hf.train_from_iterator(TEXTS, vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
    hf.add_tokens(["    ", "中文"])
    hf.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.load(tmp_path / "tokenizer.json")
    text = "a    b 中文 c<|endoftext|>"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert not tokenizer.closed


def test_chinese_word_pieces_are_written_without_blanks(tmp_path: Path) -> None:
    hf = tokenizers.BertWordPieceTokenizer()
    hf.train_from_iterator(TEXTS * 3, vocab_size=200, show_progress=False)
    hf.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.load(tmp_path / "tokenizer.json")
    assert tokenizer.decode(tokenizer.encode("分久必合，合久必分。")) == "分久必合，合久必分。"
    assert tokenizer.decode(tokenizer.encode("天下 the best")) == "天下 the best"


PARTS = {
    "suffix": (
        {"end_of_word_suffix": "</w>"},
        ["t", "the</w>", "king</w>", "却</w>", "说</w>", "is", "h", "e</w>"],
        tokenizers.decoders.BPEDecoder(suffix="</w>"),
    ),
    "prefix": (
        {"continuing_subword_prefix": "@@"},
        ["t", "the", "king", "却", "说", "@@is", "@@h", "@@e"],
        tokenizers.decoders.WordPiece(prefix="@@"),
    ),
    "blank": (
        {},
        ["t", "_the", "_king", "却", "说", "_is", "h", "e"],
        tokenizers.decoders.Metaspace(replacement="_", prepend_scheme="never"),
    ),
    "nothing": ({}, ["t", "the", "king", "却", "说", "is", "h", "e"], None),
}


@pytest.mark.parametrize("marks", PARTS)
@pytest.mark.parametrize("ids", [[2, 3, 6], [0, 6, 7, 2, 1], [4, 5, 4], [4, 5, 2]])
def test_words_of_other_makers_are_written_as_their_decoder_writes_them(marks: str, ids: list[int]) -> None:
    """Whatever marks a word, at its end or within it; but for blanks at the edges and beside Chinese."""
    options, entries, decoder = PARTS[marks]
    vocabulary = {entry: id for id, entry in enumerate([*entries, "<eos>", "<unk>"])}
    hf = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges=[], unk_token="<unk>", **options))
    if decoder is not None:
        hf.decoder = decoder
    hf.add_special_tokens(["<eos>"])
    ours, theirs = Tokenizer(hf).decode(ids), hf.decode(ids)
    assert "却 说" not in ours
    chinese = [entry for entry in "却说" if entry in ours]
    assert ours.strip() == (theirs.strip() if not chinese else ours.strip())
    assert ours.replace(" ", "") == theirs.replace(" ", "")


def test_a_fault_of_ours_is_not_said_to_be_one_of_the_file(
    tmp_path: Path, trained: dict[str, Tokenizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained["bytes"].save(tmp_path / "tokenizer.json")
    monkeypatch.setattr(module, "kind_of", lambda hf: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        Tokenizer.load(tmp_path / "tokenizer.json")
    monkeypatch.undo()
    hf = tokenizers.Tokenizer(tokenizers.models.WordPiece({"a": 0, "[SEP]": 1}, unk_token="[UNK]"))
    hf.save(str(tmp_path / "tokenizer.json"))  # which cannot encode what it does not know
    with pytest.raises(LangueError, match=r"is not a tokenizer\.json: .*Missing"):
        Tokenizer.load(tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer.json").write_bytes(b"\xff{}")
    with pytest.raises(LangueError, match=r"is not a tokenizer\.json"):
        Tokenizer.load(tmp_path / "tokenizer.json")


def test_a_tokenizer_that_loses_text_is_closed(tmp_path: Path) -> None:
    hf = tokenizers.BertWordPieceTokenizer()
    hf.train_from_iterator(TEXTS, vocab_size=200, show_progress=False)
    hf.save(str(tmp_path / "tokenizer.json"))
    assert Tokenizer.load(tmp_path / "tokenizer.json").closed


def test_a_broken_file_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(LangueError, match=r"is not a tokenizer\.json"):
        Tokenizer.load(tmp_path / "tokenizer.json")
    with pytest.raises(LangueError, match="cannot read"):
        Tokenizer.load(tmp_path / "absent.json")
