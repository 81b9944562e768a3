"""The number of threads changes nothing: the same bits with 1, 2 and 5, wherever threads share work."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

import langue
from langue.corpus.sample import sample_path
from langue.corpus.tagged import Sentence
from langue.inference.chain import Chain, map_blocks, offsets_of
from langue.inference.maxproduct import viterbi
from langue.inference.sumproduct import posteriors
from langue.interop.kenlm import Model
from langue.interop.words import learn
from langue.models.counts.ngram.counts import PART_POSITIONS, count
from langue.models.counts.ngram.estimate import SMOOTHINGS, estimate_tables
from langue.models.counts.ngram.score import score
from langue.models.family import TaggedData
from langue.models.states.hmm import baum_welch as em
from langue.models.states.hmm import cluster_tables as blocks
from langue.models.states.hmm.parameters import random_start
from langue.models.taggers.crf import CRFConfig, estimate, objective
from langue.models.taggers.crf.model import CRF

COUNTS = (1, 2, 5)
Arrays = Iterable[np.ndarray]


@pytest.fixture
def same_bits(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Arrays]], None]:
    """Asserts that a function gives the same arrays with any number of threads."""

    def check(make: Callable[[], Arrays]) -> None:
        digests = set()
        for threads in COUNTS:
            monkeypatch.setenv("LANGUE_THREADS", str(threads))
            digest = hashlib.sha256()
            for array in make():
                digest.update(np.ascontiguousarray(array).tobytes())
            digests.add(digest.digest())
        assert len(digests) == 1

    return check


def stream(positions: int, words: int) -> np.ndarray:
    """Documents of a made-up language in which some words are much more frequent than others."""
    draw = np.random.default_rng(0)
    ids = np.minimum(draw.zipf(1.3, positions) - 1, words).astype(np.uint32)  # `words` is `<s>`
    ids[[0, -1]] = words
    return ids


def test_ngrams_counted_estimated_and_scored(same_bits: Callable[[Callable[[], Arrays]], None]) -> None:
    ids = stream(3 * PART_POSITIONS, 500)

    def run() -> Arrays:
        for smoothing in SMOOTHINGS:
            levels = count(ids, 500, 3)
            yield from (levels.first, levels.word, levels.count, levels.children)
            tables = estimate_tables(levels, smoothing, prune=(0, 0, 1))
            yield from tables
            yield from score(tables.narrow(), ids)

    same_bits(run)


def test_words_learned_and_queried(
    same_bits: Callable[[Callable[[], Arrays]], None], small_models: dict[str, Path]
) -> None:
    draw = np.random.default_rng(0)
    words = [f"w{number}".encode() for number in range(2000)]
    text = b"\n".join(b" ".join(words[i] for i in row) for row in draw.integers(0, 2000, (30_000, 8)))
    model = Model(small_models["trigram"])

    def run() -> Arrays:
        known, ids = learn(np.frombuffer(text, np.uint8), 0, [b"</s>"])
        yield from (known.blob, known.begins, known.sizes, ids)
        yield np.array(model.query(text))
        yield model.scores(text.decode().splitlines()[:9_999])

    same_bits(run)


def test_sums_and_maxima_over_paths(same_bits: Callable[[Callable[[], Arrays]], None]) -> None:
    draw = np.random.default_rng(0)
    offsets = offsets_of(draw.integers(1, 60, 1000).tolist())
    unary, chain = draw.normal(size=(offsets[-1], 4)), Chain.of(draw.normal(size=(4, 4)))
    assert len(map_blocks(lambda first, last: None, offsets)) > 5
    same_bits(lambda: [*posteriors(chain, unary, offsets), *viterbi(chain, unary, offsets)])


def tagged(sentences: int) -> list[Sentence]:
    draw = np.random.default_rng(0)
    made = []
    for _ in range(sentences):
        words = draw.choice(["Anna", "left", "Rome", "7", "de"], draw.integers(1, 9)).tolist()
        tags = [
            "B-X" if word[0].isupper() and draw.random() < 0.9 else "O" for word in words
        ]  # noise: weights stay finite
        made.append(Sentence((tuple(words),), tuple(tags)))
    return made


@pytest.mark.parametrize("algorithm", ["lbfgs", "sgd"])
def test_crf_trained(
    algorithm: str, same_bits: Callable[[Callable[[], Arrays]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        objective, "PART_POSITIONS", 100
    )  # or it would take a large corpus to have eight parts
    sentences = tagged(1500)
    assert sum(len(sentence.tags) for sentence in sentences) > 4_000  # blocks of inference

    def run() -> Arrays:
        model = estimate(CRFConfig(algorithm=algorithm, iterations=6), TaggedData(("word",), sentences))
        assert isinstance(model, CRF)
        yield model.theta
        yield from model.marginals(sentences[:300])

    same_bits(run)


@pytest.mark.parametrize(
    ("states", "spread"), [(5, 1.0), (5, 1e-40), (80, 1.0)], ids=["looped", "exact", "products"]
)
def test_baum_welch(
    states: int,
    spread: float,
    same_bits: Callable[[Callable[[], Arrays]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(em, "PART_TOKENS", 500)
    draw = np.random.default_rng(0)
    pieces = em.group_of([draw.integers(0, 30, draw.integers(1, 50)) for _ in range(400)])
    start = random_start(states, np.full(30, 1 / 30), draw)
    start.transition[0, 1] *= spread  # too little for scaled probabilities
    prior = em.Prior(0.1, 0.1, torch.full((30,), 1 / 30, dtype=torch.float64))

    def run() -> Arrays:
        parts = em.baum_welch(start, pieces, prior, iterations=3, tolerance=0.0)
        return [*(part.numpy() for part in parts), np.array(em.log_likelihood(parts, pieces))]

    same_bits(run)


def test_gradients_of_a_clustered_hmm(same_bits: Callable[[Callable[[], Arrays]], None]) -> None:
    M, S, V, C = 7, 4, 40, 8
    draw = torch.Generator().manual_seed(0)
    shapes = ((2, M, S), (M, M, S), (M, S, C), (M, S, C), (V, S))
    tables = blocks.Tables(*(torch.randn(*shape, generator=draw) for shape in shapes))
    words = torch.randint(V, (6000,), generator=draw).numpy()
    offsets = np.arange(0, 6001, 30)

    def run() -> Arrays:
        total, gradients = blocks.expect(tables, np.arange(V) % M, words, offsets, np.zeros(200, np.int64))
        return [np.array(total), *(gradient.numpy() for gradient in gradients)]

    same_bits(run)


def test_a_store_prepared(same_bits: Callable[[Callable[[], Arrays]], None], tmp_path: Path) -> None:
    def run() -> Arrays:
        path = tmp_path / "store"
        langue.prepare([sample_path("english"), sample_path("chinese")], path, vocabulary=400, overwrite=True)
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield np.frombuffer(file.name.encode() + file.read_bytes(), np.uint8)

    same_bits(run)


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_threads_of_torch_do_not_spin_for_long_unless_they_are_told_to(
    given: dict[str, str], expected: str
) -> None:
    own = {
        key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    code = "import langue, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=own | given, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == expected
