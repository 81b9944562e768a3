"""What models can do, by protocol. Language models speak token ids only.

Texts, bytes, sampling and reports are written once, above; a family sees arrays of ids and returns natural-
log probabilities. A sequence always starts at the beginning of a document: what a family conditions its
first token on (`<s>`, the `<eos>` of the document before) is its own affair. The end of a document is the
id `vocabulary.eos`, and an ordinary event that has a probability.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from langue.base.arrays import Array, Floats, Ids
from langue.base.errors import Mismatch

if TYPE_CHECKING:
    import torch

    from langue.corpus.tagged import Sentence
    from langue.corpus.units import DocumentUnits, Unit
    from langue.protocols.explanation import Explanation
    from langue.tokens.masked_batch import SentencePairs, Specials


class Vocabulary(NamedTuple):
    """All a family knows of the tokenizer: ids run from 0 to `size` - 1."""

    size: int
    eos: int  # end of document
    spellings: Sequence[bytes] = ()  # of every id, for a family that `reads_spellings` to be created
    sep: int | None = None  # of a corpus of pairs: the end of a source, an event as `eos` is

    def check(self, *sequences: npt.ArrayLike) -> None:
        """See that ids are of tokens: compiled code reads wherever they point.

        Raises:
            Mismatch: one is not.
        """
        for sequence in sequences:
            ids = np.asarray(sequence)
            if ids.size == 1 and ids.dtype.kind in "iu" and 0 <= ids.item() < self.size:
                continue  # a step of generation, a tenth of the time
            if ids.size and (ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= self.size):
                raise Mismatch(f"a token id is not one of 0 to {self.size - 1}")


@runtime_checkable
class Decoder(Protocol):
    """The state of `batch` sequences, its rows, that grow and shrink at their ends, come and go.

    A row is what it would be alone: its distributions do not depend on which others stand beside it, nor on
    how many tokens were read at a time, but for the arithmetic of the machine.
    """

    @property
    def depth(self) -> int | None:
        """Tokens that can be taken back from the end of a row; None: all that it has read."""
        ...

    def log_probs(self) -> Floats:
        """Natural-log probabilities of every next token: `(batch, vocabulary.size)`."""

    def extend(self, ids: Sequence[Ids] | Ids, *, every: bool = False) -> list[Floats]:
        """Read on in each row, in one pass where the model can.

        Args:
            ids: `(batch, k)`, or an array for each row, of any lengths, 0 among them.
            every: asks for the distributions after each of these tokens, not after the last alone.

        Returns:
            Natural-log probabilities of every next token after each token read, `(k, vocabulary.size)` for
            each row, of which the last is what `log_probs` says then; nothing where `every` is not asked.

        Raises:
            Mismatch: an id is of no token, and nothing was read.
        """

    def truncate(self, counts: Sequence[int]) -> None:
        """Take back the last tokens of each row, so many of each, as if they had not been read.

        Raises:
            Mismatch: it read less, or that is further back than `depth`.
        """

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows, in this order; one that is named twice is two from now on."""

    def add(self, prompts: Sequence[Ids]) -> None:
        """Take in more sequences, behind the rows there are: each a document that begins with its prompt."""


class Saved(Protocol):
    """What every model has, whatever it does: it can be written, and says how large it is."""

    learned: Mapping[str, Any] = {}  # figures of what it learned, which `model.json` keeps among the measured

    def save(self, folder: Path) -> None:
        """Write weights or tables into `folder`, which exists; `Family.load` reads them back."""

    def size(self) -> dict[str, int]:
        """What it is made of, for tables: `{"parameters": n}` or `{"ngrams": n}`."""
        ...

    def flops_per_token(self) -> float | None:
        """Of one training step; None where the family does not say."""
        return None


@runtime_checkable
class Causal(Saved, Protocol):
    """A model of text from left to right: p(token | all tokens before it in its document).

    A class that names this protocol as its base takes over the defaults of what it does not say itself.
    """

    vocabulary: Vocabulary
    window: int | None  # tokens it can see at once; None where there is no bound
    stride: int | None  # tokens scored afresh each time the window moves on; None with no window
    reach: int | None = None  # tokens further back make no difference; None where all may
    normalized: bool = True  # whether its scores are probabilities; those of stupid backoff are not
    scores_are: str = "its scores"  # what they are instead, where they are none
    rounded_down: bool = False  # whether they sum to a little less than one, as of quantized tables

    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        """Natural-log probability of each token given those before it: one array per sequence, as
        long as it. The score of a sequence does not depend on which others stand beside it."""

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        """Natural-log probabilities of every next token: `(len(contexts), vocabulary.size)`."""

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> Decoder:
        """The state after each prompt, ready for `log_probs` and `extend`.

        Args:
            depth: tokens that `truncate` is to be able to take back from a row, at least.
        """


@runtime_checkable
class WithEntropies(Causal, Protocol):
    """A `Causal` model that has the entropies of its distributions at the cost of the log-probabilities."""

    def log_probs_and_entropies(self, sequences: Sequence[Ids]) -> tuple[list[Floats], list[Floats]]:
        """`log_probs`, and of each token the entropy in nats of the distribution it stands in: how little
        the model knew of what comes."""
        ...


@runtime_checkable
class Matching(Causal, Protocol):
    """A `Causal` model that predicts from the longest match of what stands before in its training text."""

    longest_match: int  # tokens

    def log_probs_and_matches(self, sequences: Sequence[Ids]) -> tuple[list[Floats], list[Array]]:
        """`log_probs`, and tokens of the context that each token of each sequence is predicted from, at most
        `longest_match`; they depend on what stands before it alone."""
        ...


@runtime_checkable
class MatchingDecoder(Decoder, Protocol):
    """A decoder of a `Matching` model."""

    def match_lengths(self) -> Array:
        """Tokens of the context that the next token of each sequence is predicted from: `(batch,)`."""
        ...


@runtime_checkable
class Quantizable(Protocol):
    """A model whose networks can be read by products of int8."""

    def read_in(self, how: Literal["int8"]) -> bool:
        """Read them so from now on; False where none of them has a form in it."""
        ...


@runtime_checkable
class Explainable(Causal, Protocol):
    """A `Causal` model that can say why a token has the probability that it gives it."""

    def explain(self, context: Ids, id: int) -> Explanation:
        """Why a token is as likely as it is after the tokens before it in its document."""
        ...


@runtime_checkable
class RecurrentCausal(Causal, Protocol):
    """A `Causal` network with a state that the gradient goes back through."""

    def gradient_by_distance(self, runs: Ids) -> Floats:
        """Mean norm of the gradient of a token's loss with respect to the vector read d steps before it:
        runs of token ids `(N, T)` to `(T - 1,)`."""


@runtime_checkable
class Seq2Seq(Causal, Protocol):
    """An encoder and a decoder: p(target | source), where it was trained on pairs.

    To a `Causal` model a pair is a document: the source, `vocabulary.sep`, and the target.
    """

    @property
    def separator(self) -> str:
        """The text between a source and its target, of a model of documents that are cut there, as those of
        an earlier version; "" of any other."""
        ...

    @property
    def source_ends(self) -> frozenset[int]:
        """The ids that end a source: `vocabulary.sep`, or those that spell the separator; none where it was
        trained on documents without pairs."""
        ...

    @property
    def longest_source(self) -> int:
        """Tokens of a source that training showed, at most."""
        ...


@runtime_checkable
class Searchable(Causal, Protocol):
    """A `Causal` model that keeps its training text."""

    def documents(self) -> Iterator[Ids]:
        """The training text, a document after another, without their ends."""
        ...


@runtime_checkable
class HiddenMarkov(Causal, Protocol):
    """A `Causal` model whose probabilities are those of an HMM, which can be looked into."""

    def to_hmm(self) -> Any:
        """The `models.states.hmm.model.HMM` with its tables."""


@runtime_checkable
class Masked(Saved, Protocol):
    """A model that reads in both directions and predicts tokens that are hidden from it.

    A sequence is read as it is given: `[CLS]` before it, `[SEP]` after it and `[MASK]` within it are
    put there by whoever asks.
    """

    vocabulary: Vocabulary
    specials: Specials
    window: int  # tokens it can see at once, special ones included
    sentence_pairs: SentencePairs  # what it was taught about two parts of a text
    no_mlm_head: bool = False  # whether no head predicts hidden tokens: it embeds and is fine-tuned

    def hidden(self, sequences: Sequence[Ids], types: Sequence[Ids] | None = None) -> list[Floats]:
        """Hidden states of the last layer, `(tokens, C)` for each sequence; types are 0 in a first
        part, 1 in a second."""

    def masked_log_probs(
        self, sequences: Sequence[Ids], positions: Sequence[Ids], types: Sequence[Ids] | None = None
    ) -> list[Floats]:
        """Natural-log probabilities of every id at these positions: `(positions, ids)` for each sequence.
        The special ids that the model adds to the vocabulary have a column too."""

    def pair_log_probs(self, sequences: Sequence[Ids], types: Sequence[Ids]) -> Floats:
        """Natural-log probabilities of how the two parts of each sequence relate, `(sequences, 2)`, of a
        model that was trained on pairs."""


@runtime_checkable
class Discriminating(Masked, Protocol):
    """A `Masked` model with a discriminator, which tells what its generator put in."""

    def refilled(
        self, sequences: Sequence[Ids], positions: Sequence[Ids], noise: Sequence[Floats]
    ) -> list[Ids]:
        """The sequences with a token that the generator draws at each of these positions; numbers in [0, 1),
        one for each, decide which."""

    def replaced_log_odds(self, sequences: Sequence[Ids]) -> list[Floats]:
        """Natural-log odds of each token of each sequence that it was replaced: `(tokens,)`."""


class Trainable(Protocol):
    """All the trainer knows of a model that learns by gradient: a `torch.nn.Module` with these.

    A class that names this protocol as its base takes over the defaults of what it does not say itself. The
    batches it is given are those of its `Family.batches`.
    """

    vocabulary: Vocabulary | None = None  # of what it predicts; None where that is no token

    # What a recurrent model remembers of the batch before, detached; rows are the first dimension.
    # `loss` reads it (empty: nothing remembered) and leaves the new one. Others leave it empty.
    carry: dict[str, torch.Tensor]

    @property
    def device(self) -> torch.device: ...

    def loss(self, batch: Any) -> torch.Tensor:
        """The SUM of nats over the `targets_count` targets of the batch: a float32 scalar."""
        ...

    def train(self, mode: bool = True) -> Any: ...

    def eval(self) -> Any: ...


class Weight(NamedTuple):
    """One feature of a tagger: the larger, the more it speaks for the label; below 0, against it."""

    weight: float
    feature: str
    label: str


@runtime_checkable
class Tagger(Saved, Protocol):
    """A model of the tags of a sentence, given all of its tokens: p(tags | tokens).

    It speaks of words, not of token ids, and has no probability of a text: no perplexity, no bits per byte.
    """

    columns: tuple[str, ...]  # what it reads of each token, the word first: `Sentence.columns`
    labels: tuple[str, ...]  # what `marginals` are of; spans may be spelled finer than in the data
    outer: tuple[str, ...]  # each of `labels` in the spelling of the data; several may be one there
    scheme: str | None  # how its tags spell spans (`corpus.schemes`); None: they are just labels

    def tag(self, sentences: Sequence[Sentence]) -> list[tuple[str, ...]]:
        """The tags of each sentence, in the spelling of the training data."""

    def marginals(self, sentences: Sequence[Sentence]) -> list[Floats]:
        """Probability of each label at each token: `(tokens, labels)` for each sentence."""

    def best(self, sentence: Sentence, n: int) -> list[tuple[float, tuple[str, ...]]]:
        """The `n` likeliest taggings with their natural-log probabilities, likeliest first."""

    def strongest(self, top: int) -> list[Weight]:
        """The `top` features of the largest weight, by absolute value."""


@runtime_checkable
class Classifier(Saved, Protocol):
    """An encoder with a head of labels: p(label | ids of a text or a pair)."""

    labels: tuple[str, ...]
    texts: int  # of an example: 1, or 2 of a pair
    multilabel: bool  # whether a text may have several labels, each with a probability of its own, or none
    window: int  # tokens it can see at once, special ones included
    specials: Specials
    temperature: float  # that its logits are divided by, so that probabilities are true

    def log_probs(self, sequences: Sequence[Ids], types: Sequence[Ids]) -> Floats:
        """Natural-log probabilities of the labels, `(sequences, labels)`. Sequences are framed by `[CLS]`
        and `[SEP]`; types are 0 in a first part, 1 in a second."""


@runtime_checkable
class SpanPredictor(Saved, Protocol):
    """An encoder with a head that marks the span of a text which answers a question.

    It reads `[CLS] question [SEP] text [SEP]`; a text that is longer than `window` is read in several.
    """

    window: int  # tokens that are read at once, special ones included
    overlap: int  # tokens that two windows of a long text share
    max_answer_tokens: int
    threshold: float  # probability of an answer below which there is none
    specials: Specials

    def span_logits(self, sequences: Sequence[Ids], types: Sequence[Ids]) -> list[Floats]:
        """Logits that the answer begins at a token and that it ends there, `(tokens, 2)` for each sequence;
        of no answer, both are those of `[CLS]`."""


@runtime_checkable
class SentenceRanker(Saved, Protocol):
    """A model of which sentences of a document a summary is made of.

    It speaks of sentences, not of token ids, and has no probability of a text.
    """

    unit: Unit  # what it was trained to choose

    def sentence_log_odds(self, document: DocumentUnits) -> Floats:
        """Natural-log odds of each sentence (or clause, or line) to be in the summary: `(N,)`."""

    def sentence_reasons(self, document: DocumentUnits, sentences: Sequence[int]) -> list[list[str]]:
        """What speaks most for each of these sentences, the strongest first, in words."""


def entropy(log_probs: Floats) -> Floats:
    """Entropies in nats of distributions `(rows, V)`: `(rows,)`."""
    p = np.exp(log_probs)
    terms = np.where(p > 0, p * np.maximum(log_probs, -1e30), 0.0)
    return (-terms.sum(-1, dtype=np.float64)).astype(np.float32)
