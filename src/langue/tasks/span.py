"""The task `span`: which part of a text answers a question? Files are in the format of SQuAD or CMRC 2018."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from langue.base.bounds import Fraction, PositiveInt
from langue.base.errors import LangueError
from langue.corpus.sentences import SentenceSpan, stripped
from langue.models.encoders.span import FAMILY, EncoderSpanConfig, EncoderSpanPredictor, build
from langue.models.folder import ModelFolder
from langue.protocols import Masked
from langue.tasks.answers.spans import SpanReader, Window, answer_of, answerable, read_spans
from langue.tasks.answers.squad import Asked, exact_match, f1, read_squad
from langue.tasks.retrieval.terms import is_han
from langue.tasks.task import FinetuneConfig, Head, Labeled, Task, encoder_table, start_encoder

SAMPLE = 100  # questions by which the script is told


class SpanConfig(FinetuneConfig, frozen=True):
    """The `--set` of `langue finetune --task span`."""

    dropout: Fraction = 0.0  # of the states; transformers' head has none
    max_length: PositiveInt = 384  # tokens read at once, at most the encoder's window (Devlin et al.)
    overlap: PositiveInt = 128  # tokens that two windows of a long text share, at most half of one
    max_answer_tokens: PositiveInt = 30  # the same; of Chinese characters 50 and more may be better


class AskedOf(NamedTuple):
    """A question about a text."""

    asked: Asked
    text: str


class SpanExample(NamedTuple):
    """A question as the encoder reads it."""

    windows: list[Window]
    spans: list[tuple[int, int]]  # first and last token of the answer in each; empty: not to be learned
    question: str
    text: str
    answers: list[str]  # none: there is no answer


class SpanScores(NamedTuple):
    """How well questions are answered; shares."""

    exact_match: float
    f1: float
    questions: int


def read(path: Path, layout: object) -> Labeled[AskedOf]:
    paragraphs = read_squad(path)
    return Labeled([AskedOf(asked, one.text) for one in paragraphs for asked in one.questions])


def encode(reader: SpanReader, examples: Sequence[AskedOf]) -> list[SpanExample]:
    encoded = []
    for asked, text in examples:
        windows = reader.windows(asked.question, text)
        answers = [gold.text for gold in asked.answers]
        encoded.append(SpanExample(windows, _targets(asked, text, windows), asked.question, text, answers))
    return encoded


def _targets(asked: Asked, text: str, windows: Sequence[Window]) -> list[tuple[int, int]]:
    """Of each window the tokens at the ends of the first answer that stands in one; 0, 0 is `[CLS]`."""
    nothing = (0, 0)
    if not asked.answers:
        return [nothing] * len(windows)
    for gold in asked.answers:
        if gold.begin >= 0:
            span = stripped(text, SentenceSpan(gold.begin, gold.begin + len(gold.text)))
            ends = [window.ends(*span) for window in windows]
            if any(ends):
                return [one or nothing for one in ends]
    return []


def head(
    encoder: ModelFolder[Masked],
    all_examples: Sequence[AskedOf],
    training: Sequence[AskedOf],
    settings: SpanConfig,
) -> Head[AskedOf, SpanExample, EncoderSpanPredictor]:
    """Two logits for each token.

    Raises:
        LangueError: no question has an answer.
    """
    if not any(example.asked.answers for example in training):
        raise LangueError("no question of the training file has an answer: there is nothing to be learned")
    config = EncoderSpanConfig(
        encoder=encoder.family.name,
        encoder_config=encoder_table(encoder),
        dropout=settings.dropout,
        max_length=settings.max_length,
        overlap=settings.overlap,
        max_answer_tokens=settings.max_answer_tokens,
    )
    reader = SpanReader(
        encoder.tokenizer,
        encoder.normalization,
        encoder.model.specials,
        window=min(settings.max_length, encoder.model.window),
        overlap=settings.overlap,
    )
    passed_over = 0

    def network(seed: int) -> EncoderSpanPredictor:
        model = build(config, encoder.model.vocabulary, seed)
        start_encoder(model.encoder, encoder, settings)
        return model

    def encoded(examples: Sequence[AskedOf]) -> list[SpanExample]:
        nonlocal passed_over
        made = encode(reader, examples)
        passed_over += sum(not one.spans for one in made)
        return made

    return Head(
        config=config,
        build=network,
        encode=encoded,
        unit="question",
        facts={"examples": len(training)},
        remark=lambda: (
            f"of {passed_over:,} questions no answer stands in the text: they are not learned from"
            if passed_over
            else ""
        ),
    )


def loss(model: EncoderSpanPredictor, examples: Sequence[SpanExample]) -> torch.Tensor:
    """Σ -½ (log p(begin) + log p(end)), over windows."""
    learned = [one for one in examples if one.spans]
    if not learned:
        return 0.0 * model.out.bias.sum()
    windows = [(window.ids, window.types) for one in learned for window in one.windows]
    return model.loss(windows, [span for one in learned for span in one.spans])


def metric(model: EncoderSpanPredictor, examples: Sequence[SpanExample]) -> SpanScores:
    """EM and F1, with "no answer" below the threshold of the model."""
    readings = read_spans(model, [one.windows for one in examples])
    given = [answer_of(some, one.text, model.threshold) for some, one in zip(readings, examples, strict=True)]
    return _scores(given, examples)


def _scores(given: Sequence[str], examples: Sequence[SpanExample]) -> SpanScores:
    chinese = is_han("".join(one.question for one in examples[:SAMPLE]))
    pairs = [(said, one.answers) for said, one in zip(given, examples, strict=True)]
    return SpanScores(
        float(np.mean([exact_match(*pair, chinese=chinese) for pair in pairs])),
        float(np.mean([f1(*pair, chinese=chinese) for pair in pairs])),
        len(examples),
    )


def calibrate(model: EncoderSpanPredictor, examples: Sequence[SpanExample]) -> None:
    """Set the threshold to what gives the best F1 on these examples, as the script of SQuAD 2.0 finds it;
    where every question has an answer, one is always given."""
    if all(one.answers for one in examples):
        return
    chinese = is_han("".join(one.question for one in examples[:SAMPLE]))
    readings = read_spans(model, [one.windows for one in examples])
    likely = np.array([answerable(some) for some in readings])
    if_said = [
        f1(answer_of(some, one.text, 0.0), one.answers, chinese=chinese)
        for some, one in zip(readings, examples, strict=True)
    ]
    gain = np.array(if_said) - np.array([float(not one.answers) for one in examples])
    order = np.argsort(-likely, kind="stable")
    total = np.r_[0.0, np.cumsum(gain[order])]  # of those that are surest to have an answer: 0, 1, 2, …
    said = int(total.argmax())
    limits = np.r_[1.0, likely[order], 0.0]
    model.set_threshold(float((limits[said] + limits[said + 1]) / 2))


TASK = Task(
    name="span",
    summary="which part of a text answers a question?",
    family=FAMILY,
    read=read,
    text=lambda example: [example.text],  # so that what is held out has texts of its own
    head=head,
    loss=loss,
    metric=metric,
    calibrate=calibrate,
    figure="f1",
    targets=lambda example: len(example.spans),
    tokens=lambda example: sum(len(window.ids) for window in example.windows),
    settings=SpanConfig,
    use="langue answer QUESTION TEXT --model MODEL",
)
