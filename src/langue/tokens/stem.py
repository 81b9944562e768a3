"""Stems of English words: what is left without the endings of plurals and verbs, less than Porter's takes."""

from functools import lru_cache

# Ending and what stands in its place; the first that fits and leaves three letters.
_ENDINGS = (
    ("ies", "y"), ("sses", "ss"), ("ing", ""), ("edly", ""), ("ed", ""), ("es", ""), ("s", ""), ("ly", ""),
    ("e", ""),
)  # fmt: skip
SHORTEST = 4  # letters of a word that is stemmed


@lru_cache(1 << 16)
def stem(word: str) -> str:
    """A lower-case word without `'s`, and an English one without the ending of a plural or a verb."""
    word = word.replace("’", "'").removesuffix("'s")
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
