"""Tokens drawn from a mixture of a GPT-2 and an n-gram: the compiled step of the network mixes in what the
n-gram says, and goes on with the token that is drawn."""

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from langue.base.arrays import BoolArray, Float64Array, Floats, Ids, Int64Array, UInt8Array
from langue.models.counts.ngram.model import NGramDecoder
from langue.models.counts.ngram.score import distribution, step
from langue.models.counts.ngram.tables import Tables
from langue.models.networks.mixture import MixtureDecoder
from langue.models.networks.mixture_step import mix
from langue.models.networks.mixture_weights import Weights
from langue.nn.compiled.decoder import CompiledDecoder
from langue.nn.compiled.mixing import fork, mix_in, read_on
from langue.nn.compiled.rows import copy
from langue.protocols import Decoder, Vocabulary
from langue.protocols.drawing import DrawingDecoder, Draws


class NGramMixed(NamedTuple):
    """What a step reads of the n-gram.

    Attributes:
        nodes, lengths: `(B + 1,)`, its states and the lengths of their matches, which are moved on; the last
            are of a fork.
        part, longest: which of the parts it is; the longest match there is.
        sure, table, knots: of `mix`.
        logs, mixed, token, log_prob, length: room for a row of each part `(2, 1, V)`, of the mixture, and
            for one token and what is said of it.
    """

    tables: Tables
    nodes: Int64Array
    lengths: Int64Array
    part: int
    longest: int
    sure: BoolArray
    table: Float64Array
    knots: Float64Array
    logs: Floats
    mixed: Floats
    token: Int64Array
    log_prob: Floats
    length: UInt8Array


class DrawingMixture(MixtureDecoder, DrawingDecoder):
    """A decoder of a GPT-2 and an n-gram whose tokens are drawn in the step of the network."""

    def __init__(
        self, network: CompiledDecoder, ngram: NGramDecoder, vocabulary: Vocabulary, decoders: list[Decoder],
        sure: list[bool], weights: Weights,
    ) -> None:  # fmt: skip
        super().__init__(vocabulary, decoders, sure, weights)
        self.network, self.ngram = network, ngram

    @property
    def work(self) -> int:
        return self.network.work + self.vocabulary.size

    def most(self) -> int:
        return self.network.most()

    def draw(self, draws: Draws) -> tuple[list[Ids], list[Floats]]:
        V = self.vocabulary.size
        mixed = NGramMixed(
            self.ngram.model.tables,
            np.append(self.ngram.checked().nodes, 0),
            np.append(self.ngram.match_lengths(), 0),
            self.decoders.index(self.ngram),
            self.ngram.model.longest_match,
            self.sure,
            *self.weights,
            logs=np.empty((2, 1, V), np.float32),
            mixed=np.empty((1, V), np.float32),
            token=np.zeros(1, np.int64),
            log_prob=np.empty(1, np.float32),
            length=np.empty(1, np.uint8),
        )
        ids, log_probs = self.network.draw_mixed(draws, mixed)
        self.ngram.extend(ids)
        return ids, log_probs


def decoder_of(
    vocabulary: Vocabulary, decoders: list[Decoder], sure: list[bool], weights: Weights
) -> MixtureDecoder:
    """That of a mixture with these parts."""
    networks = [one for one in decoders if type(one) is CompiledDecoder]
    ngrams = [one for one in decoders if isinstance(one, NGramDecoder)]
    if len(networks) == len(ngrams) == 1 and len(decoders) == 2:
        return DrawingMixture(networks[0], ngrams[0], vocabulary, decoders, sure, weights)
    return MixtureDecoder(vocabulary, decoders, sure, weights)


def _is_ngram(mixture: Any) -> bool:
    return isinstance(mixture, types.NamedTuple) and mixture.instance_class is NGramMixed


@overload(mix_in)
def _mix_in(mixture, row, log_probs):
    def with_ngram(mixture, row, log_probs):
        distribution(mixture.tables, mixture.nodes[row], mixture.logs[mixture.part, 0])
        copy(log_probs, mixture.logs[1 - mixture.part, 0])
        lengths = mixture.lengths[row : row + 1]
        mix(mixture.logs, mixture.sure, lengths, mixture.table, mixture.knots, mixture.mixed)
        copy(mixture.mixed[0], log_probs)

    return with_ngram if _is_ngram(mixture) else None


@overload(read_on)
def _read_on(mixture, row, token):
    def by_ngram(mixture, row, token):
        mixture.token[0] = token
        step(mixture.tables, mixture.nodes[row : row + 1], mixture.token, mixture.log_prob, mixture.length)
        mixture.lengths[row] = min(np.int64(mixture.length[0]), mixture.longest)

    return by_ngram if _is_ngram(mixture) else None


@overload(fork)
def _fork(mixture, row):
    def of_ngram(mixture, row):
        last = len(mixture.nodes) - 1
        mixture.nodes[last], mixture.lengths[last] = mixture.nodes[row], mixture.lengths[row]
        return last

    return of_ngram if _is_ngram(mixture) else None
