"""`mixture`: several models as one, p(w | c) = sum of weight_i(c) p_i(w | c) (Jelinek and Mercer 1980).

The weights depend on the context, by how long a match an n-gram part has for it and how sure the networks are
of what follows, and are those that make the validation split likeliest (`mixture_weights`). Parts are
models of any family with one tokenizer: n-grams of two corpora, or an n-gram and a GPT-2, which know
different things and are better together than either. The folder holds a copy of each, so it is all one needs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from langue.base.arrays import Array, Float64Array, Floats, Ids
from langue.base.checked import check
from langue.base.config import Config, convert
from langue.base.errors import Damaged, LangueError, Mismatch, Unsupported
from langue.base.files import copy_folder, read_json, write_json
from langue.base.progress import log
from langue.models.family import Composition, Family, Part
from langue.models.folder import ModelFolder
from langue.models.folder import load as load_folder
from langue.models.networks.mixture_weights import Weights, tune
from langue.protocols import (
    Causal,
    Decoder,
    Explainable,
    Matching,
    MatchingDecoder,
    Quantizable,
    Vocabulary,
    WithEntropies,
    entropy,
)
from langue.protocols.explanation import MixtureExplanation, PartShare
from langue.tokens.store import TokenStore

WEIGHTS = "weights.json"
CLOSE = 1e-5  # to one: a sum of weights
CHUNK_TOKENS = 1 << 16  # tokens scored at a time
TUNED_TOKENS = 1 << 18  # of the validation split that weights are tuned on: some hundred weights need no more
# What little text gives most by; the network is one that suits the text, the time and the machine.
PARTS = (Part("ngram", "ngram", {}), Part("gpt2", "gpt2", {}))


class MixtureConfig(Config, frozen=True):
    """Which models are mixed."""

    models: tuple[str, ...] = ()  # their folders; none: an n-gram and a small GPT-2 are trained for it


class Stored(msgspec.Struct, forbid_unknown_fields=True):
    """`weights.json`."""

    table: list[list[list[float]]]  # lengths, knots, parts
    knots: list[float]


class Mixture(Causal):
    """A `Causal` model.

    Attributes:
        parts: the models and where their folders lie.
        weights: by the length of the match of the n-grams among them, and the entropy of the networks.
        learned: `weights`, the mean of those of the tokens that they were tuned on.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        parts: list[ModelFolder[Causal]],
        weights: Weights,
        learned: dict[str, list[float]] | None = None,
    ) -> None:
        self.vocabulary = vocabulary
        self.parts = parts
        self.models = [part.model for part in parts]
        self.names = [part.family.name for part in parts]
        self.weights = weights
        self.learned = learned or {}
        self.rounded_down = any(model.rounded_down for model in self.models)
        bounded = [model for model in self.models if model.window]
        narrowest = min(bounded, key=lambda model: model.window or 0, default=None)
        self.window: int | None = narrowest.window if narrowest else None
        self.stride: int | None = narrowest.stride if narrowest else None

    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        if not sequences:
            return []
        logs, lengths, entropies = contexts_of(self.models, sequences)
        scores = mixed(logs, self.weights.at(lengths, entropies))
        return np.split(scores, np.cumsum([len(ids) for ids in sequences])[:-1])

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.decoder(contexts).log_probs()

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> "MixtureDecoder":
        decoders = [model.decoder(prompts, depth=depth) for model in self.models]
        sure = [isinstance(model, WithEntropies) for model in self.models]
        from langue.models.networks.mixture_draw import decoder_of  # numba takes long to import

        return decoder_of(self.vocabulary, decoders, sure, self.weights)

    def read_in(self, how: Literal["int8"]) -> bool:
        taken = [model.read_in(how) for model in self.models if isinstance(model, Quantizable)]
        return any(taken)

    def explain(self, context: Ids, id: int) -> MixtureExplanation:
        """By the weights of its parts after this context, and what each of them says."""
        self.vocabulary.check(context, [id])
        decoder = self.decoder([context])
        logs = [part.log_probs() for part in decoder.decoders]
        weights = decoder.weights_of(logs, decoder.lengths())[:, 0]
        return MixtureExplanation(
            tuple(
                PartShare(
                    self.names[index],
                    float(weights[index]),
                    float(logs[index][0, id]),
                    model.explain(context, id) if isinstance(model, Explainable) else None,
                )
                for index, model in enumerate(self.models)
            )
        )

    def size(self) -> dict[str, int]:
        return {"models": len(self.parts)}

    def save(self, folder: Path) -> None:
        write_json(
            folder / WEIGHTS, {"table": self.weights.table.tolist(), "knots": self.weights.knots.tolist()}
        )
        for index, part in enumerate(self.parts):
            copy_folder(part.path, folder / str(index))


class MixtureDecoder:
    """A decoder of each part, fed the same tokens."""

    def __init__(
        self, vocabulary: Vocabulary, decoders: list[Decoder], sure: list[bool], weights: Weights
    ) -> None:
        self.vocabulary = vocabulary
        self.decoders = decoders
        self.matching = [isinstance(decoder, MatchingDecoder) for decoder in decoders]
        self.sure = np.array(sure)  # of which parts the entropy counts
        self.weights = weights

    @property
    def depth(self) -> int | None:
        return min((decoder.depth for decoder in self.decoders if decoder.depth is not None), default=None)

    def log_probs(self) -> Floats:
        return self._mixed([decoder.log_probs() for decoder in self.decoders], self.lengths())

    def lengths(self) -> list[Array]:
        """The matches of the parts that have them, `(batch,)` each."""
        decoders: Sequence[Any] = self.decoders
        return [decoder.match_lengths() for decoder, has in zip(decoders, self.matching, strict=True) if has]

    def weights_of(self, log_probs: Sequence[Floats], lengths: Sequence[Array]) -> Float64Array:
        """The weights of the parts, `(parts, rows)`, where these are their distributions `(rows, V)`."""
        entropies = [entropy(rows) for rows, sure in zip(log_probs, self.sure, strict=True) if sure]
        count = len(log_probs[0])
        return self.weights.at(longest(lengths, count), mean(entropies, count))

    def extend(self, ids: Sequence[Ids] | Ids, *, every: bool = False) -> list[Floats]:
        self.vocabulary.check(*ids)  # before a part has read them
        if not every:
            for decoder in self.decoders:
                decoder.extend(ids)
            return []
        if not len(ids):
            return []
        logs, lengths = [], []
        for decoder in self.decoders:
            if isinstance(decoder, MatchingDecoder):
                rows, matches = self._read_every(decoder, ids)
                lengths.append(np.concatenate(matches))
            else:
                rows = decoder.extend(ids, every=True)
            logs.append(np.concatenate(rows))
        return np.split(self._mixed(logs, lengths), np.cumsum([len(some) for some in ids])[:-1])

    def truncate(self, counts: Sequence[int]) -> None:
        if self.depth is not None and any(count > self.depth for count in counts):
            raise Mismatch(f"{max(counts)} tokens are to be taken back, but {self.depth} at most can be")
        for decoder in self.decoders:
            decoder.truncate(counts)

    def select(self, rows: Sequence[int]) -> None:
        for decoder in self.decoders:
            decoder.select(rows)

    def add(self, prompts: Sequence[Ids]) -> None:
        self.vocabulary.check(*prompts)
        for decoder in self.decoders:
            decoder.add(prompts)

    def _read_every(
        self, decoder: MatchingDecoder, ids: Sequence[Ids] | Ids
    ) -> tuple[list[Floats], list[Array]]:
        """The distributions after each token of each row, and the matches that they are predicted from."""
        logs = [np.empty((len(some), self.vocabulary.size), np.float32) for some in ids]
        lengths = [np.empty(len(some), np.int64) for some in ids]
        for t in range(max(map(len, ids))):
            decoder.extend([some[t : t + 1] for some in ids])
            both = zip(decoder.log_probs(), decoder.match_lengths(), strict=True)
            for index, (row, length) in enumerate(both):
                if t < len(ids[index]):
                    logs[index][t], lengths[index][t] = row, length
        return logs, lengths

    def _mixed(self, log_probs: Sequence[Floats], lengths: Sequence[Array]) -> Floats:
        """Of rows of distributions `(rows, V)` of each part, and the matches `(rows,)` of some."""
        from langue.models.networks.mixture_step import mix  # numba takes long to import

        logs = np.stack(log_probs)  # (parts, rows, V)
        mixture = np.empty(logs.shape[1:], np.float32)
        mix(logs, self.sure, longest(lengths, len(mixture)), *self.weights, mixture)
        return mixture


def mixed(log_probs: Floats, weights: Float64Array) -> Floats:
    """The log of the weighted sum over the first dimension, that of the parts."""
    with np.errstate(divide="ignore"):
        weighted = log_probs.astype(np.float64) + np.log(weights)
    mixture: Floats = np.logaddexp.reduce(weighted, axis=0).astype(np.float32)
    return mixture


def contexts_of(models: Sequence[Causal], sequences: Sequence[Ids]) -> tuple[Floats, Array, Floats]:
    """Of all tokens, one sequence after another: their log-probabilities by each model `(models, tokens)`,
    the longest match of their contexts, and the mean entropy of the networks."""
    logs, lengths, entropies = [], [], []
    for model in models:
        if isinstance(model, WithEntropies):
            rows, own = model.log_probs_and_entropies(sequences)
            entropies.append(np.concatenate(own))
        elif isinstance(model, Matching):
            rows, matches = model.log_probs_and_matches(sequences)
            lengths.append(np.concatenate(matches))
        else:
            rows = model.log_probs(sequences)
        logs.append(np.concatenate(rows))
    tokens = len(logs[0])
    return np.stack(logs), longest(lengths, tokens), mean(entropies, tokens)


def longest(lengths: Sequence[Array], count: int) -> Array:
    """The longest of the matches of several parts; 0 of none."""
    return np.max(lengths, axis=0) if lengths else np.zeros(count, np.int64)


def mean(entropies: Sequence[Floats], count: int) -> Floats:
    """The mean of the entropies of several parts; 0 of none."""
    return np.mean(entropies, axis=0) if entropies else np.zeros(count, np.float32)


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
    models = [part.model for part in parts]
    pieces = []
    group: list[Ids] = []
    read, split = 0, store.split("valid")
    for index, ids in enumerate(split.documents(), 1):
        group.append(ids)
        read += len(ids)
        last = index == len(split) or read >= TUNED_TOKENS
        if last or sum(map(len, group)) >= CHUNK_TOKENS:
            pieces.append(contexts_of(models, group))
            group = []
        if last:
            break
    logs, lengths, entropies = (np.concatenate(columns, axis=-1) for columns in zip(*pieces, strict=True))
    most = max((model.longest_match for model in models if isinstance(model, Matching)), default=0)
    weights = tune(logs, lengths, entropies, most)
    log.info("%s", shown(weights, [part.path.name for part in parts]))
    vocabulary = Vocabulary(store.vocabulary_size, store.eos, sep=store.sep)
    mean_weights = weights.at(lengths, entropies).mean(1)
    return Mixture(
        vocabulary, parts, weights, {"weights": [round(weight, 6) for weight in mean_weights.tolist()]}
    )


def load(folder: Path, config: MixtureConfig, vocabulary: Vocabulary) -> Mixture:
    parts = [load_folder(folder / str(index)).require(Causal) for index in range(len(config.models))]
    weights = read_weights(folder / WEIGHTS, len(parts))
    if any(part.model.vocabulary[:2] != vocabulary[:2] for part in parts):
        raise Damaged(f"{folder} is damaged: its parts are of other vocabularies; make it again")
    return Mixture(vocabulary, parts, weights)


def shown(weights: Weights, names: Sequence[str]) -> str:
    """The weights as a table: those after matches of each length, where the networks are sure of what
    follows, and where they are not."""
    lines = ["weights after a match of n tokens, where the entropy is small … large:"]
    for length, knots in enumerate(weights.table):
        ends = (f"{name} {knots[0, index]:.2f} … {knots[-1, index]:.2f}" for index, name in enumerate(names))
        lines.append(f"  {length}  " + "   ".join(ends))
    return "\n".join(lines)


def read_weights(path: Path, parts: int) -> Weights:
    """The weights of so many parts; a list of one for each is how the first version had them.

    Raises:
        Damaged: they are not that, or do not sum to one.
    """
    table = read_json(path)
    stored = Stored([[convert(list[float], table, path)]], [0.0]) if isinstance(table, list) else None
    stored = stored or convert(Stored, table, path)
    try:
        weights = Weights(np.array(stored.table, np.float64), np.array(stored.knots, np.float64))
    except ValueError:  # rows of several lengths
        raise Damaged(f"{path} is damaged: its rows of weights differ in length; make it again") from None
    check(weights, path, parts=parts)
    if not weights.table.size or not (np.abs(weights.table.sum(-1) - 1) <= CLOSE).all():
        raise Damaged(f"{path} is damaged: its weights are not those of {parts} parts; make it again")
    return weights


def parts(config: MixtureConfig) -> Sequence[Part]:
    return () if config.models else PARTS


def compose(config: MixtureConfig, models: Sequence[str]) -> MixtureConfig:
    return msgspec.structs.replace(config, models=tuple(models))


FAMILY = Family(
    name="mixture",
    summary="weighted sum of models, with weights by context, tuned on the validation split",
    makes=Causal,
    config=MixtureConfig,
    estimated_by="em",
    load=load,
    estimate=estimate,
    composition=Composition(parts, compose),
)
