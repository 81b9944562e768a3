"""N-gram models of the texts of each label, as a Bayes classifier: the label under which a text costs least.

Modified Kneser–Ney over characters, one model a label, all over the characters of the training texts.
"""

from collections.abc import Sequence

import numpy as np

from langue.base.arrays import Float64Array, Int64Array
from langue.models.counts.ngram import NGramConfig, levels_of, model_of, tables_of
from langue.models.counts.ngram.model import NGram
from langue.protocols import Vocabulary

EOS, UNKNOWN = 0, 1  # ids; characters come after
SEPARATOR = "\x1f"  # between the texts of a pair
ORDER = 6  # of English; Chinese has as much in three characters
ORDER_HAN = 3


class Bayes:
    """p(label | text) by Bayes' rule.

    Args:
        texts: of each example one, or a pair.
        labels: of each example, from 0.
    """

    def __init__(
        self, texts: Sequence[Sequence[str]], labels: Int64Array, classes: int, *, order: int
    ) -> None:
        joined = [SEPARATOR.join(parts) for parts in texts]
        known = sorted(set("".join(joined)))
        self.ids = {character: number for number, character in enumerate(known, UNKNOWN + 1)}
        self.vocabulary = Vocabulary(len(known) + UNKNOWN + 1, EOS)
        self.prior = np.log(np.bincount(labels, minlength=classes) / len(labels))
        by_label = [
            [text for text, label in zip(joined, labels, strict=True) if label == one]
            for one in range(classes)
        ]
        self.models = [self._estimate(some, NGramConfig(order=order)) for some in by_label]

    def _estimate(self, texts: Sequence[str], config: NGramConfig) -> NGram:
        start = self.vocabulary.size  # before each text
        parts = [np.r_[start, self._encode(text)] for text in texts]
        stream = np.concatenate([*parts, [start]]).astype(np.uint32)
        tables = tables_of(config, levels_of(config, stream, start), self.vocabulary)
        return model_of(config, self.vocabulary, tables)

    def _encode(self, text: str) -> Int64Array:
        """Ids of a text, closed by `<eos>`."""
        return np.array([*(self.ids.get(character, UNKNOWN) for character in text), EOS], np.int64)

    def log_probs(self, texts: Sequence[Sequence[str]]) -> Float64Array:
        """`(examples, labels)`."""
        encoded = [self._encode(SEPARATOR.join(parts)) for parts in texts]
        columns = [[float(row.sum()) for row in model.log_probs(encoded)] for model in self.models]
        scores = np.array(columns).T + self.prior
        return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
