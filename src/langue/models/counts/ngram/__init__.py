"""`ngram`: interpolated modified Kneser–Ney of any order (Chen and Goodman 1999).

Order 1 is the multinomial, 2 and 3 the Markov assumptions. `counts` reads a corpus, `estimate` is
the paper, `tables` is the trie, `score` walks it; `prune` and `quantize` make it smaller, and `out_of_core`
counts what does not fit memory. Deviates from the paper where discounts cannot be estimated; agrees with
KenLM (Heafield et al. 2013) to the precision of its 32-bit floats.
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
import numpy as np

from langue.base.arrays import Array
from langue.base.bounds import NonNegativeFloat, NonNegativeInt, PositiveFloat
from langue.base.config import Config
from langue.base.errors import InvalidSetting
from langue.base.stages import Executor
from langue.models.counts.ngram.by_stages import estimate_by_stages, scratch_bytes
from langue.models.counts.ngram.counts import Levels, New, count, stream_of
from langue.models.counts.ngram.estimate import Smoothing, estimate_tables
from langue.models.counts.ngram.model import NGram
from langue.models.counts.ngram.out_of_core import count_in_blocks, map_array
from langue.models.counts.ngram.prune import prune
from langue.models.counts.ngram.quantize import quantize
from langue.models.counts.ngram.tables import Tables
from langue.models.counts.ngram.trie import load_tables
from langue.models.family import ByStages, Family
from langue.protocols import Causal, Vocabulary
from langue.tokens.store import TokenStore


class NGramConfig(Config, frozen=True):
    """The dials of an n-gram model."""

    RENAMED: ClassVar[Mapping[str, str]] = {"k": "alpha", "quantise": "quantize"}

    order: Annotated[int, msgspec.Meta(ge=1, le=8)] = 5  # beyond 5, words gain little; characters want more
    # The best of them on every corpus we tried; arpa: none, of an imported file that does not sum to one.
    smoothing: Smoothing | Literal["arpa"] = "modified-kneser-ney"
    alpha: PositiveFloat = 1.0  # of add-k
    # Drop n-grams that occur at most so often, for orders 1, 2 ...; the last holds for those above.
    prune: tuple[NonNegativeInt, ...] = ()
    # Drop n-grams that raise the perplexity by less than this share; 1e-7 drops two thirds (Stolcke 1998).
    prune_entropy: NonNegativeFloat = 0.0
    # Probabilities and backoffs as 8-bit codes: half the bytes, and a perplexity higher by some thousandths.
    quantize: bool = False
    # Megabytes held at a time, beside the interpreter's own; what is larger goes to disk. 0: no ceiling.
    memory: NonNegativeInt = 0

    def check(self) -> None:
        if any(below > above for below, above in pairwise(self.prune)):
            raise ValueError("prune must not fall from one order to the next: an n-gram needs its parts")
        if self.prune_entropy and self.smoothing == "stupid-backoff":
            raise ValueError("pruning by entropy needs probabilities, and stupid backoff has none")
        if self.quantize and self.smoothing == "stupid-backoff":
            raise ValueError("quantized tables hold probabilities, and stupid backoff has none")


UNNORMALIZED = {  # smoothings whose scores do not sum to one, and what they are
    "stupid-backoff": "scores by stupid backoff",
    "arpa": "the numbers of an ARPA file that do not sum to one after every context",
}


def estimate(config: NGramConfig, store: TokenStore) -> NGram:
    """Count the training split and estimate."""
    vocabulary = Vocabulary(store.vocabulary_size, store.eos, sep=store.sep)
    stream = stream_of(store.split("train"), vocabulary.size, arrays_of(config))
    levels = levels_of(config, stream, vocabulary.size)
    del stream  # which the estimate would hold in memory beside its own
    return model_of(config, vocabulary, tables_of(config, levels, vocabulary))


def estimate_distributed(config: NGramConfig, store: TokenStore, folder: Path, executor: Executor) -> NGram:
    """`estimate` by the stages of a folder, which must be there until the model is saved."""
    vocabulary = Vocabulary(store.vocabulary_size, store.eos, sep=store.sep)
    new = partial(map_array, folder=folder)
    tables = tables_by_stages(
        config, lambda: stream_of(store.split("train"), vocabulary.size, new), vocabulary, folder, executor
    )
    return model_of(config, vocabulary, tables)


def arrays_of(config: NGramConfig) -> New:
    """Allocator of arrays that grow with the corpus: in memory or, under a ceiling, in mapped files."""
    return map_array if config.memory else np.empty


def levels_of(config: NGramConfig, stream: Array, vocabulary_size: int) -> Levels:
    """Count a stream, at once or in blocks."""
    if config.memory:
        return count_in_blocks(stream, vocabulary_size, config.order, memory=config.memory)
    return count(stream, vocabulary_size, config.order)


def tables_of(
    config: NGramConfig, levels: Levels, vocabulary: Vocabulary, absent: int | None = None
) -> Tables:
    """Estimate and prune as the configuration says; `absent` is an id that no text holds.

    Raises:
        InvalidSetting: the smoothing is that of a file.
    """
    tables = estimate_tables(levels, smoothing_of(config), k=config.alpha, prune=config.prune, absent=absent)
    return smaller(config, tables, vocabulary, levels.new)


def tables_by_stages(
    config: NGramConfig,
    stream: Callable[[], Array],
    vocabulary: Vocabulary,
    folder: Path,
    executor: Executor,
    absent: Callable[[Array], int | None] = lambda counts: None,
) -> Tables:
    """`tables_of`, by tasks over files of a folder: see `estimate_by_stages`."""
    tables = estimate_by_stages(
        stream,
        vocabulary.size,
        config.order,
        folder,
        executor,
        smoothing=smoothing_of(config),
        k=config.alpha,
        prune=config.prune,
        absent=absent,
        memory=config.memory,
    )
    return smaller(config, tables, vocabulary, partial(map_array, folder=folder))


def smoothing_of(config: NGramConfig) -> Smoothing:
    if config.smoothing == "arpa":
        raise InvalidSetting("smoothing = arpa is what imported files have; estimate with another")
    return config.smoothing


def smaller(config: NGramConfig, tables: Tables, vocabulary: Vocabulary, new: New) -> Tables:
    """Tables pruned by entropy, quantized and made narrow, as far as the configuration says so."""
    if config.prune_entropy:
        tables = prune(tables, config.prune_entropy, vocabulary.eos, new)
    if config.quantize:
        tables = quantize(tables, new)
    return tables.narrow(new)


def load(folder: Path, config: NGramConfig, vocabulary: Vocabulary) -> NGram:
    tables = load_tables(folder, vocabulary.size, normalized=config.smoothing not in UNNORMALIZED)
    return model_of(config, vocabulary, tables)


def model_of(config: NGramConfig, vocabulary: Vocabulary, tables: Tables) -> NGram:
    return NGram(vocabulary, tables, scores_are=UNNORMALIZED.get(config.smoothing))


FAMILY = Family(
    name="ngram",
    summary="interpolated modified Kneser-Ney n-gram model",
    makes=Causal,
    config=NGramConfig,
    estimated_by="counts",
    load=load,
    estimate=estimate,
    by_stages=ByStages(estimate_distributed, lambda config, tokens: scratch_bytes(config.order, tokens)),
    reads_text=True,
)
