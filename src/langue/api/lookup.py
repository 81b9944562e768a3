"""The verbs that look something up in texts, as functions. Each imports what it needs when it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from langue.base.arguments import (
    check_count,
    check_number,
    check_path,
    check_path_or_none,
    check_text,
    check_texts,
)
from langue.base.errors import InvalidSetting

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from langue.api.models import MaskedModel
    from langue.api.models.span import SpanModel
    from langue.generation.embed import Pooling
    from langue.models.folder import ModelFolder
    from langue.protocols import SpanPredictor
    from langue.tasks.answers.answer import Answers
    from langue.tasks.answers.measure import AnswerEvaluation
    from langue.tasks.retrieval.passages import Passages
    from langue.tasks.retrieval.similar import SimilarPassages

    PathLike = str | Path


def answer(
    question: str,
    texts: str | Sequence[str] | Passages,
    *,
    model: PathLike | SpanModel | None = None,
    k: int = 1,
    threshold: float | None = None,
) -> Answers:
    """What of some texts answers a question, with its offsets and score; or that nothing does.

        langue.answer("Who wrote it?", ["Jane Austen wrote Emma.", "It appeared in 1815."])
        held = langue.Passages.read("novels")
        langue.answer("谁杀了吴大郎？", held, k=3)

    Args:
        texts: a text, several, or `Passages`, which keep their index from question to question.
        model: one that was fine-tuned on `span`, which gives the span that answers; None: a sentence, by the
            words of both.
        k: sentences or spans to give, at most, the likeliest first.
        threshold: of the probability below which the answer is that there is none; None: the shipped one, or
            the model's.

    Raises:
        LangueError: there is no text.
    """
    from langue.tasks.answers.answer import answer as by_words
    from langue.tasks.answers.spans import answer_by_span

    held, most = _passages(texts), check_count("k", k, least=1)
    _check_threshold(threshold)
    _asked("question", question)
    if model is None:
        return by_words(question, held, k=most, threshold=threshold)
    return answer_by_span(question, held, _span_folder(model), k=most, threshold=threshold)


def answer_squad(
    path: PathLike,
    texts: str | Sequence[str] | Passages | None = None,
    *,
    model: PathLike | SpanModel | None = None,
    threshold: float | None = None,
) -> AnswerEvaluation:
    """Answer every question of a file in the format of SQuAD or CMRC 2018, and measure EM and F1.

    Args:
        texts: look there; None: each question in its own paragraph.
        model, threshold: as `answer` takes them.

    Raises:
        LangueError: the file is of another format, or there is no text.
    """
    from langue.tasks.answers.measure import answer_squad as run

    _check_threshold(threshold)
    by = None if model is None else _span_folder(model)
    file = check_path("path", path)
    return run(file, None if texts is None else _passages(texts), threshold=threshold, by=by)


def _span_folder(model: PathLike | SpanModel) -> ModelFolder[SpanPredictor]:
    from langue.api.models.span import SpanModel

    opened = model if isinstance(model, SpanModel) else SpanModel.load(check_path("model", model))
    return opened.folder


def _asked(name: str, text: str) -> str:
    if not check_text(name, text).strip():
        raise InvalidSetting(f"the {name} is empty: there is nothing to look for")
    return text


def _check_threshold(threshold: float | None) -> None:
    if threshold is not None:
        check_number("threshold", threshold, least=0, most=1)


def _passages(texts: str | Sequence[str] | Passages) -> Passages:
    from langue.tasks.retrieval.passages import Passages, given_texts

    if isinstance(texts, Passages):
        return texts
    if isinstance(texts, Path):
        raise InvalidSetting(f"texts is to be text; read a file with langue.Passages.read({str(texts)!r})")
    return Passages.of(given_texts([texts] if isinstance(texts, str) else check_texts("texts", texts)))


def similar(
    query: str,
    texts: str | Sequence[str] | Passages,
    *,
    model: PathLike | MaskedModel | None = None,
    k: int = 5,
    pooling: Pooling | None = None,
    whiten: bool = False,
    index: PathLike | None = None,
    overwrite: bool = False,
) -> SimilarPassages:
    """The passages nearest to a query: by the vectors of a model, or without one by the words they share.

    Args:
        texts: a text, several, or `Passages`, which keep their index of words from query to query.
        model: one that reads in both directions; None: BM25.
        pooling: of the states of its tokens, as `MaskedModel.embed` takes it; None: their mean.
        whiten: spread the vectors of the passages (Su et al. 2021).
        index: folder that keeps the vectors, and is read if it holds those of the same passages and model.
        overwrite: replace an index of others.

    Raises:
        LangueError: there is no text, or `index` holds something else.
    """
    from langue.tasks.retrieval.similar import by_vectors, by_words, index_passages, kept_index

    held, most = _passages(texts), check_count("k", k, least=1)
    folder = check_path_or_none("index", index)
    _asked("query", query)
    if model is None:
        if whiten or index is not None or pooling is not None:
            raise InvalidSetting("vectors are of a model, which is to be named, too: --model FOLDER")
        return by_words(query, held, most)
    from langue.api.models import MaskedModel

    pooling = pooling or "mean"
    encoder = model if isinstance(model, MaskedModel) else MaskedModel.load(check_path("model", model))

    def embed(some: Sequence[str]) -> npt.NDArray[np.float32]:
        return encoder.embed(some, pooling=pooling)

    if folder is None:
        vectors = index_passages(held, embed, whiten=whiten)
    else:
        known = f"{encoder.folder.description.digest}\x1f{pooling}"
        vectors = kept_index(folder, held, embed, model=known, whiten=whiten, overwrite=overwrite)
    return by_vectors(query, held, vectors, embed, most, str(encoder.path))
