"""The self-tests pass a sound model, and each fails the fault it exists for."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from langue.base.arrays import Floats, Ids
from langue.evaluation.checks import TOLERANCE, check
from langue.protocols import Causal, Vocabulary

SIZE = 6
TEXTS = [np.array([1, 2, 3, 1, 2, 0]), np.array([3, 3, 0])]


class Bigram(Causal):
    """A sound model of two-word windows, with a place to break it."""

    vocabulary = Vocabulary(SIZE, 0)
    window = None
    stride = None

    def __init__(self) -> None:
        logits = np.random.default_rng(0).normal(size=(SIZE, SIZE))
        self.table = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)  # (before, next)

    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        return [self.table[np.r_[0, ids[:-1]], ids] for ids in sequences]

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.table[[ids[-1] if len(ids) else 0 for ids in contexts]]

    def save(self, folder: Path) -> None:
        raise AssertionError

    def size(self) -> dict[str, int]:
        return {"bigrams": SIZE**2}

    def decoder(self, prompts: Sequence[Ids]) -> "BigramDecoder":
        return BigramDecoder(self, prompts)


class BigramDecoder:
    def __init__(self, model: Bigram, prompts: Sequence[Ids]) -> None:
        self.model = model
        self.last = np.array([ids[-1] if len(ids) else 0 for ids in prompts])

    def log_probs(self) -> Floats:
        return self.model.table[self.last]

    def extend(self, ids: Sequence[Ids]) -> None:
        self.last = np.asarray(ids)[:, -1]


class Unnormalized(Bigram):
    def __init__(self) -> None:
        super().__init__()
        self.table = self.table + np.log(0.9)


class LeaksAcrossTheBatch(Bigram):
    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        longest = max(map(len, sequences))
        return [scores - 0.01 * (longest - len(scores)) for scores in super().log_probs(sequences)]


class ScoresWithAnotherModel(Bigram):
    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        return [0.9 * scores for scores in super().log_probs(sequences)]


class GeneratesWithAnotherModel(Bigram):
    def decoder(self, prompts: Sequence[Ids]) -> BigramDecoder:
        return BigramDecoder(Bigram() if type(self) is Bigram else self._other(), prompts)

    def _other(self) -> Bigram:
        other = Bigram()
        other.table = other.table[::-1]
        return other


class SeesItsOwnLabel(Bigram):
    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        return [
            scores - 0.01 * ids[-1]
            for scores, ids in zip(super().log_probs(sequences), sequences, strict=True)
        ]


def failed(model: Bigram) -> set[str]:
    return {found.name for found in check(model, TEXTS) if not found.passed}


def test_a_sound_model_passes_every_check() -> None:
    found = check(Bigram(), TEXTS)
    assert len(found) == 5
    assert max(result.deviation for result in found) < 1e-12 < TOLERANCE


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Unnormalized(), "probabilities sum to one"),
        (LeaksAcrossTheBatch(), "same score alone and in a batch"),
        (ScoresWithAnotherModel(), "score is the sum of next-token log-probabilities"),
        (GeneratesWithAnotherModel(), "generation predicts what scoring predicts"),
        (SeesItsOwnLabel(), "no token sees its own label"),
    ],
)
def test_each_fault_fails_its_check(model: Bigram, name: str) -> None:
    assert name in failed(model)


def test_a_document_of_one_token_can_be_checked() -> None:
    assert all(found.passed for found in check(Bigram(), [np.array([0])]))
