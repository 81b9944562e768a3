"""Where words and sentences begin, counted in tokens, in English and in Chinese.

Boundaries are found in the text that tokens spell and mapped back by bytes, so they hold for every
tokenizer. A token that reaches over a boundary belongs to what began before it.
"""

import numpy as np
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from langue.base.arrays import BoolArray, Ids, Int64Array
from langue.corpus.sentences import split_sentences
from langue.tokens.tokenizer import Tokenizer, words_of
from langue.tokens.tokenizer_parts import WORDS

# Bytes that are no UTF-8, as at the edges of a row, become a character of one byte.
_ONE_BYTE = {0xDC00 + byte: "\x00" for byte in range(0x80, 0x100)}


class Boundaries:
    """Finds them for one tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        # A special token, and any id beyond the vocabulary, stands between two lines.
        self._spelled = [tokenizer.token_bytes(id) or b"\n" for id in range(tokenizer.vocab_size)] + [b"\n"]
        self._splitter = Split(Regex(WORDS), "isolated")

    def words(self, ids: Ids) -> BoolArray:
        """Whether each token `(tokens,)` begins a word; punctuation marks are words."""
        text, starts = self._spell(ids)
        lengths = [len(word.encode()) for word in words_of(text, self._splitter)]
        begins: BoolArray = np.isin(starts, np.cumsum([0, *lengths]))
        return begins

    def sentences(self, ids: Ids) -> Int64Array:
        """The places of the tokens `(tokens,)` that begin a sentence; the first one does."""
        text, starts = self._spell(ids)
        ends, size = [], 0
        for begin, end in split_sentences(text):
            piece = text[begin:end]
            # Blanks behind a sentence are the next one's: tokens begin with them.
            ends.append(size + len(piece.rstrip(" ").encode()))
            size += len(piece.encode())
        firsts = np.searchsorted(starts, ends)
        return np.unique(np.r_[0, firsts[firsts < len(starts)]]).astype(np.int64)

    def _spell(self, ids: Ids) -> tuple[str, Int64Array]:
        """The text of ids, and the byte at which each token begins."""
        tokens = [self._spelled[id] for id in np.minimum(ids, len(self._spelled) - 1).tolist()]
        text = b"".join(tokens).decode(errors="surrogateescape").translate(_ONE_BYTE)
        return text, np.cumsum([0, *map(len, tokens)])[:-1]
