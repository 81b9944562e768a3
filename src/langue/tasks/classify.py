"""The task `classify`: what is a text?"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from langue.base.arrays import Floats, Int64Array
from langue.base.errors import LangueError
from langue.corpus.labeled import Example, read_labeled
from langue.models.encoders.classifier import FAMILY, ClassifierConfig, EncoderClassifier, build
from langue.models.encoders.pooling import Pooling
from langue.models.folder import ModelFolder
from langue.protocols import Masked, Vocabulary
from langue.tasks.calibration import best_temperature
from langue.tasks.classification import Reader, Scores, measure, numbers
from langue.tasks.task import FinetuneConfig, Head, Labeled, Task, encoder_table, start_encoder
from langue.tokens.masked import pack_examples


class ClassifyConfig(FinetuneConfig, frozen=True):
    """The `--set` of `langue finetune --task classify` and `pair`."""

    # balanced: a rare label counts as much as a common one, in the loss and, by macro-F1, in the epoch chosen
    class_weights: Literal["none", "balanced"] = "none"


class Text(NamedTuple):
    """A labeled text, or pair, as an encoder reads it."""

    ids: Int64Array
    types: Int64Array
    label: int
    weight: float = 1.0  # in the loss


def read(path: Path, layout: object, *, texts: int) -> Labeled[Example]:
    return Labeled(read_labeled(path, texts=texts))


Kind = Literal["classify", "pair", "multilabel"]


def on_encoder(
    encoder: ModelFolder[Masked], labels: Sequence[str], settings: FinetuneConfig, task: Kind
) -> tuple[ClassifierConfig, Callable[[int], EncoderClassifier]]:
    """The configuration of a classifier, and the network of a seed."""
    says: Pooling = (
        "cls" if encoder.model.sentence_pairs != "none" else "mean"
    )  # an untrained [CLS] says little
    config = ClassifierConfig(
        task=task,
        encoder=encoder.family.name,
        encoder_config=encoder_table(encoder),
        labels=tuple(labels),
        dropout=settings.dropout,
        pooling=settings.pooling if settings.pooling != "auto" else says,
    )

    def network(seed: int) -> EncoderClassifier:
        known = encoder.model.vocabulary
        model = build(config, Vocabulary(known.size, known.eos), seed)
        if start_encoder(model.encoder, encoder, settings):
            model.initialize(seed)  # the pooler is the encoder's
        return model

    return config, network


def head(
    encoder: ModelFolder[Masked],
    all_examples: Sequence[Example],
    training: Sequence[Example],
    settings: ClassifyConfig,
    *,
    task: Kind,
) -> Head[Example, Text, EncoderClassifier]:
    """A pooled state, and a linear layer on it.

    Raises:
        LangueError: there is one label only.
    """
    labels = tuple(sorted({example.label for example in all_examples}))
    if len(labels) < 2:
        where = all_examples[0].location.rpartition(", line")[0]
        raise LangueError(f"{where} has one label only, {labels[0]}: there is nothing to tell apart")
    measure(np.arange(2), np.arange(2))  # a package that is missing is missed now, not after training
    reader = Reader(encoder.model, encoder.tokenizer, encoder.normalization)
    config, network = on_encoder(encoder, labels, settings, task)
    weights = class_weights(training, labels, settings)

    def encode(examples: Sequence[Example]) -> list[Text]:
        answers = numbers(examples, labels)
        pairs = zip(reader.read(examples), answers, strict=True)
        return [Text(ids, types, int(answer), weights[answer]) for (ids, types), answer in pairs]

    return Head(
        config=config,
        build=network,
        encode=encode,
        figure="macro_f1" if settings.class_weights == "balanced" else None,
        facts={"examples": len(training), "labels": list(labels)},
        truncated=lambda: reader.truncated,
        remark=reader.remark,
    )


def class_weights(
    training: Sequence[Example], labels: Sequence[str], settings: ClassifyConfig
) -> Sequence[float]:
    """Of each label; over the training examples their mean is 1."""
    if settings.class_weights == "none":
        return [1.0] * len(labels)
    counts = Counter(example.label for example in training)
    return [len(training) / (len(counts) * max(counts[label], 1)) for label in labels]


def loss(model: EncoderClassifier, examples: Sequence[Text]) -> torch.Tensor:
    """Σ -log p(label | text), each by the weight of its label."""
    batch = pack_examples([(one.ids, one.types) for one in examples], model.encoder.window)
    logits = model(batch).float()
    answers = torch.tensor([one.label for one in examples], device=logits.device)
    weights = torch.tensor([one.weight for one in examples], device=logits.device)
    return (F.cross_entropy(logits, answers, reduction="none") * weights).sum()


def _predicted(model: EncoderClassifier, examples: Sequence[Text]) -> tuple[Floats, Int64Array]:
    """Log-probabilities and right labels."""
    log_probs = model.log_probs([one.ids for one in examples], [one.types for one in examples])
    return log_probs, np.array([one.label for one in examples])


def metric(model: EncoderClassifier, examples: Sequence[Text]) -> Scores:
    log_probs, answers = _predicted(model, examples)
    return measure(np.argmax(log_probs, -1), answers)


def calibrate(model: EncoderClassifier, examples: Sequence[Text]) -> None:
    """Set the temperature by which the labels of these examples are likeliest."""
    model.set_temperature(1.0)
    model.set_temperature(best_temperature(*_predicted(model, examples)))


def classification(name: Literal["classify", "pair"], summary: str, texts: int) -> Task[Any, Any, Any]:
    """The task on so many texts at a time."""
    return Task(
        name=name,
        summary=summary,
        family=FAMILY,
        read=partial(read, texts=texts),
        text=lambda example: example.texts,
        labels=lambda example: [example.label],
        head=partial(head, task=name),
        loss=loss,
        metric=metric,
        calibrate=calibrate,
        figure="accuracy",
        settings=ClassifyConfig,
        tokens=lambda example: len(example.ids),
        use="langue classify MODEL TEXT",
    )


TASK = classification("classify", "what is a text?", 1)
