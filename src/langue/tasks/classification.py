"""Telling texts apart with a fine-tuned encoder: reading, predicting, measuring."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from langue.base.arrays import Ids, Int64Array
from langue.base.errors import LangueError, MissingExtra
from langue.corpus.labeled import Example, read_labeled
from langue.corpus.normalize import Normalization
from langue.evaluation.bootstrap import Ratio
from langue.models.folder import ModelFolder
from langue.protocols import Classifier, Masked
from langue.tasks.baselines.baselines import Comparison, measure_baselines, percent, share
from langue.tasks.calibration import Calibration, calibration
from langue.tokens.tokenizer import Tokenizer

Read = tuple[Int64Array, Int64Array]  # ids and types, with special tokens
# What stands in the place of baselines where there is nothing that they could learn from.
ASK_FOR_BASELINES = "baselines        name the training file, too: --train FILE"


class Scores(NamedTuple):
    """How well labels are predicted; shares."""

    accuracy: float
    macro_f1: float
    micro_f1: float  # equal to the accuracy where every label is known
    examples: int


class Reader:
    """Turns texts into what an encoder reads, and counts those it had to cut."""

    def __init__(
        self, model: Masked | Classifier, tokenizer: Tokenizer, normalization: Normalization
    ) -> None:
        self.window = model.window
        self.specials = model.specials
        self.tokenizer = tokenizer
        self.normalization = normalization
        self.truncated = 0

    def read(self, examples: Sequence[Example]) -> list[Read]:
        texts = [self.normalization.apply(text) for example in examples for text in example.texts]
        encoded = iter(self.tokenizer.encode_batch(texts) if texts else [])
        return [self._framed([next(encoded) for _ in example.texts]) for example in examples]

    def remark(self) -> str:
        """What a user is to know of what was read."""
        if not self.truncated:
            return ""
        return f"{self.truncated} texts are longer than the window and were cut at its end"

    def _framed(self, parts: Sequence[Ids]) -> Read:
        """`[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`; the longer part is cut first."""
        room = self.window - 1 - len(parts)
        lengths = [len(part) for part in parts]
        self.truncated += sum(lengths) > room
        if len(parts) == 2:
            first = min(lengths[0], max(room - lengths[1], room // 2))
            lengths = [first, min(lengths[1], room - first)]
        else:
            lengths = [min(lengths[0], room)]
        cls, sep, _ = self.specials
        ids = np.concatenate(
            [[cls], *(np.r_[part[:length], sep] for part, length in zip(parts, lengths, strict=True))]
        )
        types = (np.arange(len(ids)) > lengths[0] + 1).astype(np.int64)
        return ids.astype(np.int64), types


def unknown_label(label: str, location: str, labels: Sequence[str]) -> LangueError:
    """What to say of a label that training had not."""
    return LangueError(
        f"{location}: the label {label} is not in the training file, so no model can predict it; "
        f"known: {', '.join(labels[:12])}{' …' if len(labels) > 12 else ''}"
    )


def numbers(examples: Sequence[Example], labels: Sequence[str]) -> Int64Array:
    number = {label: index for index, label in enumerate(labels)}
    for example in examples:
        if example.label not in number:
            raise unknown_label(example.label, example.location, labels)
    return np.array([number[example.label] for example in examples], np.int64)


def measure(guesses: Int64Array, answers: Int64Array) -> Scores:
    """Accuracy and F1, by scikit-learn."""
    try:
        from sklearn.metrics import accuracy_score, f1_score
    except ImportError:
        raise MissingExtra("scikit-learn", "eval", "the F1 of labels") from None
    return Scores(
        float(accuracy_score(answers, guesses)),
        float(f1_score(answers, guesses, average="macro", zero_division=0.0)),
        float(f1_score(answers, guesses, average="micro", zero_division=0.0)),
        len(answers),
    )


@dataclass(frozen=True)
class ClassifierEvaluation:
    """A classifier measured on a file. It has no bits per byte: it is no model of text."""

    name: str
    scores: Scores
    accuracy: Ratio  # that of the scores, with its interval
    calibration: Calibration
    truncated: int
    seconds: float
    baselines: Comparison | None = None  # where a training file is given
    passed: bool = True  # a classifier has no self-tests of scores

    def to_json(self) -> dict[str, Any]:
        interval = self.accuracy.to_json()["interval"]
        facts = {"model": self.name, **self.scores._asdict(), "accuracy_interval": interval}
        facts["calibration"] = self.calibration.to_json()
        facts |= {"truncated": self.truncated, "seconds": round(self.seconds, 3)}
        return facts | (self.baselines.to_json() if self.baselines else {})

    def __str__(self) -> str:
        beside = self.baselines or ASK_FOR_BASELINES
        return (
            f"accuracy         {percent(self.accuracy)}\n{beside}\n"
            f"F1               {self.scores.macro_f1:.2%} macro, {self.scores.micro_f1:.2%} micro\n"
            f"probabilities    {self.calibration}\n"
            f"measured on      {self.scores.examples:,} examples, {self.truncated:,} too long and cut\n"
            "no bits per byte: a classifier says what a text is about, not how likely it is"
        )


def evaluate_classifier(
    folder: ModelFolder[Classifier], path: Path, train: Path | None = None
) -> ClassifierEvaluation:
    """Accuracy and F1 on a labeled file.

    Args:
        train: labeled file that the baselines, to be set beside the model, learn from.
    """
    started = time.perf_counter()
    model = folder.model
    reader = Reader(model, folder.tokenizer, folder.normalization)
    examples = read_labeled(path, texts=model.texts)
    training = read_labeled(train, texts=model.texts) if train is not None else None
    answers = numbers(examples, model.labels)
    sequences = reader.read(examples)
    log_probs = model.log_probs([ids for ids, _ in sequences], [types for _, types in sequences])
    guesses = log_probs.argmax(-1)
    right = guesses == answers
    beside = None
    if training is not None and train is not None:
        beside = Comparison.of(right, measure_baselines(training, examples), train.name)
    return ClassifierEvaluation(
        folder.path.name,
        measure(guesses, answers),
        share(right),
        calibration(log_probs, answers, model.temperature),
        reader.truncated,
        time.perf_counter() - started,
        beside,
    )
