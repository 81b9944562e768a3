"""A family: one kind of model, its settings, how it comes to be, and how it is read back.

A family is generic over the protocol that its models follow (`langue.protocols`): `Causal`, `Masked`,
`Tagger`, `Classifier` or one of its own. All else follows from that: which data it learns from, which face
a user gets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec

from langue.base.config import Config
from langue.protocols import Saved, Vocabulary
from langue.tokens.batches import Batches, BatchSource
from langue.tokens.store import TOKENIZER, Split, TokenStore

if TYPE_CHECKING:
    from langue.base.stages import Executor
    from langue.corpus.tagged import Sentence
    from langue.models.taggers.labels import Labels
    from langue.tokens.tokenizer import Tokenizer

M = TypeVar("M", bound=Saved)
BUDGETS = ("steps", "tokens", "epochs", "minutes")  # of [training]: the first that is not 0 counts


def packed(
    split: Split, vocabulary: Vocabulary, config: Config, rows: int, context: int, seed: int
) -> BatchSource:
    """Batches of documents packed into rows that stand alone: what most families train on."""
    return Batches(split, rows=rows, context=context, eos=vocabulary.eos, seed=seed)


class TaggedData(NamedTuple):
    """What a tagger learns from."""

    columns: Sequence[str]  # of each token, the word first
    sentences: Sequence[Sentence]


class TaggerInputs(NamedTuple):
    """What a network that tags is built for."""

    columns: Sequence[str]
    labels: Labels
    sentences: Sequence[Sentence]  # of the training data, whose words and characters it numbers


@dataclass(frozen=True)
class Pretrained:
    """A model that another one is initialized from, whatever it was read from."""

    name: str  # for messages
    family: str
    config: Any  # of that family
    weights: Callable[[], dict[str, Any]]  # its tensors by their names, without a head that was not trained
    tokenizer: Tokenizer


class InitFrom(NamedTuple):
    """How models of a family are initialized from others (the setting `init_from`).

    complete: the settings, as shape and special ids, that a model has from that one where its user gives none
    transfer: gives a new model its weights; `spellings` are the bytes of every token of its own vocabulary

    Both raise a `LangueError` where the two do not go together.
    """

    complete: Callable[[Pretrained], dict[str, Any]]
    transfer: Callable[[Any, Pretrained, Sequence[bytes]], None]


class Part(NamedTuple):
    """A model that another one is made of."""

    name: str
    family: str
    settings: Mapping[str, Any]  # of its recipe, by dotted name


class Circumstances(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What settings are chosen by that a user leaves out. Nothing of it is timed, and it is kept with the
    run: the same seed gives the same bits, and a run that goes on stays what it is."""

    tokens: int  # of the training split
    vocabulary: int
    minutes: float  # to learn in
    machine: str  # its class, a value of `nn.machine_class.MachineClass`
    summaries: bool = False  # whether they are documents with summaries, or with their gap sentences


class Choice(NamedTuple):
    """Settings, by dotted name, and a sentence that says why; of none, nothing is said."""

    settings: dict[str, Any]
    reason: str = ""


class Composition(NamedTuple):
    """How a model of a family is made of others, which are trained for it where its user names none.

    parts: what is to be trained, from its configuration
    compose: the configuration with the folders of the trained models
    """

    parts: Callable[[Any], Sequence[Part]]
    compose: Callable[[Any, Sequence[str]], Config]


class ByStages(NamedTuple):
    """How models of a family are estimated by tasks over files, on several processes or machines.

    estimate: as that of the family, in a folder of stages that must be there until the model is saved
    needed: bytes that are written there, from the configuration and the number of tokens, roughly
    """

    estimate: Callable[[Any, TokenStore, Path, Executor], Any]
    needed: Callable[[Any, int], int]


@dataclass(frozen=True, kw_only=True)
class Family(Generic[M]):
    """One kind of model.

    It comes to be in one of three ways. A family with `estimate` reads its data and returns a model: counts,
    EM, or an optimization of its own. One with `build` returns a `torch.nn.Module` with random weights, on
    the CPU, which the trainer teaches by gradient (`protocols.Trainable`). One with neither is made of a
    trained encoder by `langue finetune`.
    """

    name: str
    summary: str  # one line for help and model cards
    makes: type[M]  # the protocol of its models
    config: type[Config]
    load: Callable[[Path, Any, Vocabulary], M]  # (folder, config, vocabulary), on the CPU
    estimated_by: Literal["counts", "em", "optimization", "gradient"]
    # (config, data): a `TokenStore`, or `TaggedData` of a tagger
    estimate: Callable[[Any, Any], M] | None = None
    by_stages: ByStages | None = None
    # (config, vocabulary, seed): a `Vocabulary`, or `TaggerInputs` of a tagger
    build: Callable[[Any, Any, int], Any] | None = None
    batches: Callable[[Split, Vocabulary, Any, int, int, int], BatchSource] = packed
    begin: Callable[[Any, TokenStore], None] | None = None  # what a new model takes from the text at once
    init_from: InitFrom | None = None
    composition: Composition | None = None
    # ([model] and [training] as given, circumstances): what suits them, of what is not given
    choose: Callable[[Mapping[str, Any], Mapping[str, Any], Circumstances], Choice] | None = None
    reads_text: bool = False  # `langue train` takes a text file too: a sentence a line, words between blanks
    reads_spellings: bool = False  # `build` is given the bytes of every token; what it needs it saves

    def vocabulary(self, store: TokenStore) -> Vocabulary:
        """What a new model of this family is told of the tokenizer."""
        spellings: list[bytes] = []
        if self.reads_spellings:
            from langue.tokens.tokenizer import Tokenizer  # which other families do without

            spellings = Tokenizer.load(store.path / TOKENIZER).spellings()
        return Vocabulary(store.vocabulary_size, store.eos, spellings, store.sep)
