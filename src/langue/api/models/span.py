"""Models that mark the span of a text which answers a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from langue.api.models.base import Model
from langue.protocols import SpanPredictor

if TYPE_CHECKING:
    from langue.tasks.answers.answer import Answers
    from langue.tasks.retrieval.passages import Passages


class SpanModel(Model[SpanPredictor]):
    """An encoder that was fine-tuned on questions: which part of a text answers?"""

    protocol = SpanPredictor

    def answer(
        self,
        question: str,
        texts: str | Sequence[str] | Passages,
        *,
        k: int = 1,
        threshold: float | None = None,
    ) -> Answers:
        """`langue.answer` by this model."""
        from langue.api.lookup import answer

        return answer(question, texts, model=self, k=k, threshold=threshold)
