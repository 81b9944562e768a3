"""Every family by name. A family's module is imported only when it is asked for: no torch before."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from langue.base.config import Config, nearest
from langue.base.errors import LangueError
from langue.corpus.tagged import Sentence
from langue.protocols import Causal, Masked, Tagger, Vocabulary
from langue.tokens.batches import Batches, BatchSource
from langue.tokens.store import TOKENIZER, Split, TokenStore

# A module here defines `FAMILY`.
MODULES = {
    "ngram": "langue.models.counts.ngram",
    "class-ngram": "langue.models.counts.class_ngram",
    "markov": "langue.models.counts.markov",
    "infinigram": "langue.models.counts.infinigram",
    "mixture": "langue.models.networks.mixture",
    "loglinear": "langue.models.counts.loglinear",
    "nplm": "langue.models.networks.nplm",
    "rnn": "langue.models.networks.rnn",
    "charcnn": "langue.models.networks.charcnn",
    "transformer": "langue.models.networks.transformer",
    "bert2bert": "langue.models.networks.bert2bert",
    "gpt2": "langue.models.networks.gpt2",
    "bert": "langue.models.encoders.bert",
    "albert": "langue.models.encoders.albert",
    "pair": "langue.models.encoders.electra",
    "hmm": "langue.models.states.hmm",
    "hmm-tagger": "langue.models.taggers.hmm_tagger",
    "neural-hmm": "langue.models.states.neural_hmm",
    "crf": "langue.models.taggers.crf",
    "rnn-tagger": "langue.models.taggers.rnn_tagger",
    "encoder-tagger": "langue.models.taggers.encoder_tagger",
    "classifier": "langue.models.encoders.classifier",
}


def packed(
    split: Split, vocabulary: Vocabulary, config: Config, rows: int, context: int, seed: int
) -> BatchSource:
    """Batches of documents packed into rows that stand alone: what most families train on."""
    return Batches(split, rows=rows, context=context, eos=vocabulary.eos, seed=seed)


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of model: its settings, how it comes to be, and how it is read back.

    A family estimated by `counts`, `em` or an `optimisation` of its own has `fit`, which reads a store
    and returns a model. One estimated by `gradient` has `create`, which returns a `torch.nn.Module`
    with random weights; see `protocols/__init__.py: Trainable` for what the trainer asks of it.
    """

    name: str
    summary: str  # one line for help and model cards
    config: type[Config]
    estimated_by: Literal["counts", "em", "optimisation", "gradient"]
    load: Callable[[Path, Any, Vocabulary], Causal | Masked]  # (folder, config, vocabulary)
    fit: Callable[[Any, TokenStore], Causal] | None = None
    create: Callable[[Any, Vocabulary, int], Any] | None = None  # (config, vocabulary, seed) -> Trainable
    batches: Callable[[Split, Vocabulary, Any, int, int, int], BatchSource] = packed
    from_released: Callable[[Any, Vocabulary, Any], Any] | None = None  # (config, vocabulary, weights)
    to_released: Callable[[Any], tuple[dict[str, Any], Any]] | None = None  # (model) -> config, weights
    begin: Callable[[Any, TokenStore], None] | None = None  # what a new model takes from the text at once
    reads_spellings: bool = False  # `create` is given the bytes of every token; what it needs it saves

    def vocabulary(self, store: TokenStore) -> Vocabulary:
        """What a new model of this family is told of the tokenizer."""
        spellings: list[bytes] = []
        if self.reads_spellings:
            from langue.tokens.tokenizer import Tokenizer  # which other families do without

            spellings = Tokenizer.load(store.path / TOKENIZER).spellings()
        return Vocabulary(store.vocabulary_size, store.eos, spellings)


@dataclass(frozen=True, kw_only=True)
class TaggerFamily:
    """One kind of tagger: it learns from tagged sentences, and has no place on the yardstick.

    It has `fit`, or, if it learns by gradient in epochs of which the best is kept, `create`, which makes a
    `models.neural_tagger.NeuralTagger` with random weights. One with neither is made by `langue finetune`.
    """

    name: str
    summary: str
    config: type[Config]
    load: Callable[[Path, Any], Tagger]  # (folder, config)
    fit: Callable[[Any, Sequence[str], Sequence[Sentence]], Tagger] | None = None  # (config, columns, …)
    # (config, columns, labels, sentences, seed)
    create: Callable[[Any, Sequence[str], Any, Sequence[Sentence], int], Any] | None = None


@dataclass(frozen=True, kw_only=True)
class ClassifierFamily:
    """Encoders fine-tuned to tell texts apart: made by `langue finetune`, not by `langue train`."""

    name: str
    summary: str
    config: type[Config]
    load: Callable[[Path, Any, Vocabulary], Any]  # (folder, config, vocabulary)


AnyFamily = Family | TaggerFamily | ClassifierFamily


def lookup(name: str) -> AnyFamily:
    """The family of that name, of any kind.

    Raises:
        LangueError: there is none; the nearest is named.
    """
    if name not in MODULES:
        raise LangueError(f"unknown family {name}{nearest(name, list(MODULES))}")
    found = importlib.import_module(MODULES[name]).FAMILY
    assert isinstance(found, AnyFamily)
    return found


def family(name: str) -> Family:
    """The family of language models of that name.

    Raises:
        LangueError: there is none, or it is a family of taggers.
    """
    found = lookup(name)
    if isinstance(found, TaggerFamily):
        raise LangueError(f"{name} is a family of taggers, not of language models")
    if isinstance(found, ClassifierFamily):
        raise LangueError(f"{name} is no language model; make one of an encoder: langue finetune MODEL DATA")
    return found
