from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langue.base.errors import LangueError
from langue.tokens.store import SPLITS, StoreWriter, TokenStore, token_dtype

DOCUMENT = st.tuples(st.sampled_from(SPLITS), st.lists(st.integers(1, 99)), st.integers(0, 9))


def write(folder: Path, documents: list[tuple[str, list[int], int]], size: int = 100) -> TokenStore:
    folder.mkdir(exist_ok=True)
    with StoreWriter(folder, vocabulary_size=size, eos=0) as writer:
        for split, ids, words in documents:
            writer.add(split, np.array(ids, np.uint32), bytes=2 * len(ids), words=words)
        (folder / "tokenizer.json").write_text("{}")
        writer.finish(tokenizer={"fingerprint": "x"})
    return TokenStore(folder)


@given(st.lists(DOCUMENT, max_size=20))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, documents: list[tuple[str, list[int], int]]
) -> None:
    store = write(tmp_path_factory.mktemp("store"), documents)
    for name in SPLITS:
        expected = [(ids, words) for split, ids, words in documents if split == name]
        split = store.splits[name]
        assert [list(ids) for ids in split.documents()] == [[*ids, 0] for ids, _ in expected]
        assert list(split.words) == [words for _, words in expected]
        assert list(split.bytes) == [2 * len(ids) for ids, _ in expected]


def test_ids_take_the_narrowest_type() -> None:
    assert token_dtype(65536) == np.uint16
    assert token_dtype(65537) == np.uint32


def test_large_ids_survive(tmp_path: Path) -> None:
    store = write(tmp_path / "s", [("train", [70_000, 1], 2)], size=70_001)
    assert list(store.split("train").document(0)) == [70_000, 1, 0]


def test_the_fingerprint_follows_the_contents(tmp_path: Path) -> None:
    stores = [write(tmp_path / str(n), [("train", [n % 2 + 1], 1)]) for n in range(3)]
    assert stores[0].fingerprint == stores[2].fingerprint != stores[1].fingerprint


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    store = write(tmp_path / "s", [("train", [1, 2, 3], 1)])
    file = store.path / "train.tokens"
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(LangueError, match=r"damaged: train\.tokens has 6 bytes, not 8"):
        TokenStore(store.path, verify=False)


def test_an_altered_file_is_named(tmp_path: Path) -> None:
    store = write(tmp_path / "s", [("train", [1, 2, 3], 1)])
    file = store.path / "train.tokens"
    file.write_bytes(b"\x05" + file.read_bytes()[1:])
    with pytest.raises(LangueError, match=r"contents of train\.tokens were altered"):
        TokenStore(store.path)


def test_a_missing_file_no_store_and_an_empty_split_are_messages(tmp_path: Path) -> None:
    with pytest.raises(LangueError, match="not a token store"):
        TokenStore(tmp_path)
    store = write(tmp_path / "s", [("train", [1], 1)])
    with pytest.raises(LangueError, match=r"test split of .* is empty"):
        store.split("test")
    with pytest.raises(LangueError, match="unknown split tset"):
        store.split("tset")
    (store.path / "valid.words").unlink()
    with pytest.raises(LangueError, match=r"valid\.words is missing"):
        TokenStore(store.path)
