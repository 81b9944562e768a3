"""Models that say what a text, or a pair of texts, is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from langue.api.models.base import Model
from langue.base.arguments import check_several, check_texts
from langue.base.errors import Mismatch
from langue.corpus.labeled import Example
from langue.protocols import Classifier

if TYPE_CHECKING:
    from langue.tasks.classification import Reader


class ClassifierModel(Model[Classifier]):
    """A classifier: p(label | text), or of a pair of texts."""

    protocol = Classifier

    @property
    def labels(self) -> tuple[str, ...]:
        return self.folder.model.labels

    @property
    def texts(self) -> int:
        """Of each example: 1, or 2 for pairs."""
        return self.folder.model.texts

    @property
    def multilabel(self) -> bool:
        """Whether a text may have several labels, or none: each probability is of its label alone."""
        return self.folder.model.multilabel

    @cached_property
    def reader(self) -> Reader:
        """What turns texts into ids, and counts those it had to cut."""
        from langue.tasks.classification import Reader

        return Reader(self.folder.model, self.folder.tokenizer, self.folder.normalization)

    def classify(self, *texts: str) -> list[tuple[str, float]]:
        """The labels of one text, or of one pair, with their probabilities, likeliest first."""
        return self.classify_all([texts])[0]

    def classify_all(self, examples: Sequence[Sequence[str]]) -> list[list[tuple[str, float]]]:
        """`classify` of many; each is a text alone, or two.

        Raises:
            Mismatch: an example has another number of texts.
        """
        model = self.folder.model
        given = enumerate(check_several("examples", examples))
        checked = [check_texts(f"examples[{index}]", texts) for index, texts in given]
        for texts in checked:
            if len(texts) != self.texts:
                raise Mismatch(f"{self.path} reads {self.texts} text(s) at a time, not {len(texts)}")
        sequences = self.reader.read([Example(tuple(texts), "", "") for texts in checked])
        rows = model.log_probs([ids for ids, _ in sequences], [types for _, types in sequences])
        return [
            [(model.labels[k], float(np.exp(row[k]))) for k in (-row).argsort(kind="stable")] for row in rows
        ]
