"""Stores of tokens made on the spot."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

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
            writer.finish(tokenizer={"fingerprint": "made on the spot"}, normalisation={})
        return TokenStore(folder)

    return make
