"""`class-ngram`: p(w | h) = p(class(w) | classes of h) p(w | class(w)) (Brown et al. 1992, section 3).

Words that stand in the same places share their counts: a context that was never seen may have classes that
were. The classes are those of `exchange`, an n-gram model of `ngram` runs over them, and within a class words
are as likely as they are frequent. Words that training lacks are a class of their own, all equally likely.
Alone it is a poor model; it is made to be mixed with one of words (`mixture`), as in the paper's section 5.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import numpy as np

from langue.base.arrays import Array, Floats, Ids
from langue.base.checked import ArraySpec, check, damaged, read_array
from langue.base.config import Config
from langue.models.counts.exchange import exchange
from langue.models.counts.ngram.counts import count, stream_of
from langue.models.counts.ngram.estimate import estimate_tables
from langue.models.counts.ngram.model import NGram, NGramDecoder
from langue.models.counts.ngram.trie import TOLERANCE, load_tables
from langue.models.family import Family
from langue.protocols import Causal, Vocabulary
from langue.protocols.explanation import ClassExplanation, WordClass
from langue.tokens.store import TokenStore

SHOWN = 8  # words of a class that an explanation names


class ClassNGramConfig(Config, frozen=True):
    """The dials of a class-based n-gram model."""

    order: Annotated[int, msgspec.Meta(ge=1, le=8)] = 5
    classes: Annotated[int, msgspec.Meta(ge=1, le=65_000)] = 300  # more take longer to find


class Classes(NamedTuple):
    """Class of each word, and its share of the class."""

    of: Annotated[Array, ArraySpec("uint32", ("V",), below="classes")]
    log_share: Annotated[Array, ArraySpec("float32", ("V",), most=0)]  # natural log p(word | class)

    def check(self, where: Path, V: int, most: int) -> int:
        """How many classes there are, of at most so many.

        Raises:
            LangueError: an array is not what it must be, or the words of a class do not share it whole.
        """
        check(self, where, None, "class_", V=V, classes=most)
        shares = np.bincount(self.of, np.exp(self.log_share.astype(np.float64)))
        if not (np.abs(shares - 1) <= TOLERANCE).all():
            raise damaged(where, "class_log_share", "and class_of: the words of a class do not sum to one")
        return len(shares)


class ClassNGram(Causal):
    """A `Causal` model: `inner` is of classes."""

    window: int | None = None
    stride: int | None = None

    def __init__(self, vocabulary: Vocabulary, classes: Classes, inner: NGram) -> None:
        self.vocabulary = vocabulary
        self.classes = classes
        self.inner = inner

    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        self.vocabulary.check(*sequences)
        of_classes = self.inner.log_probs([self.classes.of[ids] for ids in sequences])
        return [logs + self.classes.log_share[ids] for ids, logs in zip(sequences, of_classes, strict=True)]

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.decoder(contexts).log_probs()

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> "ClassNGramDecoder":
        self.vocabulary.check(*prompts)
        inner = self.inner.decoder([self.classes.of[ids] for ids in prompts], depth=depth)
        return ClassNGramDecoder(self.vocabulary, self.classes, inner)

    def explain(self, context: Ids, id: int) -> ClassExplanation:
        """The class of a token, what n-grams of classes say of it, and its share of the class."""
        self.vocabulary.check(context, [id])
        before = self.classes.of[context]
        number = int(self.classes.of[id])
        ngrams = self.inner.explain(before, number)
        reach = min(max(step.order for step in ngrams.orders) - 1, len(before))
        return ClassExplanation(
            self._class(number),
            float(np.exp(self.classes.log_share[id])),
            tuple(self._class(int(one)) for one in before[len(before) - reach :]),
            ngrams,
        )

    def _class(self, number: int) -> WordClass:
        words = np.flatnonzero(self.classes.of == number)
        shares = np.exp(self.classes.log_share[words])
        best = np.argsort(-shares, kind="stable")[:SHOWN]
        return WordClass(number, tuple((int(words[index]), float(shares[index])) for index in best))

    def size(self) -> dict[str, int]:
        return {"classes": self.inner.vocabulary.size, **self.inner.size()}

    def save(self, folder: Path) -> None:
        self.inner.save(folder)
        for name, array in self.classes._asdict().items():
            np.save(folder / f"class_{name}.npy", array, allow_pickle=False)


class ClassNGramDecoder:
    """A decoder of classes, told the classes of tokens."""

    def __init__(self, vocabulary: Vocabulary, classes: Classes, inner: NGramDecoder) -> None:
        self.vocabulary = vocabulary
        self.classes = classes
        self.inner = inner

    @property
    def depth(self) -> int | None:
        return self.inner.depth

    def log_probs(self) -> Floats:
        return self._of_words(self.inner.log_probs())

    def extend(self, ids: Sequence[Ids] | Ids, *, every: bool = False) -> list[Floats]:
        self.vocabulary.check(*ids)
        return [
            self._of_words(rows)
            for rows in self.inner.extend([self.classes.of[some] for some in ids], every=every)
        ]

    def truncate(self, counts: Sequence[int]) -> None:
        self.inner.truncate(counts)

    def select(self, rows: Sequence[int]) -> None:
        self.inner.select(rows)

    def add(self, prompts: Sequence[Ids]) -> None:
        self.vocabulary.check(*prompts)
        self.inner.add([self.classes.of[ids] for ids in prompts])

    def _of_words(self, of_classes: Floats) -> Floats:
        log_probs: Floats = of_classes[:, self.classes.of] + self.classes.log_share
        return log_probs


def estimate(config: ClassNGramConfig, store: TokenStore) -> ClassNGram:
    """Find classes on the training split, and count it in them."""
    vocabulary = Vocabulary(store.vocabulary_size, store.eos, sep=store.sep)
    split = store.split("train")
    begins = np.zeros(len(split.tokens), bool)
    begins[split.offsets[:-1].astype(np.int64)] = True
    counts = np.bincount(split.tokens, minlength=vocabulary.size)
    classes = exchange(split.tokens, begins, vocabulary.size, config.classes)
    classes[counts == 0] = config.classes
    of = np.unique(classes, return_inverse=True)[1].astype(np.uint32)  # a class without words has no number
    weights = np.where(counts, counts, 1).astype(np.float64)
    log_share = np.log(weights / np.bincount(of, weights)[of]).astype(np.float32)
    size = int(of.max()) + 1
    stream = stream_of(replace(split, tokens=of[split.tokens]), size)
    tables = estimate_tables(count(stream, size, config.order))
    inner = NGram(Vocabulary(size, int(of[vocabulary.eos])), tables)
    return ClassNGram(vocabulary, Classes(of, log_share), inner)


def load(folder: Path, config: ClassNGramConfig, vocabulary: Vocabulary) -> ClassNGram:
    classes = Classes(*(read_array(folder / f"class_{name}.npy", mapped=False) for name in Classes._fields))
    size = classes.check(folder, vocabulary.size, config.classes + 1)
    tables = load_tables(folder, size, normalized=True)
    inner = NGram(Vocabulary(size, int(classes.of[vocabulary.eos])), tables)
    return ClassNGram(vocabulary, classes, inner)


FAMILY = Family(
    name="class-ngram",
    summary="n-gram model of classes of words, to be mixed with one of words",
    makes=Causal,
    config=ClassNGramConfig,
    estimated_by="counts",
    load=load,
    estimate=estimate,
)
