"""What a question asks for, and whether a sentence has something of that kind."""

import re
from typing import NamedTuple

from langue.tasks.retrieval.terms import is_han
from langue.tokens.stem import stem

TYPES = ("many", "when", "who", "where", "why", "how", "what")  # the first that fits; what: any other

_ENGLISH = {
    "many": r"\bhow (?:many|much|old|long|far|large|big|high|tall|often|fast)\b"
    r"|\bwhat (?:percent|percentage|proportion|number)",
    "when": r"\bwhen\b|\b(?:what|which)(?: \w+)? (?:years?|date|day|month|century|decade|time)\b",
    "who": r"\bwho(?:m|se)?\b",
    "where": r"\bwhere\b|\b(?:what|which)(?: \w+)? "
    r"(?:city|country|state|place|location|region|area|town|continent|river)\b",
    "why": r"\bwhy\b|\bwhat (?:caused|reason)",
    "how": r"\bhow\b",
    "what": "",
}
_CHINESE = {
    "many": "多少|几[个位名种次年人部集场座天岁条只届项篇]|多[长大高远久]|有几",
    "when": "何时|什么时候|时间|哪一?年|几年|哪一?天|年份|几月|什么年代|日期|哪个年代",
    "who": "谁|何人|哪一?位|什么人|哪一?个人|哪些人",
    "where": "哪里|哪儿|何处|何地|什么地方|地点|位于|哪一?[个座]?[国省市县区城州地]",
    "why": "为什么|为何|原因|缘故|怎么会|为啥",
    "how": "怎么|如何|怎样|什么样|评价",
    "what": "",
}
_NUMBER_WORDS = (
    "one two three four five six seven eight nine ten eleven twelve hundred thousand million billion half "
    "third dozen several percent"
)
_DATE_WORDS = (
    "January February March April May June July August September October November December Monday Tuesday "
    "Wednesday Thursday Friday Saturday Sunday century decade BC AD"
)


def _words(words: str) -> str:
    return rf"\b(?:{'|'.join(words.split())})\b"


# What stands in a sentence that answers, by the kinds of `Kinds`.
_IN_ENGLISH = {
    "number": re.compile(rf"\d|{_words(_NUMBER_WORDS)}", re.IGNORECASE),
    "date": re.compile(rf"\b(?:1\d|20)\d\d\b|{_words(_DATE_WORDS)}"),
    "location": re.compile(r"\b(?:in|at|near|from|to|of) (?:the )?[A-Z]"),
    "reason": re.compile(
        r"\b(?:because|due|since|so that|in order|caused?|result|therefore|as a|led to|reason)\b",
        re.IGNORECASE,
    ),
}
_IN_CHINESE = {
    "number": re.compile(
        "[〇零一二三四五六七八九十百千万亿两]+(?=[个位名种次年人部集场座天岁条只届项篇月日公里米元%亿万平英吨分小米、])"
    ),
    "date": re.compile("[0-9〇一二三四五六七八九十]{1,4}[年月日]|世纪|年代|时期"),
    "name": re.compile("[·《“「由是]|名为|称为"),
    "location": re.compile("[省市县区镇村国州岛河山湖路街]|位于|地区|境内"),
    "reason": re.compile("因|由于|所以|故而|为了|导致|使得|为由|缘"),
}
_CAPITALIZED = re.compile(r"[A-Z][\w'’-]+")
_DIGITS = re.compile(r"\d+")
_FOCUS = re.compile(r"\b(?:what|which|whose)\s+(?:\w+\s+)?(\w+)", re.IGNORECASE)
_PRONOUN = re.compile(
    r"\W*(?:(?:he|she|it|they|this|these|his|her|its|their|that|such)\b|[其该他她它这此])", re.IGNORECASE
)


class Kinds(NamedTuple):
    """What a sentence has that the question has not, which may be its answer."""

    number: bool
    date: bool
    name: bool
    location: bool
    reason: bool
    list: bool
    digits: bool


class Question:
    """A question: its type, and what of a sentence is new beside it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.han = is_han(text)
        patterns = (_QUESTIONS_CHINESE if self.han else _QUESTIONS_ENGLISH).items()
        self.type = next(name for name, pattern in patterns if pattern.search(text))
        self._digits = set(_DIGITS.findall(text))
        self._names = {name.lower() for name in _CAPITALIZED.findall(text)}
        focus = None if self.han else _FOCUS.search(text)
        self.focus = stem(focus[1].lower()) if focus else None  # `what animal is …`

    def kinds(self, sentence: str) -> Kinds:
        digits = any(number not in self._digits for number in _DIGITS.findall(sentence))
        patterns = _IN_CHINESE if self.han else _IN_ENGLISH
        has = {kind: pattern.search(sentence) is not None for kind, pattern in patterns.items()}
        if "name" not in has:  # a capital at the beginning says nothing
            has["name"] = any(name.lower() not in self._names for name in _CAPITALIZED.findall(sentence, 1))
        several = sentence.count("、") >= 2 if self.han else sentence.count(",") >= 3
        has["number"] = has["number"] or digits
        return Kinds(**has, list=several, digits=digits)


_QUESTIONS_ENGLISH = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _ENGLISH.items()}
_QUESTIONS_CHINESE = {name: re.compile(pattern) for name, pattern in _CHINESE.items()}


def begins_with_pronoun(sentence: str) -> bool:
    """Whether a sentence takes up what the one before it is about."""
    return _PRONOUN.match(sentence) is not None
