"""Estimating an HMM on a store: starts, Baum–Welch, and the parameters that are best on held-out text."""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from langue.base.arrays import Array
from langue.base.errors import LangueError
from langue.base.progress import bar, log
from langue.base.seeds import generator
from langue.base.stop import Stop
from langue.models.states.hmm.baum_welch import Pieces, Prior, Step, baum_welch, cut, log_likelihood
from langue.models.states.hmm.model import HMM
from langue.models.states.hmm.parameters import Parameters, class_start, random_start, second_order
from langue.protocols import Vocabulary
from langue.tokens.store import TokenStore

if TYPE_CHECKING:
    from langue.models.states.hmm import HMMConfig

TRIAL = 5  # passes after which restarts are compared
HELD_OUT = 65_536  # tokens of the valid split that a pass is judged on: it costs a share of a pass


def train(config: "HMMConfig", store: TokenStore) -> HMM:
    """Fit to the train split; of all passes the one that is best on the valid split is kept."""
    vocabulary = Vocabulary(store.vocabulary_size, store.eos, sep=store.sep)
    pieces = cut(store.split("train").documents(), config.cut)
    held_out = _held_out(store, config.cut)
    unigram = (np.bincount(pieces.tokens, minlength=vocabulary.size) + 1.0) / (
        len(pieces.tokens) + vocabulary.size
    )
    prior = Prior(config.emission_prior, config.transition_prior, torch.from_numpy(unigram))
    best = Best(held_out)
    with bar("estimating (hmm)", total=config.iterations) as shown, Stop() as stop:

        def after(step: Step) -> bool:
            if not math.isfinite(step.log_likelihood):
                raise LangueError(f"the log-likelihood is {step.log_likelihood} in pass {step.number}")
            shown.advance()
            nats = -step.log_likelihood / len(pieces.tokens)
            valid = best.see(step.parameters)
            note = f"training {nats:.4f} nats a token" + (f", validation {valid:.4f}" if valid else "")
            shown.note(note)
            log.info("pass %d: %s", step.number, note)
            return best.is_over or stop.asked

        baum_welch(
            _start(config, pieces, unigram, prior, stop),
            pieces,
            prior,
            iterations=config.iterations,
            tolerance=config.tolerance,
            batch_tokens=config.batch_tokens,
            after=after,
        )
    assert best.parameters is not None
    return HMM(vocabulary, best.parameters)


def _held_out(store: TokenStore, longest: int) -> Pieces | None:
    """The first documents of the valid split, whole as far as `HELD_OUT` goes; None where it is empty."""
    split = store.splits["valid"]
    count = int(np.searchsorted(split.offsets[1:], HELD_OUT, side="right")) or min(len(split), 1)
    return cut((split.document(index)[:HELD_OUT] for index in range(count)), longest) if count else None


class Best:
    """The parameters that were best on held-out pieces; the last, where there are none."""

    PATIENCE = 3  # passes without a better one after which estimation is over

    def __init__(self, held_out: Pieces | None) -> None:
        self.held_out = held_out
        self.parameters: Parameters | None = None
        self.nats = math.inf
        self.worse = 0

    def see(self, parameters: Parameters) -> float | None:
        """Nats a token on the held-out pieces."""
        if self.held_out is None:
            self.parameters = parameters
            return None
        nats = -log_likelihood(parameters, self.held_out) / len(self.held_out.tokens)
        if nats < self.nats:
            self.nats, self.parameters, self.worse = nats, parameters, 0
        else:
            self.worse += 1
        return nats

    @property
    def is_over(self) -> bool:
        return self.worse >= self.PATIENCE


def _start(config: "HMMConfig", pieces: Pieces, unigram: Array, prior: Prior, stop: Stop) -> Parameters:
    """Initial parameters: of several restarts the one that is likeliest after `TRIAL` passes."""
    begins = np.zeros(len(pieces.tokens), bool)
    begins[pieces.offsets[:-1]] = True
    starts = []
    for restart in range(config.restarts):
        draw = generator(config.seed, "start", restart)
        if config.initialization == "random":
            start = random_start(config.states, unigram, draw)
        else:
            start = class_start(config.initialization, config.states, pieces.tokens, begins, unigram, draw)
        if config.order == 2:
            start = second_order(start, draw)
        if config.restarts == 1:
            return start
        tried = _Steps(stop)
        baum_welch(start, pieces, prior, iterations=TRIAL, tolerance=0.0, after=tried)
        log.info("start %d: objective %.1f", restart, tried[-1].objective)
        starts.append(tried[-1])
        if stop.asked:
            break
    return max(starts, key=lambda step: step.objective).parameters


class _Steps(list[Step]):
    """Passes as they come, until a stop is asked for."""

    def __init__(self, stop: Stop) -> None:
        super().__init__()
        self._stop = stop

    def __call__(self, step: Step) -> bool:
        self.append(step)
        return self._stop.asked
