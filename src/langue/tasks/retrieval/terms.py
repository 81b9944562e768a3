"""Terms that a text is looked up by: stems of words, numbers, and Han characters with their bigrams.

Chinese is looked up by characters and pairs of neighbors, as is usual where no segmenter is to be trusted
(Nie et al. 2000).
"""

import re

from langue.base.scripts import HAN
from langue.tokens.stem import stem

_TERM = re.compile(rf"[{HAN}]+|\d+(?:[.,]\d+)*|[^\W\d_{HAN}]+(?:['’][a-z]+)?")
_HAN = re.compile(f"[{HAN}]")
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


def is_stop(term: str) -> bool:
    """Whether a term says little of what a text is about."""
    return term in STOP_CHARACTERS or term in _STOP_STEMS


_STOP_STEMS = frozenset(map(stem, STOP_WORDS)) | STOP_WORDS


def is_han(text: str) -> bool:
    """Whether a text is looked up as Chinese: it has a Han character for every three others."""
    return 3 * len(_HAN.findall(text)) >= len(text.strip())
