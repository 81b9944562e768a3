"""The task `tag`: which label has each token of a sentence?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from langue.base.arrays import Array
from langue.base.config import encode as table_of
from langue.corpus.tagged import Layout, Sentence, TaggedConfig, read_tagged
from langue.inference.chain import offsets_of
from langue.models.folder import ModelFolder
from langue.models.taggers.base import NeuralTagger
from langue.models.taggers.encoder_tagger import FAMILY, EncoderTagger, EncoderTaggerConfig, Reader, build
from langue.models.taggers.heads import Head as TagHead
from langue.models.taggers.labels import Encoding, Labels, check_possible, spell_labels
from langue.protocols import Masked
from langue.tasks.classification import Scores
from langue.tasks.metrics import TagScores, measure, score_tags
from langue.tasks.results import FinetuneResult
from langue.tasks.tagging import describe, tell
from langue.tasks.task import FinetuneConfig, Head, Labeled, Task, encoder_table, start_encoder


class TagConfig(FinetuneConfig, frozen=True):
    """The `--set` of `langue finetune --task tag`."""

    head: TagHead = "crf"
    encoding: Encoding = "BIOES"  # of spans, inside
    constraints: bool = True  # only tag sequences that spell spans


class TaggedSentence(NamedTuple):
    """A sentence, and the numbers of its labels, which are read of the training data alone."""

    sentence: Sentence
    labels: Array


def read(path: Path, layout: TaggedConfig | Layout) -> Labeled[Sentence]:
    if isinstance(layout, Layout):  # of the training file
        tagged = read_tagged(path, layout.config(path))
    else:
        tagged = read_tagged(path, layout)
        tell(tagged)
    known = sorted({tag for sentence in tagged.sentences for tag in sentence.tags})
    return Labeled(tagged.sentences, Layout.of(tagged), describe(tagged, path, known))


def numbered(sentences: Sequence[Sentence], tags: Array) -> list[TaggedSentence]:
    """Sentences with the labels of all their tokens, `(N,)`."""
    parts = np.split(tags, offsets_of([len(sentence.words) for sentence in sentences])[1:-1])
    return [TaggedSentence(*pair) for pair in zip(sentences, parts, strict=True)]


def spelled(
    sentences: Sequence[Sentence], encoding: Encoding, *, constraints: bool
) -> tuple[Labels, list[TaggedSentence]]:
    """The labels of training sentences, and these with their own.

    Raises:
        LangueError: no tag is known, or known tags spell no spans.
    """
    labels, tags = spell_labels(sentences, encoding)
    check_possible(sentences, tags, labels.chain(constraints=constraints))
    return labels, numbered(sentences, tags)


def check_scores(sentences: Sequence[Sentence]) -> None:
    """See that such tags can be counted: a package that is missing is missed now, not after training."""
    right = [sentence.tags for sentence in sentences]
    score_tags(right, right)


def head(
    encoder: ModelFolder[Masked],
    all_sentences: Sequence[Sentence],
    training: Sequence[Sentence],
    settings: TagConfig,
) -> Head[Sentence, TaggedSentence, EncoderTagger]:
    """A CRF or a softmax on the states of tokens."""
    check_scores(all_sentences)
    labels, learned = spelled(training, settings.encoding, constraints=settings.constraints)
    of_training = {id(one.sentence): one for one in learned}
    known = encoder.model.vocabulary
    config = EncoderTaggerConfig(
        head=settings.head,
        encoder=encoder.family.name,
        encoder_config=encoder_table(encoder),
        vocabulary={"size": known.size, "eos": known.eos},
        normalization=table_of(encoder.normalization),
        labels=labels.names,
        scheme=labels.scheme,
        encoding=labels.encoding,
        constraints=settings.constraints,
        dropout=settings.dropout,
    )

    def network(seed: int) -> EncoderTagger:
        model = build(config, encoder.tokenizer, seed)
        start_encoder(model.encoder, encoder, settings)
        return model

    window = encoder.model.window
    reader = Reader(encoder.tokenizer, encoder.normalization, encoder.model.specials, window - 2)
    longer = 0
    none = np.zeros(0, np.int32)

    def encode(sentences: Sequence[Sentence]) -> list[TaggedSentence]:
        nonlocal longer
        longer += sum(len(reader.read([sentence]).windows) > 1 for sentence in sentences)
        return [of_training.get(id(one), TaggedSentence(one, none)) for one in sentences]

    def remark() -> str:
        what = f"{longer} sentences are longer than the window of {window} tokens; they are read in windows"
        return f"{what} that overlap" if longer else ""

    return Head(
        config=config,
        build=network,
        encode=encode,
        unit="entity" if labels.scheme else "tag",
        facts={"tags": sorted({tag for sentence in training for tag in sentence.tags})},
        reads_ids=False,
        remark=remark,
    )


def loss(model: NeuralTagger, sentences: Sequence[TaggedSentence]) -> torch.Tensor:
    """Σ -log p(tags | sentence)."""
    return model.loss([one.sentence for one in sentences], np.concatenate([one.labels for one in sentences]))


def metric(model: NeuralTagger, sentences: Sequence[TaggedSentence]) -> Scores:
    return shares(measure(model, [one.sentence for one in sentences]))


def shares(scores: TagScores) -> Scores:
    return Scores(scores.accuracy, scores.rows["macro"].f1, scores.f1, scores.sentences)


def measured(
    result: FinetuneResult, model: EncoderTagger, sentences: Sequence[TaggedSentence]
) -> dict[str, Any]:
    """Also what each type of entity came to."""
    valid = measure(model, [one.sentence for one in sentences]).to_json()
    facts = {key: value for key, value in valid.items() if key != "confusion"}
    return {"valid": facts, "seeds": result.to_json()}


TASK = Task(
    name="tag",
    summary="which label has each token of a sentence?",
    family=FAMILY,
    read=read,
    text=lambda sentence: sentence.words,
    labels=lambda sentence: sentence.tags,
    head=head,
    loss=loss,
    metric=metric,
    figure="micro_f1",
    targets=lambda one: len(one.labels),
    tokens=lambda one: len(one.sentence.words),
    by_length=True,
    settings=TagConfig,
    data=TaggedConfig,
    use="langue tag MODEL TEXT",
    measured=measured,
)
