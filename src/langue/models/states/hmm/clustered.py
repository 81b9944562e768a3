"""An HMM in blocks at work as a language model: what `neural-hmm` makes between two trainings."""

from collections.abc import Sequence

import numpy as np
import torch

from langue.base.arrays import Array, Floats, Ids
from langue.base.errors import LangueError
from langue.base.groups import group_by_size
from langue.inference.chain import offsets_of
from langue.inference.decoding import StateDecoder
from langue.models.states.hmm.cluster_tables import (
    Layout,
    Messages,
    Scaled,
    Tables,
    advance,
    best_paths,
    make_blocks,
    posteriors,
)
from langue.models.states.hmm.model import HMM, StatePath
from langue.models.states.hmm.parameters import Parameters
from langue.protocols import Vocabulary

CHUNK_BLOCK_ENTRIES = 1 << 26  # numbers of blocks held at a time: 256 MB
CHUNK_TOKENS = 1 << 16  # read at a time where all blocks there are can be held
MIN_CHUNK_TOKENS = 64  # tokens at a time however large the blocks are
DENSE = 1 << 27  # numbers of the tables of all states, 8 bytes each, that are still made


class ClusteredHMM:
    """A `Causal` model.

    Args:
        classes: `(V,)` cluster of each word.
    """

    window: int | None = None
    stride: int | None = None

    def __init__(self, vocabulary: Vocabulary, tables: Tables, classes: Array) -> None:
        self.vocabulary = vocabulary
        self.tables = tables
        self.classes = classes
        self.scaled = Scaled.of(tables)
        self.M, self.S, _ = tables.out.shape
        self.members = np.split(np.argsort(classes, kind="stable"), np.cumsum(np.bincount(classes))[:-1])

    def read(self, sequences: Sequence[Ids], before: Messages) -> tuple[list[Floats], Messages]:
        """Log-probability of each token, read on from some messages; what is known at the ends."""
        self.vocabulary.check(*sequences)
        after = Messages(*(part.copy() for part in before))
        log_probs = [np.empty(len(ids), np.float32) for ids in sequences]
        some = sorted(
            (index for index, ids in enumerate(sequences) if len(ids)),
            key=lambda index: len(sequences[index]),
        )
        limit = (
            CHUNK_TOKENS
            if (self.M * self.S) ** 2 <= CHUNK_BLOCK_ENTRIES
            else max(CHUNK_BLOCK_ENTRIES // self.S**2, MIN_CHUNK_TOKENS)
        )
        for group in group_by_size(some, lambda index: len(sequences[index]), limit):
            for begin in range(0, len(sequences[group[-1]]), limit):  # only one that stands alone has two
                parts = [np.asarray(sequences[index][begin : begin + limit], np.int64) for index in group]
                offsets = offsets_of([len(part) for part in parts])
                stand = Messages(after.clusters[group], after.alpha[group])
                scores, stand = advance(
                    self.tables, self.scaled, self.classes, np.concatenate(parts), offsets, stand
                )
                after.clusters[group], after.alpha[group] = stand
                for index, part in zip(group, np.split(scores, offsets[1:-1]), strict=True):
                    log_probs[index][begin : begin + len(part)] = part
        return list(log_probs), after

    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        return self.read(sequences, Messages.none(len(sequences), self.S))[0]

    def log_likelihood(self, words: Array, offsets: Array, inside: Array) -> float:
        """log p of pieces, of which some begin inside a document."""
        before = Messages.none(len(inside), self.S)
        before.clusters[:] -= inside
        scores, _ = self.read(np.split(words, offsets[1:-1]), before)
        return sum(float(part.sum(dtype=np.float64)) for part in scores)

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.decoder(contexts).log_probs()

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> "ClusteredDecoder":
        return ClusteredDecoder(self, prompts, depth)

    @torch.inference_mode()
    def following(self, messages: Messages) -> torch.Tensor:
        """Probability of each next state: `(M, B, S)`."""
        B = len(messages.clusters)
        probabilities = torch.empty(self.M, B, self.S)
        into = self.tables.into.flatten(0, 1)  # (K, C)
        for cluster in np.unique(messages.clusters).tolist():
            rows = np.flatnonzero(messages.clusters == cluster)
            if cluster < 0:
                probabilities[:, rows] = self.tables.first[0].exp()[:, None]
                continue
            within = (self.tables.out[cluster] @ into.T).view(self.S, self.M, self.S).softmax(-1)
            alpha = torch.from_numpy(messages.alpha[rows]).float()
            leaving = alpha * self.tables.leave[cluster].exp()[:, None]  # (M, rows, S)
            probabilities[:, rows] = torch.bmm(leaving, within.transpose(0, 1))
        return probabilities

    def states(self, sequences: Sequence[Ids]) -> list[StatePath]:
        """The likeliest states behind each sequence, and the probability of each state at each token."""
        paths = []
        self.vocabulary.check(*sequences)
        for ids in sequences:
            words, offsets = np.asarray(ids, np.int64), offsets_of([len(ids)])
            layout = Layout.of(words, offsets, self.classes, self.M, np.array([-1]))
            blocks = make_blocks(self.tables, layout.codes)
            path = best_paths(layout, blocks, self.tables)
            within = posteriors(layout, blocks, self.scaled, np.zeros(1, np.int64)).states
            whole = np.zeros((len(ids), self.M, self.S))
            whole[np.arange(len(ids)), layout.clusters] = within
            paths.append(StatePath(path, whole.reshape(len(ids), -1)))
        return paths

    @torch.inference_mode()
    def to_hmm(self) -> HMM:
        """The same with tables of all states, to look at.

        Raises:
            LangueError: they would not fit in memory.
        """
        K, V = self.M * self.S, self.vocabulary.size
        if K * (K + V) > DENSE:
            raise LangueError(
                f"the tables of {K:,} states take {8 * K * (K + V) / 2**30:,.0f} GB; the states behind a "
                "text can be shown without them: langue states MODEL TEXT"
            )
        emission = torch.zeros(V, self.M, self.S, dtype=torch.float64)
        emission[torch.arange(V), torch.from_numpy(self.classes)] = self.tables.emission.double().exp()
        rows = [self.following(Messages(np.full(self.S, c), np.eye(self.S))) for c in range(self.M)]
        transition = torch.cat([row.transpose(0, 1).reshape(self.S, K) for row in rows]).double()
        first, middle = self.tables.first.double().exp().view(2, K)
        return HMM(self.vocabulary, Parameters(first, middle, transition, emission.view(V, K)))


class ClusteredDecoder(StateDecoder[Messages]):
    """Sequences that grow: their last cluster, and what is known of the state within it."""

    def __init__(self, model: ClusteredHMM, prompts: Sequence[Ids], depth: int) -> None:
        self.model = model
        super().__init__(model.vocabulary, prompts, depth)

    def start(self, rows: int) -> Messages:
        return Messages.none(rows, self.model.S)

    def read(self, state: Messages, ids: Sequence[Ids]) -> Messages:
        return self.model.read(ids, state)[1]

    def take(self, state: Messages, rows: list[int]) -> Messages:
        return Messages(*(part[rows] for part in state))

    def join(self, one: Messages, other: Messages) -> Messages:
        return Messages(*map(np.concatenate, zip(one, other, strict=True)))

    def distributions(self, state: Messages) -> Floats:
        states = self.model.following(state).double()  # (M, B, S)
        log_probs = np.empty((states.shape[1], self.model.vocabulary.size), np.float32)
        for members, here in zip(self.model.members, states, strict=True):
            emission = self.model.tables.emission[members].double().exp()  # (members, S)
            log_probs[:, members] = (here @ emission.T).log().numpy()
        return log_probs
