"""How tags spell spans: IOB1, BIO, BIOES, BMES and BILOU, what may follow what, and how to go between them.

A tag is `O`, or a prefix and a type, `B-LOC`; where there is one kind of span only, as in word segmentation,
the prefix alone. The first letters of BIOES are Begin, Inside, Outside, End, Single; BMES writes M (middle)
for I, BILOU L (last) for E and U (unit) for S; IOB1 (CoNLL-2003 as released) begins a span with I, and with B
only where the one before it has the same type (Ramshaw and Marcus 1995). Tags that follow none of these, such
as parts of speech, have no scheme. Files have slips: a few tags that spell nothing (`stray`) leave the scheme
what it is, and count as outside. What a file spells otherwise (`PER-B`, `B_PER`, `b-per`) is brought to this
spelling: see `usual`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

Scheme = Literal["IOB1", "BIO", "BIOES", "BMES", "BILOU"]
OUTSIDE = "O"
UNKNOWN = "?"  # the tag of a token whose tag is not known
SPACY_UNKNOWN = "-"  # the same, as spaCy writes it in BILOU
LETTERS: dict[Scheme, tuple[str, ...]] = {
    "IOB1": ("B", "I"),
    "BIO": ("B", "I"),
    "BIOES": ("B", "I", "E", "S"),
    "BMES": ("B", "M", "E", "S"),
    "BILOU": ("B", "I", "L", "U"),
}
_FINE = ("B", "IM", "EL", "SU")  # letters of one meaning
_COARSE = ("BSU", "IMEL")
_SPAN = re.compile("([BIMESLU])(?:-(.+))?", re.DOTALL)
# What is meant for a span, and is spelled in another way: `B_PER` and `b-per`; `PER-B`.
_UNUSUAL = (
    re.compile(r"(?P<letter>[BIMESLU])[-_](?P<type>.+)", re.DOTALL | re.IGNORECASE),
    re.compile(r"(?P<type>.+)[-_](?P<letter>[BIMESLU])", re.DOTALL | re.IGNORECASE),
)
ORDINARY = 10  # times as many I as B begin a span in IOB1, where B is for neighbors


class Span(NamedTuple):
    """Positions `begin` to `end` - 1 are one thing of that type."""

    begin: int
    end: int
    type: str  # "" where the tags have none


@lru_cache(1 << 12)
def split(tag: str) -> tuple[str, str]:
    """Prefix and type: `("B", "LOC")`, `("B", "")`; of what spells nothing, `("O", "")`."""
    match = _SPAN.fullmatch(tag)
    return (match[1], match[2] or "") if match else (OUTSIDE, "")


def scheme_of(sentences: Iterable[Sequence[str]]) -> Scheme | None:
    """The scheme of these tags, or None where they are just labels.

    Most decide, of the tags that are not `O`: most must be a prefix and a type, or more than half a prefix
    alone (and some `B`, or all `I`). The prefixes say which scheme: as many E and S as spans begin mean
    BIOES. Between BIO and IOB1 it is whether any B stands where IOB1 has none.
    """
    typed, bare = Counter[str](), Counter[str]()
    others = begun = inside = ordinary = 0
    for tags in sentences:
        before: str | None = None
        for tag in tags:
            if tag == OUTSIDE:
                before = None
                continue
            match = _SPAN.fullmatch(tag)
            if not match:
                others += 1
                before = None
                continue
            letter, type = match[1], match[2] or ""
            (typed if type else bare)[letter] += 1
            ordinary += letter == "B" and type != before
            inside += letter == "I" and type != before
            begun += letter == "B" or (letter == "I" and type != before)
            before = type
    with_type, without = typed.total(), bare.total()
    if with_type >= without:
        if not with_type or with_type < others + without:
            return None
        letters = typed
    else:
        if without <= others + with_type or not (bare["B"] or set(bare) == {"I"}):
            return None
        letters = bare
    ends = letters["E"] + letters["S"] + letters["M"]
    if 2 * max(ends, letters["L"] + letters["U"]) > begun:
        if ends < letters["L"] + letters["U"]:
            return "BILOU"
        return "BMES" if letters["M"] > letters["I"] else "BIOES"
    return "IOB1" if inside > ORDINARY * ordinary else "BIO"


def is_typed(sentences: Iterable[Sequence[str]]) -> bool:
    """Whether most of the prefixes have a type."""
    counts = Counter(bool(split(tag)[1]) for tags in sentences for tag in tags if split(tag)[0] != OUTSIDE)
    return counts[True] >= counts[False]


def is_stray(tag: str, *, typed: bool) -> bool:
    """Whether a tag of a file with a scheme spells nothing there."""
    prefix, type = split(tag)
    return tag != OUTSIDE and (prefix == OUTSIDE or bool(type) != typed)


def usual(sentences: Sequence[Sequence[str]]) -> dict[str, str]:
    """The tags of a file that mean spans in another spelling (`PER-B`, `B_PER`, `b-per`), or that one is not
    known, each with what is meant in ours.

    None is a span in another spelling unless most tags that are not `O` are such, and spans begin among them.
    """
    nothing = {OUTSIDE, OUTSIDE.lower(), UNKNOWN, SPACY_UNKNOWN, "_"}
    counts = Counter(tag for tags in sentences for tag in tags if tag not in nothing)
    meant = {}
    for tag in counts:
        match = next(filter(None, (form.fullmatch(tag) for form in _UNUSUAL)), None)
        if match and not _SPAN.fullmatch(tag):
            meant[tag] = f"{match['letter'].upper()}-{match['type']}"
    letters = {tag[0] for tag in meant.values()}
    if 2 * sum(counts[tag] for tag in meant) <= counts.total() or not ("B" in letters or letters == {"I"}):
        meant = {}
    elif any(map(str.islower, meant)):
        meant[OUTSIDE.lower()] = OUTSIDE
    if scheme_of([meant.get(tag, tag) for tag in tags] for tags in sentences) == "BILOU":
        meant[SPACY_UNKNOWN] = UNKNOWN
    return meant


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence of any scheme, read as conlleval reads them: leniently, losing no tag."""
    entities: list[Span] = []
    begin = -1  # of the open span; -1: none is open
    before = (OUTSIDE, "")
    for t, tag in enumerate(tags):
        prefix, type = split(tag)
        if begin >= 0 and (prefix in "BSUO" or type != before[1] or before[0] in "ESLU"):
            entities.append(Span(begin, t, before[1]))
            begin = -1
        if begin < 0 and prefix != OUTSIDE:
            begin = t
        before = (prefix, type)
    if begin >= 0:
        entities.append(Span(begin, len(tags), before[1]))
    return entities


def in_scheme(tag: str, scheme: Scheme) -> str:
    """A tag of any scheme in the letters of another: E-X is I-X in BIO. In IOB1, which has B only between
    neighbors, as in BIO."""
    prefix, type = split(tag)
    if prefix == OUTSIDE:
        return tag
    alike = next(group for group in (_COARSE if scheme in ("IOB1", "BIO") else _FINE) if prefix in group)
    letter = next(own for own in LETTERS[scheme] if own in alike)
    return f"{letter}-{type}" if type else letter


def spell(entities: Sequence[Span], length: int, scheme: Scheme) -> list[str]:
    """The tags of `length` positions that say these spans in a scheme; the inverse of `spans`."""
    tags = [OUTSIDE] * length
    last = Span(-1, -1, "")
    for span in entities:
        size = span.end - span.begin
        if scheme not in ("IOB1", "BIO"):
            begin, middle, end, single = LETTERS[scheme]
            letters = single if size == 1 else begin + middle * (size - 2) + end
        else:
            adjoining = span.begin == last.end and span.type == last.type
            letters = ("B" if scheme == "BIO" or adjoining else "I") + "I" * (size - 1)
        tags[span.begin : span.end] = [f"{letter}-{span.type}" if span.type else letter for letter in letters]
        last = span
    return tags


def convert(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """The same spans in another scheme."""
    return spell(spans(tags), len(tags), scheme)


def may_follow(before: str, after: str, scheme: Scheme) -> bool:
    """Whether a well-formed sentence may have `after` right behind `before`; its edges count as `O`."""
    (left, type), (right, other) = split(before), split(after)
    if scheme == "IOB1":
        return right != "B" or (left != OUTSIDE and type == other)
    goes_on = right in "IMEL"  # the tag continues a span
    if scheme == "BIO":
        return not goes_on or (left != OUTSIDE and type == other)
    is_open = left in "BIM"  # the span before must be continued
    return is_open == goes_on and (not is_open or type == other)


def obeys(tags: Sequence[str], scheme: Scheme) -> bool:
    """Whether a whole sentence is well-formed."""
    return all(split(tag)[0] in (*LETTERS[scheme], OUTSIDE) for tag in tags) and all(
        may_follow(*pair, scheme) for pair in pairwise([OUTSIDE, *tags, OUTSIDE])
    )
