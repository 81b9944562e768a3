"""Stores of tokens made on the spot."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import langue
from langue.tokens.store import StoreWriter, TokenStore

Corpus = Sequence[Sequence[int]]


@pytest.fixture
def make_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TokenStore]:
    """A store of documents given as ids; 0 is the end of a document."""

    def make(train: Corpus, *, vocabulary: int, held_out: Corpus = ((1,),)) -> TokenStore:
        folder: Path = tmp_path_factory.mktemp("store")
        with StoreWriter(folder, vocabulary_size=vocabulary, eos=0) as writer:
            for split, documents in (("train", train), ("valid", held_out), ("test", held_out)):
                for ids in documents:
                    writer.add(split, np.array(ids, np.uint32), bytes=4 * len(ids) + 1, words=len(ids))
            (folder / "tokenizer.json").write_text("{}")
            writer.finish(tokenizer={"fingerprint": "made on the spot"}, normalization={})
        return TokenStore(folder)

    return make


SENTENCES = (
    "The king is dead. Long live the king! 'Who are you?' he asked.",
    "天下大势，分久必合，合久必分。周末七国分争，并入于秦。",
    "It was a bright cold day in April, and the clocks were striking thirteen. Winston went in.",
    "话说宝玉来了。黛玉笑道：“你来做什么？”",
    "Call me Ishmael.",
    "Some years ago I thought I would sail about. It is a way I have. There is nothing surprising in this.",
)


@pytest.fixture(scope="session")
def text_store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    """A store of a few short texts in English and Chinese, with a real tokenizer."""
    folder = tmp_path_factory.mktemp("texts")
    texts = [f"{text} {number}" for number in range(8) for text in SENTENCES]
    for name in ("train", "held"):
        (folder / f"{name}.txt").write_text("\n".join(texts), encoding="utf-8")
    held = folder / "held.txt"
    langue.prepare(
        folder / "train.txt",
        folder / "store",
        valid=[held],
        test=[held],
        documents="line",
        vocabulary=400,
        near_duplicates="ignore",
    )
    return TokenStore(folder / "store")
