"""Terms that a text is looked up by: stems of words, numbers, and Han characters with their bigrams.

Chinese is looked up by characters and pairs of neighbors, as is usual where no segmenter is to be trusted
(Nie et al. 2000). English words lose the endings of plurals and verbs, less than Porter's stemmer takes.
"""

import re
from functools import lru_cache

from langue.base.scripts import HAN

_TERM = re.compile(rf"[{HAN}]+|\d+(?:[.,]\d+)*|[^\W\d_{HAN}]+(?:['’][a-z]+)?")
_HAN = re.compile(f"[{HAN}]")
# Ending and what stands in its place; the first that fits and leaves three letters.
_ENDINGS = (
    ("ies", "y"), ("sses", "ss"), ("ing", ""), ("edly", ""), ("ed", ""), ("es", ""), ("s", ""), ("ly", ""),
    ("e", ""),
)  # fmt: skip
SHORTEST = 4  # letters of a word that is stemmed

# Words that say how a sentence is built, not what it is about; they count for little (`STOP_WEIGHT`).
_STOP = (
    "a an the of in on at to for from by with and or as is are was were be been being do did does done has "
    "have had it its this that these those he she they his her their them him what which who whom whose when "
    "where why how many much there not but also into than then so such other one will would can could may "
    "might about after before during between"
)
STOP_WORDS = frozenset(_STOP.split())
STOP_CHARACTERS = frozenset("的了是在和与于有被为之其以及也而所由到")
STOP_WEIGHT = 0.25


def terms_of(text: str) -> list[str]:
    """The terms of a text in their order; in a run of Han characters each pair comes before its second."""
    terms: list[str] = []
    for term in _TERM.findall(text.lower()):
        if _HAN.match(term):
            terms.append(term[0])
            for index in range(1, len(term)):
                terms += (term[index - 1 : index + 1], term[index])
        else:
            terms.append(stem(term))
    return terms


@lru_cache(1 << 16)
def stem(word: str) -> str:
    """A lower-case word without `'s`, and an English one without the ending of a plural or a verb."""
    word = word.removesuffix("'s").removesuffix("’s")
    if not (word.isascii() and word.isalpha()) or len(word) < SHORTEST:
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and not (ending == "s" and word.endswith("ss")):
            shorter = word[: len(word) - len(ending)] + instead
            if len(shorter) >= SHORTEST - 1:
                word = shorter
                break
    if len(word) >= SHORTEST:
        word = word.removesuffix("e")
    if len(word) > SHORTEST and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]  # stopped, stop
    return word


def is_stop(term: str) -> bool:
    """Whether a term says little of what a text is about."""
    return term in STOP_CHARACTERS or term in _STOP_STEMS


_STOP_STEMS = frozenset(map(stem, STOP_WORDS)) | STOP_WORDS


def is_han(text: str) -> bool:
    """Whether a text is looked up as Chinese: it has a Han character for every three others."""
    return 3 * len(_HAN.findall(text)) >= len(text.strip())
