"""The parameters of an HMM, and where estimation starts."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import torch

from langue.base.arrays import Array
from langue.base.checked import ArraySpec, arrays_of, check, damaged, read_tensors
from langue.models.counts.exchange import exchange
from langue.models.states.hmm.classes import kmeans

TINY = 1e-45  # the smallest 32-bit number above 0
TOLERANCE = 1e-3  # of sums of 32-bit numbers, one for each word
NOISE = 0.1  # share of every start that is random: states that are alike would stay alike


class Parameters(NamedTuple):
    """Probabilities, float64; on disk float32."""

    start: Annotated[torch.Tensor, ArraySpec("float32", ("K",), least=0)]  # first state of a document
    # First state of a piece cut from inside a document; training only.
    middle: Annotated[torch.Tensor, ArraySpec("float32", ("K",), least=0)]
    # From, to; of the second order (K + 1, K, K): from two before (K: none), from, to.
    transition: Annotated[torch.Tensor, ArraySpec("float32", ("K", "K"), least=0)]
    # Of each word, by state; a column sums to one. Every state may emit every word, so no text is impossible.
    emission: Annotated[torch.Tensor, ArraySpec("float32", ("V", "K"), least=TINY)]

    @classmethod
    def load(cls, path: Path, V: int, K: int, order: int) -> "Parameters":
        """Read a file that `HMM.save` wrote.

        Raises:
            LangueError: an array is not what it must be; it is named.
        """
        arrays = read_tensors(path)
        specs = arrays_of(cls)
        if order == 2:
            specs["transition"] = replace(specs["transition"], shape=("K + 1", "K", "K"))
        check(arrays, path, specs, V=V, K=K)
        for name, axis in (("start", 0), ("middle", 0), ("transition", -1), ("emission", 0)):
            if not (np.abs(arrays[name].sum(axis, dtype=np.float64) - 1) <= TOLERANCE).all():
                raise damaged(path, name, "holds probabilities that do not sum to one")
        return cls(*(torch.from_numpy(arrays[name]).double() for name in cls._fields))

    @property
    def n_states(self) -> int:
        return len(self.start)


def random_start(K: int, unigram: Array, draw: np.random.Generator) -> Parameters:
    """Every state emits all words, in random proportions around the frequencies of the corpus."""
    emission = draw.standard_gamma(1.0, (len(unigram), K)) * unigram[:, None]
    return _parameters(draw.standard_gamma(1.0, K), draw.standard_gamma(1.0, (K, K)), emission)


def class_start(
    kind: str, K: int, tokens: Array, begins: Array, unigram: Array, draw: np.random.Generator
) -> Parameters:
    """A state for each class of words, with the transitions of a class bigram model."""
    size = len(unigram)
    classes = exchange(tokens, begins, size, K) if kind == "ngram" else kmeans(tokens, begins, size, K, draw)
    noise = random_start(K, unigram, draw)
    emission = np.zeros((size, K))
    emission[np.arange(size), classes] = unigram
    states = classes[tokens]
    pairs = np.zeros((K, K))
    np.add.at(pairs, (states[:-1][~begins[1:]], states[1:][~begins[1:]]), 1.0)
    classed = _parameters(np.bincount(states[begins], minlength=K) + 1e-3, pairs + 1e-3, emission + 1e-12)
    return Parameters(*((1 - NOISE) * one + NOISE * other for one, other in zip(classed, noise, strict=True)))


def _parameters(start: Array, transition: Array, emission: Array) -> Parameters:
    first = torch.from_numpy(start / start.sum())
    return Parameters(
        first,
        torch.full_like(first, 1 / len(first)),
        torch.from_numpy(transition / transition.sum(1, keepdims=True)),
        torch.from_numpy(emission / emission.sum(0)),
    )


def second_order(first: Parameters, draw: np.random.Generator) -> Parameters:
    """The same, with a state that depends on two before it: a share of the transitions is random."""
    K = first.n_states
    noise = torch.from_numpy(draw.standard_gamma(1.0, (K + 1, K, K)))
    noise /= noise.sum(2, keepdim=True)
    return first._replace(transition=(1 - NOISE) * first.transition.expand(K + 1, K, K) + NOISE * noise)
