"""`ranker`: which sentences belong to a summary, learned from documents and their summaries.

A logistic regression on features of each sentence (Edmundson 1969 weighed position, title, key and cue words
by hand; Kupiec, Pedersen and Chen 1995 learned it): p(in the summary | sentence) = σ(w · f). Right are the
sentences that stand in the summary; of a summary in words of its own, those that together share most words
with it, chosen greedily (Nallapati et al. 2017).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from langue.base.arrays import Array, BoolArray, Float64Array
from langue.base.bounds import NonNegativeFloat, PositiveInt
from langue.base.checked import ArraySpec, check, damaged, read_array
from langue.base.config import Config
from langue.base.errors import Mismatch
from langue.base.files import read_bytes
from langue.base.progress import bar
from langue.corpus.summary_pairs import SummaryPair
from langue.corpus.units import DocumentUnits, Unit, split_document
from langue.models.family import Family
from langue.models.summarizers.features import features, matrix_of
from langue.models.summarizers.salience import SentenceTerms
from langue.models.summarizers.terms import Background, terms_of
from langue.protocols import SentenceRanker, Vocabulary

TERMS = "terms.txt"
STEPS = 25  # of Newton's method, which needs about eight
SMOOTHING = 5.0  # occurrences of a cue word that count for nothing
REASONS = 3
LARGEST, MOST_DOCUMENTS = 1e6, 1e9  # of what is read from a folder: training stays far below


class RankerConfig(Config, frozen=True):
    """Settings of a ranker."""

    unit: Literal["sentence", "clause", "line"] = "sentence"  # line: the turns of a dialogue
    l2: NonNegativeFloat = 1.0  # × Σw² / 2, of features of variance 1
    minimum_count: PositiveInt = 2  # documents that a term occurs in, to be kept


class Weights(NamedTuple):
    """The arrays of a ranker: `F` features, `T` terms."""

    weights: Annotated[Array, ArraySpec("float64", ("F",), least=-LARGEST, most=LARGEST)]
    means: Annotated[Array, ArraySpec("float64", ("F",), least=-LARGEST, most=LARGEST)]
    scales: Annotated[Array, ArraySpec("float64", ("F",), least=0, most=LARGEST)]
    bias: Annotated[Array, ArraySpec("float64", (1,), least=-LARGEST, most=LARGEST)]
    documents: Annotated[Array, ArraySpec("float64", (1,), least=0, most=MOST_DOCUMENTS)]
    # In how many of these documents each term stands, and its log-odds of being in a summary.
    frequencies: Annotated[Array, ArraySpec("float64", ("T",), least=0, most=MOST_DOCUMENTS)]
    cues: Annotated[Array, ArraySpec("float64", ("T",), least=-LARGEST, most=LARGEST)]


class Ranker(SentenceRanker):
    """A trained ranker: a weight for each feature, and the terms of the documents it was trained on."""

    def __init__(self, unit: Unit, weights: Weights, terms: Sequence[str]) -> None:
        self.unit = unit
        self.arrays = weights
        self.terms = terms
        self.background = Background(
            float(weights.documents[0]), dict(zip(terms, weights.frequencies.tolist(), strict=True))
        )
        self.learned: dict[str, Any] = {}
        self._cues = dict(zip(terms, weights.cues.tolist(), strict=True))

    def sentence_log_odds(self, document: DocumentUnits) -> Float64Array:
        if not document.spans:
            return np.zeros(0)
        values = (matrix_of(self._features(document)) - self.arrays.means) / self.arrays.scales
        return values @ self.arrays.weights + self.arrays.bias[0]

    def sentence_reasons(self, document: DocumentUnits, sentences: Sequence[int]) -> list[list[str]]:
        table = self._features(document)
        names = list(table)
        values = (matrix_of(table) - self.arrays.means) / self.arrays.scales * self.arrays.weights
        reasons = []
        for row in values[list(sentences)]:
            strongest = np.argsort(-row, kind="stable")[:REASONS]
            reasons.append([f"{names[k]} {row[k]:+.2f}" for k in strongest if row[k] > 0])
        return reasons

    def _features(self, document: DocumentUnits) -> dict[str, Float64Array]:
        return features(document, self.background, partial(_cue, cues=self._cues))

    def size(self) -> dict[str, int]:
        return {"features": len(self.arrays.weights), "terms": len(self.terms)}

    def save(self, folder: Path) -> None:
        for name, array in self.arrays._asdict().items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        (folder / TERMS).write_text("".join(f"{term}\n" for term in self.terms), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, unit: Unit) -> "Ranker":
        """Read the arrays of a model folder.

        Raises:
            Damaged: one is not what it must be; it is named.
        """
        weights = Weights(*(read_array(folder / f"{name}.npy", mapped=False) for name in Weights._fields))
        try:
            terms = read_bytes(folder / TERMS).decode().split("\n")[:-1]
        except UnicodeDecodeError as error:
            raise damaged(folder, TERMS, f"is not UTF-8: byte {error.start}") from None
        check(weights, folder, None, T=len(terms), F=len(feature_names()))
        if (weights.scales <= 0).any():
            raise damaged(folder, "scales", "holds a number that is not above 0")
        return cls(unit, weights, terms)


def feature_names() -> list[str]:
    """What the weights of a ranker are of."""
    return list(features(split_document(""), Background(1, {}), lambda matrix: np.zeros(matrix.N)))


class Cues(NamedTuple):
    """How often each term stands in a sentence of a summary, and how often in any."""

    inside: Counter[str]
    anywhere: Counter[str]
    share: float  # of sentences that are in a summary

    def log_odds(self, inside: float, anywhere: float) -> float:
        """How much likelier a sentence with a term of these counts is to be in a summary, in nats."""
        rate = (inside + SMOOTHING * self.share) / (anywhere + SMOOTHING)
        return float(np.log(rate / self.share))

    def without(self, inside: Counter[str], anywhere: Counter[str]) -> dict[str, float]:
        """The cues of a document's terms in the other documents: else it would know its own answer."""
        return {
            term: self.log_odds(self.inside[term] - inside[term], self.anywhere[term] - count)
            for term, count in anywhere.items()
        }


def train(config: RankerConfig, pairs: Sequence[SummaryPair]) -> Ranker:
    """Learn from documents and their summaries.

    Raises:
        Mismatch: no sentence shares a word with its summary, or all are in it: there is nothing to learn.
    """
    documents = [split_document(pair.text, pair.title, config.unit) for pair in pairs]
    targets = [labels(document, pair.summary) for document, pair in zip(documents, pairs, strict=True)]
    y = np.concatenate([*targets, np.zeros(0, np.bool_)]).astype(np.float64)
    if not 0 < y.sum() < len(y):
        how_many = "all" if len(y) and y.all() else "none"
        raise Mismatch(
            f"{how_many} of the {len(y):,} sentences of {len(pairs):,} documents "
            "are in a summary; give documents that are longer than their summaries and share words with them"
        )
    counts = [_term_counts(document, chosen) for document, chosen in zip(documents, targets, strict=True)]
    total = Cues(Counter(), Counter(), float(y.mean()))
    for inside, anywhere in counts:
        total.inside.update(inside)
        total.anywhere.update(anywhere)
    frequencies = Background.of(anywhere for _, anywhere in counts).frequencies
    terms = [term for term, count in frequencies.items() if count >= config.minimum_count]
    background = Background(len(pairs), {term: frequencies[term] for term in terms})
    rows = []
    with bar("features", len(documents)) as progress:
        for document, own in zip(documents, counts, strict=True):
            progress.advance()
            if document.spans:
                cues = total.without(*own)
                rows.append(matrix_of(features(document, background, partial(_cue, cues=cues))))
    x = np.concatenate(rows)
    means, scales = x.mean(0), x.std(0)
    scales = np.where(scales > 1e-9, scales, 1.0)
    solution = _logistic_regression((x - means) / scales, y, config.l2)
    arrays = Weights(
        weights=solution[:-1],
        means=means,
        scales=scales,
        bias=solution[-1:],
        documents=np.array([float(len(pairs))]),
        frequencies=np.array([background.frequencies[term] for term in terms], np.float64),
        cues=np.array(
            [total.log_odds(total.inside[term], total.anywhere[term]) for term in terms], np.float64
        ),
    )
    ranker = Ranker(config.unit, arrays, terms)
    ranker.learned = {"share": total.share}
    return ranker


def _term_counts(document: DocumentUnits, chosen: BoolArray) -> tuple[Counter[str], Counter[str]]:
    """In how many sentences of the summary each term stands, and in how many at all."""
    inside, anywhere = Counter[str](), Counter[str]()
    for sentence, is_chosen in zip(document.sentences, chosen.tolist(), strict=True):
        terms = set(terms_of(sentence))
        anywhere.update(terms)
        if is_chosen:
            inside.update(terms)
    return inside, anywhere


def _cue(matrix: SentenceTerms, cues: Mapping[str, float]) -> Float64Array:
    """The mean of the cues of each sentence's terms: `(N,)`."""
    values = np.array([cues.get(term, 0.0) for term in matrix.terms] or [0.0])
    distinct = matrix.sum_by_row(np.ones(len(matrix.rows)))
    return matrix.sum_by_row(values[matrix.columns]) / np.maximum(distinct, 1.0)


def labels(document: DocumentUnits, summary: str) -> BoolArray:
    """Which sentences are right: those that stand in the summary, or share most with it: `(N,)`."""
    plain = _plain(summary)
    forms = [_plain(sentence) for sentence in document.sentences]
    copied: BoolArray = np.array([bool(form) and form in plain for form in forms], np.bool_)
    return copied if copied.any() else _greedy(document, summary)


def _plain(text: str) -> str:
    """A text without its white space and marks."""
    return "".join(filter(str.isalnum, text)).lower()


def _greedy(document: DocumentUnits, summary: str) -> BoolArray:
    """The sentences that together have the best F1 of terms and pairs of terms, one more at a time."""
    wanted = _grams(summary)
    grams = [_grams(sentence) for sentence in document.sentences]
    chosen: BoolArray = np.zeros(len(grams), np.bool_)
    held, best = Counter[tuple[str, ...]](), 0.0
    while True:
        scores = [-1.0 if chosen[k] else _f1(held + gram, wanted) for k, gram in enumerate(grams)]
        k = int(np.argmax(scores)) if scores else -1
        if k < 0 or scores[k] <= best:
            return chosen
        chosen[k], best = True, scores[k]
        held += grams[k]


def _grams(text: str) -> Counter[tuple[str, ...]]:
    terms = terms_of(text)
    return Counter([*((term,) for term in terms), *pairwise(terms)])


def _f1(held: Counter[tuple[str, ...]], wanted: Counter[tuple[str, ...]]) -> float:
    return 2.0 * (held & wanted).total() / max(held.total() + wanted.total(), 1)


def _logistic_regression(x: Float64Array, y: Float64Array, l2: float) -> Float64Array:
    """Weights and bias by Newton's method, `(F + 1,)`; the bias has no penalty.

    Args:
        x: features `(sentences, F)` of variance 1.
        y: 1 for the right sentences, else 0.
    """
    z = np.hstack([x, np.ones((len(x), 1))])
    penalty = np.append(np.full(x.shape[1], l2 + 1e-6), 0.0)  # a feature that never varies keeps 0
    theta = np.zeros(z.shape[1])
    for _ in range(STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(z @ theta, -30.0, 30.0)))
        slope = z.T @ (p - y) + penalty * theta
        step = np.linalg.solve((z * (p * (1.0 - p))[:, None]).T @ z + np.diag(penalty), slope)
        theta -= step
        if float(np.abs(step).max()) < 1e-6:
            break
    return theta


def load(folder: Path, config: RankerConfig, vocabulary: Vocabulary | None = None) -> Ranker:
    return Ranker.load(folder, config.unit)


FAMILY = Family(
    name="ranker",
    summary="logistic regression that ranks sentences for a summary",
    makes=SentenceRanker,
    config=RankerConfig,
    estimated_by="optimization",
    estimate=train,
    load=load,
)
