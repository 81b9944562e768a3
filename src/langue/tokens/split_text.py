"""Plain text cut into the tokens that tagged corpora have: words, numbers and marks, or characters.

English is cut as in the Penn Treebank, and so as in CoNLL-2003: `do n't`, `it 's`, `Mr.`, `U.S.`, `3,000.50`;
words with a hyphen stay whole, and so do addresses, `:)`, `@name` and `#topic`. Marks stay with their
letters, whatever the script. Runs of Han characters are cut by a segmenter, those of kana where the script
changes. What is cut otherwise than the training data is better given as tokens.
"""

import re
import unicodedata
from functools import cache

from langue.base.scripts import HAN
from langue.tokens.words import segment

_KANA = "\u3041-\u309f", "\u30a0-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_HAN = re.compile(f"[{HAN}]")
_CLITIC = re.compile(r"(.+?)(n['’]t|['’](?:s|re|ve|ll|d|m))", re.IGNORECASE)
_ABBREVIATIONS = (
    "Mr Mrs Ms Messrs Dr Prof Rev Hon Gen Sen Rep Gov Pres Lt Col Sgt Capt Cmdr Maj Adm St Mt Ft Jr Sr Inc "
    "Ltd Co Corp Bros Dept Univ Ave Blvd vs etc cf al approx Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec"
)
LAST_MARK = 0x1F000  # beyond are the variants of Han characters alone
VARIANTS = "\U000e0100-\U000e01ef"


def split_text(text: str, unit: str) -> list[str]:
    """Tokens of plain text, all of it but the white space.

    Args:
        unit: "characters" or "words".
    """
    if unit == "characters":
        return [character for character in text if not character.isspace()]
    tokens: list[str] = []
    for token in _pattern().findall(text):
        if _HAN.match(token):
            tokens += segment(token)
        elif clitic := _CLITIC.fullmatch(token):
            tokens += clitic.groups()
        else:
            tokens.append(token)
    return tokens


@cache
def _pattern() -> re.Pattern[str]:
    """What a token may be, the first that fits."""
    marks = "".join(chr(code) for code in range(LAST_MARK) if unicodedata.category(chr(code))[0] == "M")
    mark = f"[{re.escape(marks)}{VARIANTS}\u200c\u200d]"
    letter = f"(?:[^\\W_{HAN}{''.join(_KANA)}]{mark}*)"
    kinds = (
        r"""(?:https?://|www\.)[^\s<>"]*[^\s<>"'.,;:!?)\]}]""",
        r"[\w.+-]{0,64}\w@\w[\w-]*(?:\.[\w-]*\w)+",
        rf"[@#](?=\w*[^\W\d])(?:{letter}|_)+",
        r"(?<!\w)[:;=]['^-]?[()\[\]DPp/\\|*]+(?!\w)",
        r"\d+(?:[.,:/]\d+)+(?![\d])",
        r"(?<!\w)(?:[A-Za-z]\.){2,}(?!\w)",
        r"(?<!\w)Ph\.D\.",
        r"(?<!\w)[A-HJ-Z]\.(?=\s+[A-Z])",  # of a name: I. ends a sentence more often
        rf"(?<!\w)(?:{'|'.join(_ABBREVIATIONS.split())})\.(?!\w)",
        r"(?<![\w'’])(?i:['’](?:s|re|ve|ll|d|m))(?![\w'’])",  # of text that is cut already
        f"[{HAN}]+",
        *(f"(?:[{kana}]{mark}*)+" for kana in _KANA),
        rf"{letter}+(?:[-'’.]{letter}+)*",
        r"\.{2,}|-{2,}|``|''",
        rf"\S(?:{mark}|(?<=\u200d)\S)*",
    )
    return re.compile("|".join(kinds))
