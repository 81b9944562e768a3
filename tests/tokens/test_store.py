import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langue.base.checksums import sealed
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


def altered(folder: Path, name: str, contents: bytes) -> None:
    """A file of a store replaced, with all hashes made right again: as whoever hands a store on can do."""
    path = folder / "manifest.json"
    (folder / name).write_bytes(contents)
    table = json.loads(path.read_text())
    del table["digest"]
    record = {"bytes": len(contents), "sha256": hashlib.sha256(contents).hexdigest()}
    table["files"][name] = record
    path.write_text(json.dumps(sealed(table)))


@pytest.mark.parametrize(
    ("name", "numbers", "message"),
    [
        ("tokens", np.array([1, 2, 0, 100, 0], "<u2"), r"train.tokens holds 100, .* below 100"),
        (
            "tokens",
            np.array([1, 2, 3, 3, 0], "<u2"),
            "train.offsets and the tokens: .* does not end with <eos>",
        ),
        ("tokens", np.array([1, 2, 0, 3], "<u2"), "train.offsets ends with 5, not with 4"),
        ("tokens", np.array([1, 2, 0, 3, 0, 1], "u1"), "train.tokens holds 768"),
        ("tokens", np.array([1, 2, 0], "u1"), r"train.tokens is damaged: it ends inside a number"),
        ("offsets", np.array([0, 5, 3], "<u8"), "train.offsets falls"),
        ("offsets", np.array([0, 3, 2**31], "<u8"), "train.offsets ends with 2147483648, not with 5"),
        ("offsets", np.array([2, 3, 5], "<u8"), "train.offsets begins with 2, not with 0"),
        ("offsets", np.array([0, 5, 5], "<u8"), "train.offsets has a document without tokens"),
        ("offsets", np.array([0, 5], "<u8"), r"train.bytes has the shape \(2,\)"),
        ("bytes", np.array([4, 2**63], "<u8"), "train.bytes are 9223372036854775812, where"),
        ("words", np.array([1], "<u8"), r"train.words has the shape \(1,\)"),
    ],
)
def test_a_made_up_store_is_refused_by_name(
    tmp_path: Path, name: str, numbers: np.ndarray, message: str
) -> None:
    store = write(tmp_path / "s", [("train", [1, 2], 1), ("train", [3], 1)])
    altered(store.path, f"train.{name}", numbers.tobytes())
    for verify in (True, False):
        with pytest.raises(LangueError, match=message):
            TokenStore(store.path, verify=verify)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocabulary_size": 3}, "train.tokens holds 3"),
        ({"vocabulary_size": -1}, "vocabulary_size: Expected `int` >= 1"),
        ({"vocabulary_size": 10**15}, "vocabulary_size: Expected `int` <= "),
        ({"eos": 5000}, "eos is 5000, and ids run to 99"),
        ({"eos": 2}, "does not end with <eos>"),
        ({"files": 3}, "files: Expected `object`, got `int`"),
        ({"files": {"train.tokens": {"bytes": 3}}}, "missing required field `sha256`"),
        ({"files": {"../a": {"bytes": 3, "sha256": "0" * 64}}}, "files"),
        ({"splits": {"train": {"documents": 2}}}, "splits: Object missing required field `valid`"),
        ({"normalization": None}, "normalization: Expected `object`, got `null`"),
        ({"tokenizer": []}, "tokenizer: Expected `object`, got `array`"),
        ({"format": "1"}, "has store format 1, not 1"),
        ({"report": {"a": 1}}, "what stands in it was altered"),
    ],
)
def test_a_manifest_of_other_contents_is_a_message(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    store = write(tmp_path / "s", [("train", [1, 2], 1), ("train", [3], 1)])
    path = store.path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(LangueError, match=message):
        TokenStore(store.path)


@pytest.mark.parametrize("text", ["[]", "null", "3", "{}", '{"format": 1}', "[" * 100_000])
def test_a_manifest_that_is_none_is_a_message(tmp_path: Path, text: str) -> None:
    store = write(tmp_path / "s", [("train", [1, 2], 1)])
    (store.path / "manifest.json").write_text(text)
    with pytest.raises(LangueError):
        TokenStore(store.path)
