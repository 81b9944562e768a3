"""Models that choose the sentences of a summary."""

from __future__ import annotations

from langue.api.models.base import Model
from langue.corpus.units import Unit
from langue.protocols import SentenceRanker
from langue.tasks.summarize import Summary


class RankerModel(Model[SentenceRanker]):
    """A ranker of sentences, trained on documents and their summaries."""

    protocol = SentenceRanker

    @property
    def unit(self) -> Unit:
        """What it chooses: sentences, clauses or lines."""
        return self.folder.model.unit

    def summarize(
        self,
        text: str,
        *,
        title: str = "",
        sentences: int | None = None,
        characters: int | None = None,
        words: int | None = None,
        ratio: float | None = None,
        explain: bool = False,
    ) -> Summary:
        """`langue.summarize` with this model."""
        from langue.api.summaries import summarize

        return summarize(
            text,
            model=self,
            title=title,
            sentences=sentences,
            characters=characters,
            words=words,
            ratio=ratio,
            explain=explain,
        )
