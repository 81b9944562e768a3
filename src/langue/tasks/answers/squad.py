"""Questions in the format of SQuAD and CMRC 2018, read and answered, and EM and F1 as their scripts count.

SQuAD (Rajpurkar et al. 2016, 2018): lower case, without punctuation and articles; F1 of words; an
unanswerable question is answered right by nothing. CMRC (Cui et al. 2019): without punctuation; F1 of the
longest common stretch of characters (and words, of other scripts).
"""

import json
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from langue.base.errors import LangueError
from langue.base.files import parse_json
from langue.base.scripts import HAN
from langue.corpus.sources import collect, no_file, open_source


class Gold(NamedTuple):
    """A right answer."""

    text: str
    begin: int  # characters of the paragraph; -1: it does not stand there


class Asked(NamedTuple):
    """A question about a paragraph."""

    id: str
    question: str
    answers: tuple[Gold, ...]  # none: it cannot be answered


class Paragraph(NamedTuple):
    """A paragraph and what is asked about it."""

    article: int  # of the file
    text: str
    questions: tuple[Asked, ...]


def read_squad(path: Path) -> list[Paragraph]:
    """The paragraphs of a file in the format of SQuAD 1.1, 2.0 or CMRC 2018.

    An answer that does not stand at its offset, of which CMRC has some, is taken where it stands first.

    Raises:
        LangueError: it is missing, or no such file; the entry that is wrong is named.
    """
    if path.is_dir():
        raise no_file(path)
    with collect([str(path)]) as sources, open_source(sources[0]) as file:
        table = parse_json(file.read().removeprefix(b"\xef\xbb\xbf"), path)
    articles = table.get("data") if isinstance(table, dict) else None
    if not isinstance(articles, list):
        raise LangueError(f"{path} has no list `data`: it is not in the format of SQuAD")
    paragraphs: list[Paragraph] = []
    for number, article in enumerate(articles):
        listed = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(listed, list):
            raise LangueError(f"{path}: data[{number}] has no list `paragraphs`")
        paragraphs += (
            _paragraph(number, paragraph, f"{path}: data[{number}].paragraphs[{index}]")
            for index, paragraph in enumerate(listed)
        )
    if not any(paragraph.questions for paragraph in paragraphs):
        raise LangueError(f"{path} asks no question")
    return paragraphs


def _paragraph(article: int, table: Any, where: str) -> Paragraph:
    if not isinstance(table, dict) or not isinstance(table.get("context"), str):
        raise LangueError(f"{where} has no text `context`")
    if not isinstance(asked := table.get("qas", []), list):
        raise LangueError(f"{where}.qas is no list")
    text = table["context"]
    return Paragraph(
        article, text, tuple(_asked(text, one, f"{where}.qas[{n}]") for n, one in enumerate(asked))
    )


def _asked(text: str, table: Any, where: str) -> Asked:
    if not isinstance(table, dict) or not isinstance(table.get("question"), str) or "id" not in table:
        raise LangueError(f"{where} has no `id` and `question`")
    listed = [] if table.get("is_impossible") is True else table.get("answers", [])
    if not isinstance(listed, list):
        raise LangueError(f"{where}.answers is no list")
    return Asked(str(table["id"]), table["question"], tuple(_gold(text, one, where) for one in listed))


def _gold(text: str, table: Any, where: str) -> Gold:
    answer, begin = (table.get(key) if isinstance(table, dict) else None for key in ("text", "answer_start"))
    if not isinstance(answer, str) or isinstance(begin, bool) or not isinstance(begin, int):
        raise LangueError(f"{where}: an answer has no `text` and whole number `answer_start`")
    return Gold(answer, begin if begin >= 0 and text.startswith(answer, begin) else text.find(answer))


def normalize_answer(text: str) -> list[str]:
    """The words that SQuAD's script compares."""
    kept = "".join(character for character in text.lower() if character not in string.punctuation)
    return re.sub(r"\b(?:a|an|the)\b", " ", kept).split()


def normalize_chinese_answer(text: str) -> list[str]:
    """The characters and words that CMRC's script compares."""
    kept = "".join(
        " " if unicodedata.category(character)[0] == "P" or character.isspace() else character
        for character in text.lower()
    )
    return re.findall(f"[{HAN}]|[^\\s{HAN}]+", kept)


def exact_match(predicted: str, answers: Sequence[str], *, chinese: bool = False) -> float:
    """1 if it is one of the answers; of none, if it is nothing."""
    normalize = normalize_chinese_answer if chinese else normalize_answer
    if not answers:
        return float(not predicted)
    return float(any(normalize(predicted) == normalize(one) for one in answers))


def f1(predicted: str, answers: Sequence[str], *, chinese: bool = False) -> float:
    """The best F1 with one of the answers; of none, 1 for nothing."""
    if not answers:
        return float(not predicted)
    if chinese:
        return max(_f1(normalize_chinese_answer, _common_stretch, predicted, one) for one in answers)
    return max(_f1(normalize_answer, _common_words, predicted, one) for one in answers)


def _f1(
    normalize: Callable[[str], list[str]],
    common: Callable[[list[str], list[str]], int],
    predicted: str,
    right: str,
) -> float:
    one, other = normalize(predicted), normalize(right)
    if not one or not other:
        return float(one == other)
    shared = common(one, other)
    return 2 * shared / (len(one) + len(other))


def _common_words(one: list[str], other: list[str]) -> int:
    return sum((Counter(one) & Counter(other)).values())


def _common_stretch(one: list[str], other: list[str]) -> int:
    from langue.tasks.answers.features import longest_run

    return longest_run(one, other)


def predictions_json(predictions: Mapping[str, str]) -> str:
    """What SQuAD's and CMRC's scripts read: an answer by the id of its question."""
    return json.dumps(dict(predictions), ensure_ascii=False, indent=1) + "\n"
