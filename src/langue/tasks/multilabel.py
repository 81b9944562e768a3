"""The task `multilabel`: what is a text, of several things that it may all be, or none of them?

Each label is a yes or no of its own (a sigmoid, and binary cross-entropy); a text has those that are likelier
than not.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from langue.base.arrays import BoolArray, Float64Array, Floats, Int64Array
from langue.base.errors import LangueError
from langue.corpus.labeled import Example, LabelSet, read_label_sets
from langue.evaluation.bootstrap import Ratio, ratio
from langue.models.encoders.classifier import FAMILY, EncoderClassifier
from langue.models.folder import ModelFolder
from langue.protocols import Classifier, Masked
from langue.tasks.baselines.baselines import percent, share, words
from langue.tasks.calibration import Calibration, best_temperature, calibration
from langue.tasks.classification import ASK_FOR_BASELINES, Reader, unknown_label
from langue.tasks.classify import on_encoder
from langue.tasks.task import FinetuneConfig, Head, Labeled, Task
from langue.tokens.masked import pack_examples

LIKELIER = np.log(0.5)


class LabeledText(NamedTuple):
    """A text as an encoder reads it, and which labels it has."""

    ids: Int64Array
    types: Int64Array
    labels: BoolArray  # (labels,)


class SetScores(NamedTuple):
    """How well sets of labels are predicted; shares."""

    micro_f1: float  # of all decisions for a label
    macro_f1: float  # mean over labels
    exact: float  # texts whose labels are all right, and no others are said
    examples: int


def score_sets(said: BoolArray, right: BoolArray) -> SetScores:
    """Of tables `(texts, labels)`. A label that no text has, nor is said to, counts as 0 in the mean."""
    both, either = (said & right).sum(0), said.sum(0) + right.sum(0)
    return SetScores(
        float(2 * both.sum() / max(either.sum(), 1)),
        float((2 * both / np.maximum(either, 1)).mean()),
        float((said == right).all(1).mean()),
        len(right),
    )


def micro_f1(said: BoolArray, right: BoolArray) -> Ratio:
    """With an interval over texts."""
    nothing = 1e-9  # added to what is divided by: a draw of texts without labels has an F1 of 0
    return ratio(2.0 * (said & right).sum(1), said.sum(1) + right.sum(1) + nothing)


def table_of(examples: Sequence[LabelSet], labels: Sequence[str]) -> BoolArray:
    """Which labels each text has: `(texts, labels)`.

    Raises:
        LangueError: one has a label that is not known.
    """
    number = {label: index for index, label in enumerate(labels)}
    table = np.zeros((len(examples), len(labels)), np.bool_)
    for row, example in enumerate(examples):
        for label in example.labels:
            if label not in number:
                raise unknown_label(label, example.location, labels)
            table[row, number[label]] = True
    return table


def as_examples(sets: Sequence[LabelSet]) -> list[Example]:
    """The same texts for whoever reads texts alone."""
    return [Example((one.text,), "", one.location) for one in sets]


def encode(reader: Reader, sets: Sequence[LabelSet], labels: Sequence[str]) -> list[LabeledText]:
    rows = zip(reader.read(as_examples(sets)), table_of(sets, labels), strict=True)
    return [LabeledText(ids, types, row) for (ids, types), row in rows]


def head(
    encoder: ModelFolder[Masked],
    all_examples: Sequence[LabelSet],
    training: Sequence[LabelSet],
    settings: FinetuneConfig,
) -> Head[LabelSet, LabeledText, EncoderClassifier]:
    """A pooled state, and a logit for each label.

    Raises:
        LangueError: no text has a label.
    """
    labels = sorted({label for example in all_examples for label in example.labels})
    if not labels:
        raise LangueError(f"{all_examples[0].location} and all that follow have no label: nothing is learned")
    config, network = on_encoder(encoder, labels, settings, "multilabel")
    reader = Reader(encoder.model, encoder.tokenizer, encoder.normalization)
    return Head(
        config=config,
        build=network,
        encode=lambda sets: encode(reader, sets, labels),
        unit="label of a text",
        facts={"examples": len(training), "labels": labels},
        truncated=lambda: reader.truncated,
        remark=reader.remark,
    )


def loss(model: EncoderClassifier, texts: Sequence[LabeledText]) -> torch.Tensor:
    """Σ over texts and labels of -log p(the label is there, or is not)."""
    batch = pack_examples([(one.ids, one.types) for one in texts], model.encoder.window)
    logits = model(batch).float()
    targets = torch.from_numpy(np.stack([one.labels for one in texts])).to(logits)
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")


def _predicted(model: Classifier, texts: Sequence[LabeledText]) -> tuple[Floats, BoolArray]:
    """Log-probabilities of labels and which are right, `(texts, labels)`."""
    log_probs = model.log_probs([one.ids for one in texts], [one.types for one in texts])
    return log_probs, np.stack([one.labels for one in texts])


def metric(model: EncoderClassifier, texts: Sequence[LabeledText]) -> SetScores:
    log_probs, right = _predicted(model, texts)
    return score_sets(log_probs > LIKELIER, right)


def decisions(log_probs: Floats, right: BoolArray) -> tuple[Float64Array, Int64Array]:
    """Each label of each text as a choice of two: log-probabilities `(decisions, 2)` and which is right."""
    yes = log_probs.astype(np.float64).ravel()
    no = np.log(-np.expm1(np.minimum(yes, -1e-12)))
    return np.stack([yes, no], 1), 1 - right.ravel().astype(np.int64)


def calibrate(model: EncoderClassifier, texts: Sequence[LabeledText]) -> None:
    """Set the temperature by which the labels of these texts are likeliest."""
    model.set_temperature(1.0)
    model.set_temperature(best_temperature(*decisions(*_predicted(model, texts))))


@dataclass(frozen=True)
class MultilabelEvaluation:
    """A classifier of several labels, measured on a file."""

    name: str
    scores: SetScores
    micro_f1: Ratio  # that of the scores, with its interval
    exact: Ratio
    calibration: Calibration  # of the decisions for each label
    truncated: int
    seconds: float
    words: Ratio | None = None  # micro-F1 of logistic regressions on words, where a training file is given
    passed: bool = True  # it has no self-tests of scores

    def to_json(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"model": self.name, **self.scores._asdict()}
        facts |= {"micro_f1_interval": self.micro_f1.to_json()["interval"]}
        facts |= {"calibration": self.calibration.to_json(), "truncated": self.truncated}
        facts |= {"seconds": round(self.seconds, 3)}
        return facts | ({"baselines": {"words": self.words.to_json()}} if self.words else {})

    def __str__(self) -> str:
        words = f"baseline         {percent(self.words)} micro-F1 of words" if self.words else ""
        return (
            f"micro-F1         {percent(self.micro_f1)}\n{words or ASK_FOR_BASELINES}\n"
            f"macro-F1         {self.scores.macro_f1:.2%}\n"
            f"all right        {percent(self.exact)}\n"
            f"probabilities    {self.calibration}\n"
            f"measured on      {self.scores.examples:,} examples, {self.truncated:,} too long and cut"
        )


def evaluate_multilabel(
    folder: ModelFolder[Classifier], path: Path, train: Path | None = None
) -> MultilabelEvaluation:
    """F1 on a labeled file.

    Args:
        train: labeled file that the baseline, to be set beside the model, learns from.
    """
    started = time.perf_counter()
    model = folder.model
    reader = Reader(model, folder.tokenizer, folder.normalization)
    sets = read_label_sets(path)
    log_probs, right = _predicted(model, encode(reader, sets, model.labels))
    said = log_probs > LIKELIER
    return MultilabelEvaluation(
        folder.path.name,
        score_sets(said, right),
        micro_f1(said, right),
        share((said == right).all(1)),
        calibration(*decisions(log_probs, right), model.temperature),
        reader.truncated,
        time.perf_counter() - started,
        micro_f1(words_baseline(read_label_sets(train), sets, model.labels), right) if train else None,
    )


def words_baseline(
    training: Sequence[LabelSet], measured: Sequence[LabelSet], labels: Sequence[str]
) -> BoolArray:
    """What a logistic regression on words says of each label: `(texts, labels)`."""
    learned, asked = ([(one.text,) for one in some] for some in (training, measured))
    columns = [
        words(learned, np.array([label in one.labels for one in training], np.int64), 2)(asked).argmax(-1)
        for label in labels
    ]
    return np.stack(columns, 1).astype(np.bool_)


TASK: Task[Any, Any, Any] = Task(
    name="multilabel",
    summary="what is a text, of several things that it may all be?",
    family=FAMILY,
    read=lambda path, layout: Labeled(read_label_sets(path)),
    text=lambda example: [example.text],
    labels=lambda example: example.labels,
    head=head,
    loss=loss,
    metric=metric,
    calibrate=calibrate,
    figure="micro_f1",
    tokens=lambda example: len(example.ids),
    use="langue classify MODEL TEXT",
)
