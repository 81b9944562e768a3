"""The HMM at work as a language model, and what its states mean."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file

from langue.base.arrays import Float64Array, Floats, Ids, Int32Array
from langue.base.groups import group_by_size
from langue.inference.batched import Packed, advance, forward, map_products, pack, start_messages
from langue.inference.chain import Chain, offsets_of
from langue.inference.decoding import StateDecoder
from langue.inference.maxproduct import viterbi
from langue.inference.second_order import Chain2, posteriors2, viterbi2
from langue.inference.sumproduct import posteriors
from langue.models.states.hmm.baum_welch import messages
from langue.models.states.hmm.parameters import Parameters
from langue.protocols import Causal, Vocabulary
from langue.protocols.explanation import StateExplanation, StateShare

WEIGHTS = "weights.safetensors"
SHOWN_STATES, SHOWN_WORDS = 6, 8  # of an explanation
CHUNK_MESSAGES = 1 << 22  # messages held at a time when scoring: 32 MB


class StatePath(NamedTuple):
    """Hidden states of a text."""

    states: Int32Array  # (tokens,) the likeliest sequence of states (Viterbi)
    posteriors: Float64Array  # (tokens, K) probability of each state at each token


class HMM(Causal):
    """A `Causal` model: its state is a distribution over hidden states, and its context has no bound."""

    window: int | None = None
    stride: int | None = None

    def __init__(self, vocabulary: Vocabulary, parameters: Parameters) -> None:
        self.vocabulary = vocabulary
        # Scores are the same before and after a trip to the disk, where 32 bits are enough.
        self.parameters = Parameters(*(part.float().double() for part in parameters))

    def to_hmm(self) -> "HMM":
        """Itself: what a model that makes an HMM answers with the one it makes."""
        return self

    @torch.inference_mode()
    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        self.vocabulary.check(*sequences)
        log_probs = [np.empty(len(ids), np.float32) for ids in sequences]

        def work(group: list[int]) -> None:
            scales, packed, _ = self._forward([sequences[index] for index in group])
            scores = torch.empty_like(scales)
            scores[packed.positions] = scales.log()
            ends = np.cumsum([len(sequences[index]) for index in group])
            for index, part in zip(group, np.split(scores.numpy(), ends[:-1]), strict=True):
                log_probs[index][:] = part

        map_products(work, self._groups(sequences))
        return list(log_probs)

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.decoder(contexts).log_probs()

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> "HMMDecoder":
        return HMMDecoder(self, prompts, depth)

    @torch.inference_mode()
    def read(self, states: torch.Tensor, ids: Sequence[Ids]) -> torch.Tensor:
        """What is known of the next state of each row, after some tokens more: `HMMDecoder.start`'s."""
        after = states.clone()
        for group in self._groups(ids):
            _, packed, alpha = self._forward([ids[index] for index in group], states[group])
            natural = torch.empty_like(alpha)
            natural[packed.positions] = alpha
            ends = torch.from_numpy(np.cumsum([len(ids[index]) for index in group]) - 1)
            after[group] = advance(natural[ends], self.parameters.transition)
        return after

    def states(self, sequences: Sequence[Ids]) -> list[StatePath]:
        """The likeliest states behind each sequence, and the probability of each state at each token."""
        start, _, transition, emission = (part.log().numpy() for part in self.parameters)
        self.vocabulary.check(*sequences)
        paths = []
        for ids in sequences:
            unary, offsets = emission[np.asarray(ids, np.int64)], offsets_of([len(ids)])
            if transition.ndim == 2:
                chain = Chain.of(transition, start)
                path, sums = viterbi(chain, unary, offsets), posteriors(chain, unary, offsets)
                paths.append(StatePath(path.states, sums.states))
            else:
                second = _second(transition, start)
                path, more = viterbi2(second, unary, offsets), posteriors2(second, unary, offsets)
                paths.append(StatePath(path.states, more.states))
        return paths

    @torch.inference_mode()
    def explain(self, context: Ids, id: int) -> StateExplanation:
        """By the states that it may be in, the likeliest given the token first."""
        self.vocabulary.check(context, [id])
        known = self.decoder([context]).state
        prior = (known if known.ndim == 2 else known.sum(1))[0].numpy()
        emission = self.parameters.emission.numpy()
        joint = prior * emission[id]
        posterior = joint / joint.sum()
        states = []
        for k in np.argsort(-posterior, kind="stable")[:SHOWN_STATES].tolist():
            best = np.argsort(-emission[:, k], kind="stable")[:SHOWN_WORDS].tolist()
            words = tuple((w, float(emission[w, k])) for w in best)
            states.append(StateShare(k, float(prior[k]), float(posterior[k]), float(emission[id, k]), words))
        return StateExplanation(tuple(states))

    def _groups(self, sequences: Sequence[Ids]) -> list[list[int]]:
        """Numbers of sequences that are not empty, in groups of about `CHUNK_MESSAGES` messages."""
        width = messages(self.parameters)
        some = [index for index, ids in enumerate(sequences) if len(ids)]
        some.sort(key=lambda index: len(sequences[index]))
        return list(group_by_size(some, lambda index: len(sequences[index]) * width, CHUNK_MESSAGES))

    def _forward(
        self, sequences: Sequence[Ids], states: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, Packed, torch.Tensor]:
        packed = pack([len(ids) for ids in sequences])
        tokens = torch.from_numpy(np.concatenate([np.asarray(ids, np.int64) for ids in sequences]))
        local = self.parameters.emission[tokens[packed.positions]]
        start = self.parameters.start if states is None else states[packed.order]
        alpha, scale = forward(start, self.parameters.transition, local, packed.heights)
        return scale, packed, alpha

    def size(self) -> dict[str, int]:
        return {
            "states": self.parameters.n_states,
            "parameters": sum(part.numel() for part in self.parameters),
        }

    def save(self, folder: Path) -> None:
        arrays = {name: part.float().contiguous() for name, part in self.parameters._asdict().items()}
        save_file(arrays, folder / WEIGHTS)

    @classmethod
    def load(cls, folder: Path, vocabulary: Vocabulary, K: int, order: int) -> "HMM":
        """Read the parameters of a model folder.

        Raises:
            LangueError: they are not those of this configuration, or no probabilities.
        """
        return cls(vocabulary, Parameters.load(folder / WEIGHTS, vocabulary.size, K, order))


def _second(transition: Float64Array, start: Float64Array) -> Chain2:
    """The chain of the second order, all in logs, whose first state comes from `start`."""
    K = len(start)
    scores = np.full((K + 1, K + 1, K), -np.inf)
    scores[:, :K] = transition
    scores[K, K] = start
    return Chain2(scores, np.zeros((K + 1, K)))


class HMMDecoder(StateDecoder[torch.Tensor]):
    """For each sequence what is known of its next state: `(batch, K)`, or, of pairs, `(batch, K + 1, K)`."""

    def __init__(self, model: HMM, prompts: Sequence[Ids], depth: int) -> None:
        self.model = model
        super().__init__(model.vocabulary, prompts, depth)

    def start(self, rows: int) -> torch.Tensor:
        start, _, transition, _ = self.model.parameters
        return start_messages(start.repeat(rows, 1), transition)

    def read(self, state: torch.Tensor, ids: Sequence[Ids]) -> torch.Tensor:
        return self.model.read(state, ids)

    def take(self, state: torch.Tensor, rows: list[int]) -> torch.Tensor:
        return state[rows]

    def join(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return torch.cat([one, other])

    def distributions(self, state: torch.Tensor) -> Floats:
        states = state if state.ndim == 2 else state.sum(1)
        scores: Floats = (states @ self.model.parameters.emission.T).log().float().numpy()
        return scores
