"""`hmm-tagger`: a hidden Markov model whose states are tags, counted from tagged text: TnT (Brants 2000).

    p(w, t) = Π p(tᵢ | tᵢ₋₂, tᵢ₋₁) p(wᵢ | tᵢ)

Transitions are interpolated with weights found by deleted interpolation (figure 1 of the paper); a
word that training did not see is judged by its ending, and by whether it begins with a capital or has
a digit (section 2.3). Deviates from the paper: decoding is exact instead of a beam, unknown words with
digits have a tree of their own, spans are spelled finer inside (see `labels`), and posterior decoding
is offered. `order = 1` is the bigram model.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np
from safetensors.numpy import save_file

from langue.base.arrays import Array, Float64Array, Floats
from langue.base.checked import ArraySpec, check, damaged, read_tensors
from langue.base.config import Config, read_struct
from langue.base.errors import Damaged, LangueError
from langue.corpus.schemes import Scheme
from langue.corpus.tagged import Sentence, groups
from langue.inference.chain import offsets_of
from langue.inference.second_order import Chain2, n_best2, posteriors2, viterbi2
from langue.models.family import Family, TaggedData
from langue.models.taggers.labels import UNKNOWN_TAG, Encoding, Labels, spell_labels
from langue.protocols import Tagger, Vocabulary, Weight

WEIGHTS = "weights.safetensors"
LEXICON = "lexicon.json"
CHUNK_TOKENS = 1 << 14  # tokens tagged at a time
RARE = 10  # occurrences up to which a word teaches the endings, as in the paper
UNSEEN = -50.0  # log score of a tag a word was not seen with, where nothing else is left
MOST = 256  # tags: the table of transitions has their number to the third power


class HMMTaggerConfig(Config, frozen=True):
    """The few dials of a counted model."""

    RENAMED: ClassVar[Mapping[str, str]] = {"longest_ending": "max_suffix_length"}

    order: Literal[1, 2] = 2
    max_suffix_length: Annotated[int, msgspec.Meta(ge=0, le=20)] = 10  # characters, as in the paper
    encoding: Encoding = "BIOES"  # of spans, inside
    constraints: bool = True  # only tag sequences that spell spans
    decoding: Literal["viterbi", "posterior"] = "viterbi"  # posterior: the likeliest tag of each token


MOST_LOG = 1e6  # of what an ending is worth: no sum of some is infinite
ARRAYS = {  # natural logs
    "transition": ArraySpec("float64", ("K + 1", "K + 1", "K"), most=0, impossible=True),
    "end": ArraySpec("float64", ("K + 1", "K"), most=0, impossible=True),
    "prior": ArraySpec("float64", ("K",), most=0),
    "lexicon": ArraySpec("float64", ("words", "K"), most=0, impossible=True),
    "endings": ArraySpec("float64", ("endings", "K"), most=MOST_LOG, impossible=True),
}


class Table(msgspec.Struct):
    """What a folder says in words."""

    columns: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    labels: tuple[str, ...]
    scheme: Scheme | None
    encoding: Scheme | None
    words: list[str]
    endings: list[str]


class HMMTagger(Tagger):
    """A `Tagger` of p(words, tags).

    Args:
        lexicon: log p(word | tag) of known words, by word: `(K,)`, -inf for tags it was not seen with.
        endings: log p(tag | ending) - log p(tag), by capital class and ending: `(K,)`.
        prior: log p(tag), `(K,)`.
    """

    columns: tuple[str, ...]

    def __init__(
        self,
        columns: Sequence[str],
        labels: Labels,
        chain: Chain2,
        lexicon: dict[str, Float64Array],
        endings: dict[str, Float64Array],
        prior: Float64Array,
        config: HMMTaggerConfig,
    ) -> None:
        self.columns = tuple(columns)
        self.names = labels
        self.labels = labels.names
        self.outer = labels.outer()
        self.scheme = labels.scheme
        self.chain = chain
        self.lexicon = lexicon
        self.endings = endings
        self.prior = prior
        self.config = config

    def tag(self, sentences: Sequence[Sentence]) -> list[tuple[str, ...]]:
        tags: list[tuple[str, ...]] = []
        for unary, offsets in self._scored(sentences):
            if self.config.decoding == "posterior":
                states = posteriors2(self.chain, unary, offsets).states.argmax(1)
            else:
                states = viterbi2(self.chain, unary, offsets).states
            tags += [self.names.tags(part) for part in np.split(states, offsets[1:-1])]
        return tags

    def marginals(self, sentences: Sequence[Sentence]) -> list[Floats]:
        marginals: list[Floats] = []
        for unary, offsets in self._scored(sentences):
            marginals += np.split(posteriors2(self.chain, unary, offsets).states, offsets[1:-1])
        return marginals

    def best(self, sentence: Sentence, n: int) -> list[tuple[float, tuple[str, ...]]]:
        ((unary, offsets),) = self._scored([sentence])
        log_z = float(posteriors2(self.chain, unary, offsets).log_z[0])

        def rank(n: int) -> list[tuple[float, Array]]:
            ranked = n_best2(self.chain, unary, n)
            return list(zip((ranked.scores - log_z).tolist(), ranked.states, strict=True))

        return self.names.merge(rank, n, constraints=self.config.constraints)

    def _scored(self, sentences: Sequence[Sentence]) -> Iterator[tuple[Float64Array, Array]]:
        """log p(word | tag) `(N, K)`, unknown words up to a constant, and offsets, of groups of sentences."""
        for group in groups(sentences, CHUNK_TOKENS):
            numbers: dict[str, int] = {}
            words = [numbers.setdefault(word, len(numbers)) for one in group for word in one.words]
            rows = np.array([self._emission(word) for word in numbers]).reshape(-1, len(self.labels))
            unary, offsets = rows[np.array(words, np.int64)], offsets_of([len(one.words) for one in group])
            # Words that were each seen with a few tags only may leave no permitted way through.
            for s in np.flatnonzero(viterbi2(self.chain, unary, offsets).scores == -np.inf):
                here = unary[offsets[s] : offsets[s + 1]]
                here[:] = np.maximum(here, here.max(1, keepdims=True) + UNSEEN)
            yield unary, offsets

    def _emission(self, word: str) -> Float64Array:
        known = self.lexicon.get(word)
        if known is not None and self._is_reachable(known):
            return known
        kind = capital_class(word)
        for length in range(min(self.config.max_suffix_length, len(word)), 0, -1):
            distribution = self.endings.get(kind + word[-length:])
            if distribution is not None:
                return distribution
        return self.endings.get(kind, self.endings[""])

    @staticmethod
    def _is_reachable(scores: Float64Array) -> bool:
        return bool((scores > -np.inf).any())

    def strongest(self, top: int) -> list[Weight]:
        """log p(tag | word) / p(tag) of the pairs that tell most about tags, by what each adds to the
        information that words have of them."""
        prior = np.exp(self.prior)
        weighed = []
        for word, scores in self.lexicon.items():
            p = float(prior @ np.exp(scores))
            if not p:  # none of its tags ever occurs
                continue
            for k in np.flatnonzero(scores > -np.inf):
                weight = float(scores[k]) - math.log(p)
                weighed.append((prior[k] * math.exp(scores[k]) * weight, word, int(k), weight))
        weighed.sort(key=lambda row: -abs(row[0]))
        return [Weight(weight, f"word={word}", self.labels[k]) for _, word, k, weight in weighed[:top]]

    def size(self) -> dict[str, int]:
        return {"words": len(self.lexicon), "endings": len(self.endings), "states": len(self.labels)}

    def save(self, folder: Path) -> None:
        arrays = {
            "transition": self.chain.transition,
            "end": self.chain.end,
            "prior": self.prior,
            "lexicon": np.array(list(self.lexicon.values())).reshape(-1, len(self.labels)),
            "endings": np.array(list(self.endings.values())).reshape(-1, len(self.labels)),
        }
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / WEIGHTS)
        table = Table(self.columns, *self.names, list(self.lexicon), list(self.endings))
        text = json.dumps(msgspec.structs.asdict(table), ensure_ascii=False)
        (folder / LEXICON).write_text(text, encoding="utf-8")


def capital_class(word: str) -> str:
    """What the tree of endings is chosen by: a digit, a capital, or neither."""
    if any(character.isdigit() for character in word):
        return "0"
    return "X" if word[:1].isupper() else "x"


def estimate(config: HMMTaggerConfig, data: TaggedData) -> HMMTagger:
    """Count."""
    columns, sentences = data
    labels, tags = spell_labels(sentences, config.encoding)
    offsets = offsets_of([len(sentence.words) for sentence in sentences])
    K = len(labels.names)
    parts = [part for part in np.split(tags, offsets[1:-1]) if len(part) and (part != UNKNOWN_TAG).all()]
    prior = np.bincount(np.concatenate(parts) if parts else tags[tags >= 0], minlength=K).astype(float)
    seen: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for word, tag in zip((word for one in sentences for word in one.words), tags.tolist(), strict=True):
        if tag != UNKNOWN_TAG:
            seen[word][tag] += 1
    counts = {word: np.array([of[k] for k in range(K)], float) for word, of in seen.items()}
    with np.errstate(divide="ignore"):
        lexicon = {word: np.log(row / np.maximum(prior, 1)) for word, row in counts.items()}
    return HMMTagger(
        columns,
        labels,
        transitions(parts, K, config, labels),
        lexicon,
        ending_scores(counts, prior, config.max_suffix_length),
        np.log(np.maximum(prior, 1e-300) / prior.sum()),
        config,
    )


def transitions(parts: Sequence[Array], K: int, config: HMMTaggerConfig, labels: Labels) -> Chain2:
    """Interpolated log p(tag | two before) and log p(end | tag): K is the start, K + 1 the end.

    Raises:
        LangueError: more tags than `MOST`.
    """
    if K > MOST:
        raise LangueError(
            f"{K} tags are too many for hmm-tagger, whose tables grow with their cube; train crf"
        )
    three = np.zeros((K + 1, K + 1, K + 2))
    for part in parts:
        line = np.concatenate([[K, K], part, [K + 1]])
        np.add.at(three, (line[:-2], line[1:-1], line[2:]), 1)
    two, one = three.sum(0), three.sum((0, 1))
    shares = deleted_interpolation(three, order=config.order)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_three = np.nan_to_num(three / three.sum(2, keepdims=True))
        by_two = np.nan_to_num(two / two.sum(1, keepdims=True))
        logs = np.log(shares[0] * (one / max(one.sum(), 1)) + shares[1] * by_two + shares[2] * by_three)
    logs = np.maximum(logs, np.log(1e-12))  # a tag that never ends a sentence may have to
    fixed = labels.chain(constraints=config.constraints)
    logs[:, :K, :K] += fixed.transition
    logs[:, K, :K] += fixed.start
    logs[:, :K, K + 1] += fixed.end
    return Chain2(np.ascontiguousarray(logs[:, :, :K]), np.ascontiguousarray(logs[:, :K, K + 1]))


def deleted_interpolation(three: Float64Array, *, order: int) -> Float64Array:
    """Weights of unigram, bigram and trigram: each trigram votes for what predicts it best without itself."""
    two, one = three.sum(0), three.sum((0, 1))
    pairs, singles, total = three.sum(2), two.sum(1), three.sum()
    h, i, j = np.nonzero(three)
    count = three[h, i, j]

    def share(part: Float64Array, whole: Float64Array) -> Float64Array:
        return np.divide(part - 1, whole - 1, out=np.zeros(len(part)), where=whole > 1)

    cases = [share(one[j], np.full(len(j), total)), share(two[i, j], singles[i]), share(count, pairs[h, i])]
    cases = cases[: order + 1]
    winner = np.argmax(np.stack(cases)[::-1], axis=0)  # of equals the longest context
    weights: Float64Array = np.zeros(3)
    np.add.at(weights, len(cases) - 1 - winner, count)
    return weights / weights.sum() if weights.sum() else np.array([1.0, 0.0, 0.0])


def ending_scores(
    counts: dict[str, Float64Array], prior: Float64Array, longest: int
) -> dict[str, Float64Array]:
    """log p(tag | ending) - log p(tag) by capital class and ending, each smoothed by the next shorter."""
    rare = {word: row for word, row in counts.items() if row.sum() <= RARE} or counts
    sums: defaultdict[str, Any] = defaultdict(lambda: np.zeros(len(prior)))
    for word, row in rare.items():
        kind = capital_class(word)
        sums[""] += row
        for length in range(min(longest, len(word)) + 1):
            sums[kind + word[len(word) - length :]] += row
    p = prior / prior.sum()
    theta = float(np.std(p, ddof=1)) if len(p) > 1 else 1.0  # equation 10 of the paper
    smoothed: dict[str, Float64Array] = {}
    for ending in sorted(sums, key=len):
        # The class stays in front when the ending loses a character: "x" + "ing" → "x" + "ng".
        shorter = smoothed.get(ending[:1] + ending[2:]) if len(ending) > 1 else smoothed.get("", p)
        own = sums[ending] / sums[ending].sum()
        smoothed[ending] = (own + theta * (p if shorter is None else shorter)) / (1 + theta)
    with np.errstate(divide="ignore"):
        return {ending: np.log(share) - np.log(np.maximum(p, 1e-300)) for ending, share in smoothed.items()}


def load(folder: Path, config: HMMTaggerConfig, vocabulary: Vocabulary | None = None) -> HMMTagger:
    """Read a model folder.

    Raises:
        LangueError: a table is not what it must be; it is named.
    """
    table, arrays = read_struct(Table, folder / LEXICON), read_tensors(folder / WEIGHTS)
    labels = Labels(table.labels, table.scheme, table.encoding)
    labels.check(folder / LEXICON)
    counts = {"K": len(labels.names), "words": len(table.words), "endings": len(table.endings)}
    check(arrays, folder / WEIGHTS, ARRAYS, **counts)
    if "" not in table.endings:
        raise Damaged(f"{folder / LEXICON}.endings: the empty one is missing; make it again")
    chain, fixed = Chain2(arrays["transition"], arrays["end"]), labels.chain(constraints=config.constraints)
    K = len(labels.names)
    for name, own, other in (
        ("transition", chain.transition[:, :K], fixed.transition),
        ("transition", chain.transition[:, K], fixed.start),
        ("end", chain.end[:, :K], fixed.end),
    ):
        if not (np.isfinite(own) == np.isfinite(other)).all():
            raise damaged(folder / WEIGHTS, name, "does not permit what the labels permit")
    return HMMTagger(
        table.columns,
        labels,
        chain,
        dict(zip(table.words, arrays["lexicon"], strict=True)),
        dict(zip(table.endings, arrays["endings"], strict=True)),
        arrays["prior"],
        config,
    )


FAMILY = Family(
    name="hmm-tagger",
    summary="second-order hidden Markov tagger (TnT)",
    makes=Tagger,
    config=HMMTaggerConfig,
    estimated_by="counts",
    estimate=estimate,
    load=load,
)
