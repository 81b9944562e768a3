"""The tags inside a tagger, and how they relate to those of the data.

Spans may be spelled finer inside than in the data (BIOES for BIO tells the end of a span from its
middle), and only sequences that spell spans may be permitted.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from langue.base.arrays import Array, Float64Array
from langue.base.errors import Damaged, LangueError
from langue.base.progress import log
from langue.base.wording import counted
from langue.corpus.schemes import (
    OUTSIDE,
    UNKNOWN,
    Scheme,
    convert,
    in_scheme,
    is_stray,
    is_typed,
    may_follow,
    obeys,
    scheme_of,
)
from langue.corpus.tagged import Sentence
from langue.inference.chain import Chain, offsets_of
from langue.inference.maxproduct import viterbi

Encoding = Literal["given", "BIO", "BIOES"]
UNKNOWN_TAG = -1
MERGED = 64  # sequences of labels looked at for a tagging that may be of several
MOST_MERGED = 1 << 12
SOME = 3  # mistakes that are told with their place


class Labels(NamedTuple):
    """The labels by number."""

    names: tuple[str, ...]
    scheme: Scheme | None  # how the data spells spans
    encoding: Scheme | None  # how the labels do

    def tags(self, numbers: Array) -> tuple[str, ...]:
        """Labels by number, in the spelling of the data."""
        chosen = [self.names[number] for number in numbers]
        if self.scheme and self.encoding and self.scheme != self.encoding:
            return tuple(convert(chosen, self.scheme))
        return tuple(chosen)

    def merge(
        self, rank: Callable[[int], Sequence[tuple[float, Array]]], n: int, *, constraints: bool
    ) -> list[tuple[float, tuple[str, ...]]]:
        """The n likeliest taggings, from a ranking of label sequences by log-probability.

        Without constraints several sequences of labels may be one tagging of the data: the probabilities of
        those among the likeliest are summed, which may be fewer than all in long sentences.
        """
        one_to_one = constraints or self.scheme == self.encoding
        ranked = rank(n if one_to_one else max(n, min(MERGED * (n + 1), MOST_MERGED)))
        sums: dict[tuple[str, ...], float] = {}
        for log_p, numbers in ranked:
            tags = self.tags(numbers)
            sums[tags] = float(np.logaddexp(sums.get(tags, -np.inf), log_p))
        best = sorted(sums.items(), key=lambda pair: -pair[1])[:n]
        return [(log_p, tags) for tags, log_p in best]

    def outer(self) -> tuple[str, ...]:
        """What each label is in the spelling of the data, as far as it says so by itself: S-X is B-X of BIO.

        Of IOB1 too, where it depends on the label before whether that is B-X or I-X. The labels themselves
        where the data spells finer than they do.
        """
        coarse = self.encoding in ("BIO", "IOB1") and self.scheme not in ("BIO", "IOB1")
        if self.scheme is None or self.scheme == self.encoding or coarse:
            return self.names
        return tuple(in_scheme(name, self.scheme) for name in self.names)

    def check(self, where: Path) -> None:
        """See that there are labels, and none twice.

        Raises:
            LangueError: it is not so.
        """
        if not self.names or len(set(self.names)) < len(self.names):
            raise Damaged(f"{where}.labels: there must be some, and none twice; make it again")

    def chain(self, *, constraints: bool) -> Chain:
        """Scores of 0, or -inf where the encoding does not permit a step."""
        K = len(self.names)
        if not constraints or self.encoding is None:
            return Chain.of(np.zeros((K, K)))
        encoding = self.encoding

        def scores(befores: Sequence[str], afters: Sequence[str]) -> Float64Array:
            allowed = [[may_follow(before, after, encoding) for after in afters] for before in befores]
            return np.where(allowed, 0.0, -np.inf)

        edge = (OUTSIDE,)
        return Chain.of(
            scores(self.names, self.names), scores(edge, self.names)[0], scores(self.names, edge)[:, 0]
        )


def check_possible(sentences: Sequence[Sentence], tags: Array, chain: Chain) -> None:
    """See that every sentence has labels that the chain permits, whatever is not known of it.

    Raises:
        LangueError: one has none; it is named.
    """
    offsets = offsets_of([len(sentence.words) for sentence in sentences])
    unary = np.where(
        (tags[:, None] == UNKNOWN_TAG) | (tags[:, None] == np.arange(len(chain.start))), 0, -np.inf
    )
    impossible = np.flatnonzero(viterbi(chain, unary, offsets).scores == -np.inf)
    if len(impossible):
        raise LangueError(
            f"{sentences[impossible[0]].location}: no tags that spell spans agree with those known of this "
            "sentence; put them right, or set constraints = false"
        )


def spell_labels(sentences: Sequence[Sentence], encoding: Encoding) -> tuple[Labels, Array]:
    """The labels of a tagger and each token's own `(N,)`, `UNKNOWN_TAG` where it is not known.

    Malformed spans are put right, and counted; sentences tagged in part keep their spelling. Where most tags
    spell spans, one that spells nothing is outside.

    Raises:
        LangueError: no tag is known.
    """
    given = [sentence.tags for sentence in sentences]
    told = [[tag for tag in tags if tag != UNKNOWN] for tags in given]
    scheme = scheme_of(told)
    partial = any(len(some) < len(tags) for some, tags in zip(told, given, strict=True))
    if partial:
        missing = sum(map(len, given)) - sum(map(len, told))
        log.info("%s tokens have the tag %s: not known, so nothing is learned of it", f"{missing:,}", UNKNOWN)
    inside: Scheme | None = scheme
    if scheme:
        given = put_outside(sentences, scheme, typed=is_typed(told))
    if scheme and encoding != "given" and not partial:
        inside = "BMES" if scheme == "BMES" and encoding == "BIOES" else encoding
    if scheme and inside and not partial:
        slips = [one.location for one, tags in zip(sentences, given, strict=True) if not obeys(tags, scheme)]
        if slips:
            log.warning(
                "the tags of %s do not spell %s; read as conlleval does (%s)",
                counted(len(slips), "sentence"),
                scheme,
                some_of(slips),
            )
        given = [tuple(convert(tags, inside)) for tags in given]
    names = sorted({tag for tags in given for tag in tags} - {UNKNOWN})
    if not names:
        raise LangueError("no token has a known tag: there is nothing to learn from")
    numbers = {name: number for number, name in enumerate(names)} | {UNKNOWN: UNKNOWN_TAG}
    tags = np.array([numbers[tag] for tags in given for tag in tags], np.int32)
    return Labels(tuple(names), scheme, inside), tags


def put_outside(sentences: Sequence[Sentence], scheme: str, *, typed: bool) -> list[tuple[str, ...]]:
    """The tags of sentences that spell spans, those that spell nothing as `O`; these are told.

    Args:
        typed: whether the prefixes have a type.
    """
    strays: dict[str, str] = {}  # the first of each
    count = 0
    given = []
    for sentence in sentences:
        if any(is_stray(tag, typed=typed) and tag != UNKNOWN for tag in set(sentence.tags)):
            tags = []
            for t, tag in enumerate(sentence.tags):
                stray = tag != UNKNOWN and is_stray(tag, typed=typed)
                count += stray
                if stray:
                    strays.setdefault(tag, sentence.locate(t))
                tags.append(OUTSIDE if stray else tag)
            given.append(tuple(tags))
        else:
            given.append(sentence.tags)
    if strays:
        log.warning(
            "%s spell no %s and count as %s: %s" if count > 1 else "%s spells no %s and counts as %s: %s",
            counted(count, "tag"),
            scheme,
            OUTSIDE,
            some_of([f"{tag} ({where})" for tag, where in strays.items()]),
        )
    return given


def some_of(items: Sequence[str]) -> str:
    """The first few."""
    return ", ".join(items[:SOME]) + (", …" if len(items) > SOME else "")
