"""Normalization: one text, one spelling in code points (Unicode Standard Annex 15).

In this order: line ends become `\\n`; other white-space controls (form feed, vertical tab, NEL)
become `\\n` too; the remaining control characters and a byte-order mark at the start are removed, lone
surrogates become U+FFFD; full-width forms are folded on request; then NFC, or NFKC on request.
Applying it twice is applying it once. Of models that were counted on texts as they stand, the form is `none`:
only lone surrogates, which no file holds, are changed.
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from langue.base.config import Config

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_ASCII_CONTROLS = bytes(code for code in range(128) if _CONTROL.match(chr(code)))
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_ENDS = ("\x0b", "\x0c", "\x85")
# Full-width ! to ~ lie at a fixed distance from ASCII; the ideographic space stands apart.
_FOLD = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}


class Normalized(NamedTuple):
    text: str
    removed: int  # control characters taken out or replaced


class Aligned(NamedTuple):
    """A normalized text, and for each of its characters and its end where that stood before."""

    text: str
    origins: Sequence[int]


class Normalization(Config, frozen=True):
    """Which spelling a corpus is brought to; kept with every store and model made from it."""

    # NFKC folds ﬁ, ①, full-width: useful, but not reversible; none leaves every character as it is
    form: Literal["NFC", "NFKC", "none"] = "NFC"
    fold_width: bool = False  # full-width ASCII and the ideographic space to plain ASCII

    def spell(self) -> str:
        """Its name, for tables."""
        return f"{self.form}, width folded" if self.fold_width else self.form

    def apply(self, text: str) -> str:
        """The normalized text."""
        return self.count(text).text

    def count(self, text: str) -> Normalized:
        """The normalized text, and how many control characters it lost."""
        if self.form == "none":
            return Normalized(*_SURROGATE.subn("\ufffd", self._fold(text)))
        removed = 0
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if _has_controls(text):
            text, removed = _CONTROL.subn(_replacement, text)
        if text.startswith("\ufeff"):  # further on it is a character like any other: a word of WikiText-2
            bare = text.lstrip("\ufeff")
            text, removed = bare, removed + len(text) - len(bare)
        if text.isascii():
            return Normalized(text, removed)
        text = self._fold(text)
        if not unicodedata.is_normalized(self.form, text):
            text = unicodedata.normalize(self.form, text)
        return Normalized(text, removed)

    def aligned(self, text: str) -> Aligned:
        """The normalized text, and where its characters come from.

        Characters that change each other are taken together; a byte-order mark goes wherever it stands.
        """
        if self.apply(text) == text:
            return Aligned(text, range(len(text) + 1))
        begins = [0]
        for index in range(1, len(text)):
            marks = unicodedata.combining(text[index])
            if not marks and not self._joined(text[begins[-1] : index], text[index]):
                begins.append(index)
        pieces: list[str] = []
        origins: list[int] = []
        for begin, end in pairwise([*begins, len(text)]):
            piece = self.apply(text[begin:end])
            same = len(piece) == end - begin  # else all of it comes from where it begins
            pieces.append(piece)
            origins += [begin + index * same for index in range(len(piece))]
        return Aligned("".join(pieces), [*origins, len(text)])

    def _joined(self, before: str, character: str) -> bool:
        """Whether a character changes what stands before it, or is changed by that."""
        return self.apply(before + character) != self.apply(before) + self.apply(character)

    def _fold(self, text: str) -> str:
        return text.translate(_FOLD) if self.fold_width else text


def _has_controls(text: str) -> bool:
    if text.isascii():  # four times as fast as to search, and nearly every text has none
        return len(text.encode().translate(None, _ASCII_CONTROLS)) < len(text)
    return _CONTROL.search(text) is not None


def _replacement(match: re.Match[str]) -> str:
    character = match.group()
    if character in _LINE_ENDS:
        return "\n"
    return "\ufffd" if "\ud800" <= character <= "\udfff" else ""
