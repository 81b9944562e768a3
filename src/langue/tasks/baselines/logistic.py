"""Logistic regression on sparse rows by L-BFGS, and with features weighted as by a naive Bayes classifier."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from langue.base.arrays import Float64Array, Int64Array
from langue.base.compiled import njit
from langue.models.taggers.crf.minimize import minimize
from langue.tasks.baselines.ngrams import Columns, Matrix
from langue.tasks.baselines.ngrams import averaged as averaged_rows

Texts = Sequence[Sequence[str]]
Predict = Callable[[Texts], Float64Array]  # of texts, the score of every label: `(texts, labels)`
Grams = Callable[[Sequence[str]], Iterable[str]]

PENALTY = 1.0  # the usual C = 1
AVERAGED_PENALTY = 1e-3  # rows that sum to one have weights that are larger by their length
STEPS = 100
TOLERANCE = 1e-4  # of the loss, over ten steps: what is gained beyond is no accuracy


def learn_grams(
    texts: Texts,
    labels: Int64Array,
    classes: int,
    grams: Grams,
    *,
    penalty: float,
    averaged: bool = False,
    weighted: bool = False,
    least: int = 1,
) -> Predict:
    """A logistic regression on which features each text has.

    Args:
        grams: features of a text, or of a pair.
        averaged: those of a text sum to one.
        weighted: by their naive Bayes ratios.
        least: texts that a feature stands in, to be kept.
    """
    columns = Columns(map(grams, texts), least)

    def matrix_of(some: Texts) -> Matrix:
        matrix = columns.matrix(map(grams, some))
        return averaged_rows(matrix) if averaged else matrix

    matrix = matrix_of(texts)
    ratios = log_ratios(matrix, labels, classes) if weighted else None
    weights = learn(matrix, labels, classes, penalty=penalty, ratios=ratios)
    return lambda texts: log_probs(matrix_of(texts), weights)


def added(parts: Sequence[Predict]) -> Predict:
    """The votes of several."""
    return lambda texts: np.sum([predict(texts) for predict in parts], axis=0)


def learn(
    matrix: Matrix, labels: Int64Array, classes: int, *, penalty: float, ratios: Float64Array | None = None
) -> Float64Array:
    """Weights `(columns, classes)` of the largest likelihood, less a penalty on their squares.

    Args:
        penalty: of the sum of squares, over two; the last column, the bias, is free.
        ratios: `(columns, classes)` by which weights are multiplied, so that the penalty is on what is left
            (Wang and Manning 2012); None: ones.
    """
    shape = (matrix.width, classes)
    scale: Float64Array = np.ones(shape) if ratios is None else ratios

    def loss(theta: Float64Array) -> tuple[float, Float64Array]:
        raw = theta.reshape(shape)
        gradient = np.zeros(shape)
        value = _loss(matrix.starts, matrix.columns, matrix.values, raw * scale, labels, gradient)
        gradient *= scale
        penalized = raw.copy()
        penalized[-1] = 0.0
        gradient += penalty * penalized
        return value + penalty / 2 * float((penalized**2).sum()), gradient.ravel()

    best = minimize(loss, np.zeros(matrix.width * classes), steps=STEPS, tolerance=TOLERANCE)
    return best.theta.reshape(shape) * scale


def log_ratios(matrix: Matrix, labels: Int64Array, classes: int) -> Float64Array:
    """How much likelier each column is in a class than outside it, by its logarithm: `(columns, classes)`.

    One is added to each count (Laplace). The bias has one everywhere.
    """
    owners = np.repeat(labels, np.diff(matrix.starts))
    summed = np.bincount(matrix.columns * classes + owners, matrix.values, matrix.width * classes)
    counts: Float64Array = summed.reshape(matrix.width, classes).astype(np.float64) + 1.0
    outside = counts.sum(1, keepdims=True) - counts
    ratios: Float64Array = np.log((counts / counts.sum(0)) / (outside / outside.sum(0)))
    ratios[-1] = 1.0
    return ratios


def log_probs(matrix: Matrix, weights: Float64Array) -> Float64Array:
    """`(rows, classes)`."""
    scores = np.zeros((matrix.rows, weights.shape[1]))
    _scores(matrix.starts, matrix.columns, matrix.values, weights, scores)
    return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


@njit
def _scores(starts, columns, values, weights, scores):
    for row in range(len(starts) - 1):
        for entry in range(starts[row], starts[row + 1]):
            for label in range(scores.shape[1]):
                scores[row, label] += values[entry] * weights[columns[entry], label]


@njit
def _loss(starts, columns, values, weights, labels, gradient):
    """-Σ log p(label | row); its gradient is added."""
    classes = weights.shape[1]
    scores = np.empty(classes)
    total = 0.0
    for row in range(len(starts) - 1):
        scores[:] = 0.0
        for entry in range(starts[row], starts[row + 1]):
            for label in range(classes):
                scores[label] += values[entry] * weights[columns[entry], label]
        highest = scores.max()
        right = scores[labels[row]] - highest
        mass = 0.0
        for label in range(classes):
            scores[label] = np.exp(scores[label] - highest)
            mass += scores[label]
        total += np.log(mass) - right
        for label in range(classes):
            scores[label] /= mass
        scores[labels[row]] -= 1.0
        for entry in range(starts[row], starts[row + 1]):
            for label in range(classes):
                gradient[columns[entry], label] += values[entry] * scores[label]
    return total
