"""Words and sentences of English and Chinese, in the tokens of every kind of tokenizer."""

from pathlib import Path

import numpy as np
import pytest

from langue.tokens.boundaries import Boundaries
from langue.tokens.tokenizer import Tokenizer
from langue.tokens.train import TokenizerConfig, train_tokenizer

ENGLISH = "The misunderstanding wasn't his, said Mr. Holmes."
CHINESE = "中华人民共和国的首都是北京，天下大势。"
SENTENCES = [
    ("Call me Ishmael. Some years ago I thought so.", ["Call me Ishmael.", " Some years ago I thought so."]),
    ('"Who are you?" he asked. "I!" She left.', ['"Who are you?" he asked.', ' "I!"', " She left."]),
    ("Mr. Holmes met J. Watson at 3.5 miles. Then?", ["Mr. Holmes met J. Watson at 3.5 miles.", " Then?"]),
    ("天下大势，分久必合。周末七国分争！是吗？", ["天下大势，分久必合。", "周末七国分争！", "是吗？"]),
    ("宝玉笑道：“你来了。”黛玉不答……走了。", ["宝玉笑道：“你来了。”", "黛玉不答……", "走了。"]),
    ("A title\n\nA text without an end\n第一回", ["A title\n\n", "A text without an end\n", "第一回"]),
    ("One. 二。Three.", ["One.", " 二。", "Three."]),
    ("no end", ["no end"]),
]


@pytest.fixture(scope="module", params=["bpe", "unigram", "wordpiece", "chars", "bytes", "words"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    texts = [ENGLISH, CHINESE, *(text for text, _ in SENTENCES)] * 5
    return train_tokenizer(TokenizerConfig(kind=request.param, vocabulary=400), texts)


def pieces(tokenizer: Tokenizer, ids: np.ndarray, starts: np.ndarray) -> list[str]:
    return [tokenizer.decode(part) for part in np.split(ids, starts[1:])]


def test_words_come_out_whole(tokenizer: Tokenizer) -> None:
    boundaries = Boundaries(tokenizer)
    ids = tokenizer.encode(ENGLISH)
    starts = np.flatnonzero(boundaries.words(ids))
    assert pieces(tokenizer, ids, starts) == [
        "The", " misunderstanding", " wasn't", " his", ",", " said", " Mr", ".", " Holmes", "."
    ]  # fmt: skip


def test_chinese_words_are_the_segmenters(tokenizer: Tokenizer) -> None:
    """Where a token reaches over an edge, the words it joins are one; elsewhere edges are exact."""
    boundaries = Boundaries(tokenizer)
    ids = tokenizer.encode(CHINESE)
    found = pieces(tokenizer, ids, np.flatnonzero(boundaries.words(ids)))
    words = ["中华人民共和国", "的", "首都", "是", "北京", "，", "天下", "大势", "。"]
    if tokenizer.kind in ("chars", "bytes", "words"):
        assert found == words
    edges = {0, *np.cumsum([len(word) for word in words]).tolist()}
    assert {0, *np.cumsum([len(word) for word in found]).tolist()} <= edges
    assert len(found) >= 5


@pytest.mark.parametrize(("text", "sentences"), SENTENCES)
def test_sentences(tokenizer: Tokenizer, text: str, sentences: list[str]) -> None:
    ids = tokenizer.encode(text)
    found = pieces(tokenizer, ids, Boundaries(tokenizer).sentences(ids))
    assert "".join(found) == text
    if tokenizer.kind in ("chars", "bytes", "words"):
        assert found == sentences
    assert {*np.cumsum(list(map(len, found)))} <= {*np.cumsum(list(map(len, sentences)))}


def test_special_tokens_and_torn_characters_are_borne() -> None:
    tokenizer = train_tokenizer(TokenizerConfig(kind="bytes"), ["a"])
    boundaries = Boundaries(tokenizer)
    ids = tokenizer.encode("北京 is 天")[1:-1].astype(np.int64)  # without the first and the last byte
    ids = np.r_[tokenizer.vocab_size + 2, ids, tokenizer.eos, tokenizer.encode("ab")]
    begins = boundaries.words(ids)
    assert len(begins) == len(ids)
    assert begins[[0, 1]].all()
    assert begins[-3:].tolist() == [True, True, False]  # `<eos>`, then "ab"
    assert boundaries.words(np.array([], np.int64)).tolist() == []


def test_another_makers_chinese_has_words_too(tmp_path: Path) -> None:
    """BERT's WordPiece puts every Chinese character between spaces; they are not there to us."""
    from tokenizers import Tokenizer as HFTokenizer
    from tokenizers import models, normalizers, pre_tokenizers

    entries = ["[PAD]", "[UNK]", "[SEP]", "play", "##ing", *"中华人民共和国的首都是北京"]
    hf = HFTokenizer(
        models.WordPiece({e: n for n, e in enumerate(dict.fromkeys(entries))}, unk_token="[UNK]")
    )
    hf.normalizer = normalizers.BertNormalizer()
    hf.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer = Tokenizer(hf)
    ids = tokenizer.encode("playing 中华人民共和国的首都")
    found = np.diff(np.r_[np.flatnonzero(Boundaries(tokenizer).words(ids)), len(ids)])
    assert found.tolist() == [2, 7, 1, 2]
