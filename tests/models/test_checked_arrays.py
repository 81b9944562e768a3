"""Every family, every array on disk, every way to be wrong: each is refused, by name.

What stands in a folder was perhaps made up by someone, its hashes right: compiled code must not be the first
to see it. An edit that keeps to type, shape and range may pass, if the model still answers in probabilities.
"""

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tests.models.made import MADE, make

from langue.base.config import decode
from langue.base.errors import LangueError
from langue.corpus.tagged import Sentence
from langue.corpus.units import split_document
from langue.models.folder import describe
from langue.models.registry import MODULES, family
from langue.protocols import (
    Causal,
    Classifier,
    Masked,
    SentenceRanker,
    SpanPredictor,
    Tagger,
    Vocabulary,
)

MODELS = Path(__file__).parents[1] / "compat" / "data" / "models"
FAMILIES = [
    "class-ngram", "hmm", "hmm-second", "infinigram", "loglinear", "markov", "ngram", "ngram-entropy",
    "ngram-quantised", "ngram-stupid-backoff", "crf", "crf-passes", "hmm-tagger", "hmm-tagger-first",
]  # fmt: skip
# Of networks, whose tensors are many and alike, so many.
NETWORKS = {
    "albert": 2, "bert": 2, "bert2bert": 3, "charcnn": 3, "classifier": 2, "encoder-tagger": 2, "gpt2": 3,
    "neural-hmm": 4, "nplm": 2, "pair": 2, "rnn": 2, "rnn-tagger": 3, "transformer": 3,
}  # fmt: skip
WITHOUT_ARRAYS = {"mixture"}  # which has those of its parts
CLOSE = 2e-3  # of what probabilities sum to: as `langue evaluate --check`


def test_no_family_is_left_out() -> None:
    kept = {describe(MODELS / name).family for name in (*FAMILIES, *NETWORKS)}
    assert kept | WITHOUT_ARRAYS | MADE.keys() >= set(MODULES)


def unpacked(name: str, to: Path) -> Path:
    folder = shutil.copytree(MODELS / name, to / name)
    for path in folder.rglob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    return folder


def arrays_in(folder: Path) -> Iterator[tuple[Path, str, np.ndarray]]:
    """Files, and the arrays in them by the name that a message gives."""
    for path in sorted(folder.rglob("*.npy")):
        yield path, path.stem, np.load(path)
    for path in sorted(folder.rglob("*.safetensors")):
        for name, array in load_file(path).items():
            yield path, name, array


def write(path: Path, name: str, array: np.ndarray) -> None:
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        save_file(load_file(path) | {name: np.ascontiguousarray(array)}, path)


def edits(array: np.ndarray, seed: int) -> Iterator[tuple[str, np.ndarray, bool]]:
    """What an array becomes, and whether that can be no array of any model."""
    at = np.random.default_rng(seed).integers(max(array.size, 1))

    def put(value: Any) -> np.ndarray:
        changed = array.copy()
        changed.reshape(-1)[at] = value
        return changed

    most = {"f": 2.0**31, "b": 1}.get(array.dtype.kind)
    if most is None:
        most = min(2**31, np.iinfo(array.dtype).max)
    if array.size:
        yield "2^31", put(most), most == 2**31
        if array.dtype.kind == "f":
            yield "NaN", put(np.nan), True
            yield "inf", put(np.inf), True
        if array.dtype.kind in "fi":
            yield "-1", put(-1), False
        yield "shorter", array[:-1], True
    yield "two-dimensional", array[None], True
    other = {"f": np.float64, "b": np.int8}.get(array.dtype.kind, np.float32)
    yield "another dtype", array.astype(np.float16 if array.dtype == other else other), True


def loaded(folder: Path) -> Any:
    description = describe(folder)
    kind = family(description.family)
    known = description.vocabulary
    vocabulary = Vocabulary(known.size, known.eos, sep=known.sep) if known else Vocabulary(0, 0)
    return kind.load(folder, decode(kind.config, description.config, "config", stored=True), vocabulary)


def assert_distributes(model: Any) -> None:
    """The model answers in probabilities."""
    if isinstance(model, Tagger):
        sentence = Sentence(tuple(("A", "dog", "barks") for _ in model.columns))
        assert len(model.tag([sentence])[0]) == 3
        (rows,) = model.marginals([sentence])
    elif isinstance(model, Causal):
        contexts = [np.array(ids, np.uint32) for ids in ([], [3], [5, 2], [2, 3, 5, 7], [1] * 9)]
        model.log_probs(contexts)
        rows = np.exp(model.next_log_probs(contexts).astype(np.float64))
        if not getattr(model, "normalized", True):
            assert not np.isnan(rows).any()
            return
    elif isinstance(model, Masked) and model.no_mlm_head:
        assert np.isfinite(model.hidden([np.array([3, 5, 7])])[0]).all()
        return
    elif isinstance(model, Masked):
        rows = np.exp(model.masked_log_probs([np.array([3, 5, 7])], [np.array([1])])[0].astype(np.float64))
    elif isinstance(model, SpanPredictor):
        assert np.isfinite(model.span_logits([np.array([3, 5, 7])], [np.array([0, 1, 1])])[0]).all()
        return
    elif isinstance(model, SentenceRanker):
        assert np.isfinite(model.sentence_log_odds(split_document("We saw Rome. It rained."))).all()
        return
    elif isinstance(model, Classifier):
        rows = np.exp(model.log_probs([np.array([3, 5, 7])], [np.array([0, 0, 0])]))
        if model.multilabel:
            assert ((rows >= 0) & (rows <= 1)).all()
            return
    else:
        raise AssertionError(f"{type(model).__name__} is of no kind that is looked at")
    low = 0.85 if getattr(model, "rounded_down", False) else 1 - CLOSE
    assert ((low <= rows.sum(-1)) & (rows.sum(-1) <= 1 + CLOSE)).all()


@pytest.mark.filterwarnings("ignore::langue.base.deprecated.RenamedWarning")
@pytest.mark.parametrize("name", [*FAMILIES, *NETWORKS, *MADE])
def test_an_array_that_is_not_what_it_must_be_is_named(name: str, tmp_path: Path) -> None:
    folder = make(name, tmp_path / name) if name in MADE else unpacked(name, tmp_path)
    assert_distributes(loaded(folder))
    every = list(arrays_in(folder))
    if name not in FAMILIES and name != "ranker":
        odd = [one for one in every if one[2].dtype.kind != "f"]
        step = max(len(every) // NETWORKS.get(name, 2), 1)
        every = odd + [one for one in every if one[2].dtype.kind == "f"][::step]
    for path, array_name, array in every:
        assert_refused(folder, path, array_name, array)


def assert_refused(folder: Path, path: Path, array_name: str, array: np.ndarray) -> None:
    """An array is refused by its name whatever is wrong with it, or the model still distributes."""
    whole = path.read_bytes()
    for what, changed, impossible in edits(array, len(folder.name)):
        write(path, array_name, changed)
        try:
            model = loaded(folder)
        except LangueError as error:
            assert array_name in str(error), f"{array_name}, {what}: {error}"
        else:
            free = what == "shorter" and array_name == "separators"  # of which there may be any number
            assert free or not impossible, f"{array_name} ({array.dtype}), {what}, was taken"
            assert_distributes(model)
        path.write_bytes(whole)


@pytest.mark.parametrize("name", ["ngram", "loglinear", "crf"])
def test_files_that_are_no_arrays_are_refused(name: str, tmp_path: Path) -> None:
    """Cut, of objects, empty, or of another form."""
    folder = unpacked(name, tmp_path)
    for path in sorted([*folder.glob("*.npy"), *folder.glob("*.safetensors")]):
        whole = path.read_bytes()
        np.save(tmp_path / "objects.npy", np.array([{}, []], object), allow_pickle=True)
        header = whole[:40] + b"[" * 40 + whole[80:]
        for contents in (
            b"",
            whole[:7],
            whole[: len(whole) - 3],
            (tmp_path / "objects.npy").read_bytes(),
            header,
        ):
            path.write_bytes(contents)
            with pytest.raises(LangueError, match=path.name):
                loaded(folder)
        path.write_bytes(whole)
        path.unlink()
        with pytest.raises(LangueError, match=path.stem):
            loaded(folder)
        path.write_bytes(whole)


def shuffled(array: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).permutation(array.reshape(-1)).reshape(array.shape)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_permuted_or_constant_is_refused_or_still_distributes(name: str, tmp_path: Path) -> None:
    """Every number in range, and nothing in its place: no crash, no search without end, no half of a sum."""
    folder = unpacked(name, tmp_path)
    for path, array_name, array in arrays_in(folder):
        if not array.size:
            continue
        whole = path.read_bytes()
        reverse = array.reshape(-1)[::-1].reshape(array.shape)
        for changed in (shuffled(array), np.full_like(array, array.flat[0]), reverse, np.roll(array, 1)):
            write(path, array_name, changed)
            try:
                model = loaded(folder)
            except LangueError:
                pass
            else:
                assert_distributes(model)
        path.write_bytes(whole)


def test_a_suffix_that_goes_in_circles_and_a_full_index_are_refused(tmp_path: Path) -> None:
    folder = unpacked("ngram", tmp_path)
    first, suffix = np.load(folder / "first.npy"), np.load(folder / "suffix.npy")
    circle = suffix.copy()
    circle[first[1]] = first[1]  # a bigram that is its own suffix
    np.save(folder / "suffix.npy", circle)
    with pytest.raises(LangueError, match="suffix"):
        loaded(folder)
    np.save(folder / "suffix.npy", suffix)
    slots = np.load(folder / "slots.npy")
    np.save(folder / "slots.npy", np.zeros_like(slots))
    with pytest.raises(LangueError, match="slots"):
        loaded(folder)
