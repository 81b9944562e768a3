"""How tags spell spans: IOB1, BIO, BIOES and BMES, what may follow what, and how to go between them.

A tag is `O`, or a prefix and a type, `B-LOC`. The first letters of BIOES are Begin, Inside, Outside,
End, Single; BMES writes M (middle) for I; IOB1 (CoNLL-2003 as released) begins a span with I, and with
B only where the one before it has the same type (Ramshaw and Marcus 1995). Tags that follow none of
these, such as parts of speech, have no scheme.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

Scheme = Literal["IOB1", "BIO", "BIOES", "BMES"]
OUTSIDE = "O"


class Span(NamedTuple):
    """Positions `begin` to `end` - 1 are one thing of that type."""

    begin: int
    end: int
    type: str


def split(tag: str) -> tuple[str, str]:
    """Prefix and type: `("B", "LOC")`, `("O", "")`."""
    prefix, _, type = tag.partition("-")
    return prefix, type


def scheme_of(sentences: Iterable[Sequence[str]]) -> Scheme | None:
    """The scheme of these tags, or None where they are just labels.

    Real files have slips, so a few malformed sentences do not change the answer: the letters decide, and
    between BIO and IOB1 whether any B stands where IOB1 has none.
    """
    letters: set[str] = set()
    ordinary_begin = inside_begins = False
    for tags in sentences:
        before = ""
        for tag in tags:
            prefix, type = split(tag)
            if prefix not in tuple("BIOMES") or (prefix == OUTSIDE) != (not type):
                return None
            letters.add(prefix)
            ordinary_begin |= prefix == "B" and type != before
            inside_begins |= prefix == "I" and type != before
            before = type
    if letters <= {OUTSIDE}:
        return None
    if letters & set("MES"):
        return None if {"I", "M"} <= letters else "BMES" if "M" in letters else "BIOES"
    return "IOB1" if inside_begins and not ordinary_begin else "BIO"


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence of any scheme, read as conlleval reads them: leniently, losing no tag."""
    entities: list[Span] = []
    begin = -1  # of the open span; -1: none is open
    before = (OUTSIDE, "")
    for t, tag in enumerate(tags):
        prefix, type = split(tag)
        if begin >= 0 and (prefix in "BSO" or type != before[1] or before[0] in "ES"):
            entities.append(Span(begin, t, before[1]))
            begin = -1
        if begin < 0 and prefix != OUTSIDE:
            begin = t
        before = (prefix, type)
    if begin >= 0:
        entities.append(Span(begin, len(tags), before[1]))
    return entities


def spell(entities: Sequence[Span], length: int, scheme: Scheme) -> list[str]:
    """The tags of `length` positions that say these spans in a scheme; the inverse of `spans`."""
    tags = [OUTSIDE] * length
    last = Span(-1, -1, "")
    for span in entities:
        size = span.end - span.begin
        if scheme in ("BIOES", "BMES"):
            middle = "M" if scheme == "BMES" else "I"
            letters = "S" if size == 1 else "B" + middle * (size - 2) + "E"
        else:
            adjoining = span.begin == last.end and span.type == last.type
            letters = ("B" if scheme == "BIO" or adjoining else "I") + "I" * (size - 1)
        tags[span.begin : span.end] = [f"{letter}-{span.type}" for letter in letters]
        last = span
    return tags


def convert(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """The same spans in another scheme."""
    return spell(spans(tags), len(tags), scheme)


def may_follow(before: str, after: str, scheme: Scheme) -> bool:
    """Whether a well-formed sentence may have `after` right behind `before`; its edges count as `O`."""
    (left, type), (right, other) = split(before), split(after)
    if scheme == "IOB1":
        return right != "B" or type == other
    goes_on = right in "IME"  # the tag continues a span
    if scheme == "BIO":
        return not goes_on or (left != OUTSIDE and type == other)
    is_open = left in "BIM"  # the span before must be continued
    return is_open == goes_on and (not is_open or type == other)


def obeys(tags: Sequence[str], scheme: Scheme) -> bool:
    """Whether a whole sentence is well-formed."""
    return all(may_follow(*pair, scheme) for pair in pairwise([OUTSIDE, *tags, OUTSIDE]))
