"""`mixture`: several models as one, p(w | c) = sum of weight_i p_i(w | c) (Jelinek and Mercer 1980).

The weights are those that make the validation split likeliest, found by expectation maximization: a part's
weight becomes the mean share it had in the probability of a token. That converges from anywhere, for the
likelihood is concave in the weights. Parts are models of any family with one tokenizer: n-grams of two
corpora, or an n-gram and a GPT-2. The folder holds a copy of each, so it is all one needs.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from langue.base.arrays import Float64Array, Floats, Ids
from langue.base.config import Config, convert
from langue.base.errors import Damaged, LangueError, Mismatch, Unsupported
from langue.base.files import read_json, write_json
from langue.models.family import Family
from langue.models.folder import ModelFolder
from langue.models.folder import load as load_folder
from langue.protocols import Causal, Decoder, Vocabulary
from langue.tokens.store import TokenStore

WEIGHTS = "weights.json"
CLOSE = 1e-5  # weights that move less have converged: perplexity no longer changes in its fifth digit
LONGEST = 1000  # steps of EM
CHUNK_TOKENS = 1 << 16  # tokens scored at a time


class MixtureConfig(Config, frozen=True):
    """Which models are mixed."""

    models: tuple[str, ...] = ()  # their folders


class Mixture(Causal):
    """A `Causal` model.

    Attributes:
        parts: the models and where their folders lie.
        weights: `(parts,)`, summing to one.
    """

    def __init__(
        self, vocabulary: Vocabulary, parts: list[ModelFolder[Causal]], weights: Float64Array
    ) -> None:
        self.vocabulary = vocabulary
        self.parts = parts
        self.models = [part.model for part in parts]
        self.weights = weights
        self.rounded_down = any(model.rounded_down for model in self.models)
        bounded = [model for model in self.models if model.window]
        narrowest = min(bounded, key=lambda model: model.window or 0, default=None)
        self.window: int | None = narrowest.window if narrowest else None
        self.stride: int | None = narrowest.stride if narrowest else None

    @property
    def learned(self) -> dict[str, list[float]]:
        """What `model.json` keeps among the figures of the training."""
        return {"weights": [round(weight, 6) for weight in self.weights.tolist()]}

    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        several = [model.log_probs(sequences) for model in self.models]
        return [mixed(np.stack(logs), self.weights) for logs in zip(*several, strict=True)]

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return mixed(np.stack([model.next_log_probs(contexts) for model in self.models]), self.weights)

    def decoder(self, prompts: Sequence[Ids]) -> "MixtureDecoder":
        return MixtureDecoder([model.decoder(prompts) for model in self.models], self.weights)

    def size(self) -> dict[str, int]:
        return {"models": len(self.parts)}

    def save(self, folder: Path) -> None:
        write_json(folder / WEIGHTS, self.weights.tolist())
        for index, part in enumerate(self.parts):
            shutil.copytree(part.path, folder / str(index))


class MixtureDecoder:
    """A decoder of each part, fed the same tokens."""

    def __init__(self, decoders: list[Decoder], weights: Float64Array) -> None:
        self.decoders = decoders
        self.weights = weights

    def log_probs(self) -> Floats:
        return mixed(np.stack([decoder.log_probs() for decoder in self.decoders]), self.weights)

    def append(self, ids: Ids) -> None:
        for decoder in self.decoders:
            decoder.append(ids)

    def select(self, rows: Sequence[int]) -> None:
        for decoder in self.decoders:
            decoder.select(rows)


def mixed(log_probs: Floats, weights: Float64Array) -> Floats:
    """The log of the weighted sum over the first dimension."""
    shape = (-1,) + (1,) * (log_probs.ndim - 1)
    with np.errstate(divide="ignore"):
        weighted = log_probs.astype(np.float64) + np.log(weights).reshape(shape)
    mixture: Floats = np.logaddexp.reduce(weighted, axis=0).astype(np.float32)
    return mixture


def tuned(log_probs: Floats) -> Float64Array:
    """The weights that make tokens likeliest.

    Args:
        log_probs: `(parts, tokens)`; tokens that no part holds possible are left out.
    """
    possible = log_probs[:, (log_probs > -np.inf).any(0)].astype(np.float64)
    p = np.exp(possible - possible.max(0, initial=-np.inf))
    weights = np.full(len(p), 1 / len(p))
    for _ in range(LONGEST):
        shares = weights[:, None] * p
        after = (shares / shares.sum(0)).mean(1) if p.shape[1] else weights
        moved, weights = np.abs(after - weights).max(), after
        if moved < CLOSE:
            break
    return weights


def estimate(config: MixtureConfig, store: TokenStore) -> Mixture:
    """Read the parts and tune their weights on the validation split.

    Raises:
        LangueError: there are fewer than two, or one has another tokenizer than the store.
    """
    if len(config.models) < 2:
        raise LangueError('a mixture needs two models or more: --set \'models=["A", "B"]\'')
    parts = [load_folder(path).require(Causal) for path in config.models]
    for part in parts:
        if part.description.tokenizer != store.manifest["tokenizer"]["fingerprint"]:
            raise Mismatch(f"{part.path} has another tokenizer than {store.path}; all parts need one")
        if not part.model.normalized:
            raise Unsupported(f"the scores of {part.path} are no probabilities, and cannot be mixed")
    columns = []
    group: list[Ids] = []
    split = store.split("valid")
    for index, ids in enumerate(split.documents(), 1):
        group.append(ids)
        if index == len(split) or sum(map(len, group)) >= CHUNK_TOKENS:
            columns.append(np.stack([np.concatenate(part.model.log_probs(group)) for part in parts]))
            group = []
    vocabulary = Vocabulary(store.vocabulary_size, store.eos)
    return Mixture(vocabulary, parts, tuned(np.concatenate(columns, axis=1)))


def load(folder: Path, config: MixtureConfig, vocabulary: Vocabulary) -> Mixture:
    parts = [load_folder(folder / str(index)).require(Causal) for index in range(len(config.models))]
    weights = np.array(convert(list[float], read_json(folder / WEIGHTS), folder / WEIGHTS))
    if len(weights) != len(parts) or not (weights >= 0).all() or not abs(weights.sum() - 1) <= CLOSE:
        raise Damaged(f"{folder / WEIGHTS} is damaged: its weights are not those of {len(parts)} parts")
    if any(part.model.vocabulary[:2] != vocabulary[:2] for part in parts):
        raise Damaged(f"{folder} is damaged: its parts are of other vocabularies; make it again")
    return Mixture(vocabulary, parts, weights)


FAMILY = Family(
    name="mixture",
    summary="weighted sum of models, with weights tuned on the validation split",
    makes=Causal,
    config=MixtureConfig,
    estimated_by="em",
    load=load,
    estimate=estimate,
)
