"""Byte-level BPE of texts by words that were encoded before: most of a text is words that it had already.

The pattern by which byte-level BPE cuts a text (Radford et al. 2019, section 2.2) is cheap to follow in
ASCII, and what it cuts out is encoded by itself. Of other scripts it asks what is a letter: there a text is
cut where white space begins, which no word reaches over, and what lies between is left to the library.
"""

import json
import re
from collections.abc import Sequence
from itertools import chain

import numpy as np
from tokenizers import Tokenizer as HFTokenizer

from langue.base.arrays import Ids

_SPACE = r"\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # `\s` of `re` has more
_WORD = re.compile(
    rf"[{_SPACE}]+(?=[{_SPACE}][^{_SPACE}])"  # white space, but for its last, which may belong to a word
    rf"|[{_SPACE}]?[\x00-\x08\x0e-\x1f!-\x7f]*+[^\x00-\x7f{_SPACE}][^{_SPACE}]*"  # what is not all ASCII
    rf"|'(?:[stmd]|re|ve|ll)| ?[A-Za-z]+| ?[0-9]+| ?[^A-Za-z0-9{_SPACE}]+|[{_SPACE}]+"
)
PATTERN = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
LEAST = 1 << 13  # characters of some texts from which on words are looked up
MOST_WORDS = 1 << 17  # that are kept: some 30 MB
LONG = 48  # characters of a word that is not kept
FEW = 12  # characters a word, above which texts have no words that come again


def goes_by_words(hf: HFTokenizer) -> bool:
    """Whether a tokenizer cuts texts by that pattern and by nothing else."""
    if hf.normalizer is not None or hf.pre_tokenizer is None or hf.post_processor is not None:
        return False
    cutting = json.loads(hf.pre_tokenizer.__getstate__())
    return (
        type(hf.model).__name__ == "BPE"
        and all(cutting.get(name) == value for name, value in PATTERN.items())
        and all(token.special for token in hf.get_added_tokens_decoder().values())
    )


class KnownWords:
    """The ids of words, in bytes, for any number of threads."""

    def __init__(self, hf: HFTokenizer) -> None:
        self._hf = hf
        self._known: dict[str, bytes] = {}

    def encode(self, texts: Sequence[str]) -> list[Ids] | None:
        """The ids of each text; None where it is better encoded as a whole."""
        size = sum(map(len, texts))
        if size < LEAST:
            return None
        words = [_WORD.findall(text) for text in texts]
        if FEW * sum(map(len, words)) < size:
            return None
        known = self._known
        new = set(chain.from_iterable(words)).difference(known)
        if len(known) + len(new) > MOST_WORDS:
            self._known = known = {}  # who reads the old ones now, goes on with them
            new = set(chain.from_iterable(words))
        listed = list(new)
        encodings = self._hf.encode_batch_fast(listed, add_special_tokens=False)
        ids = (np.array(encoding.ids, np.uint32).tobytes() for encoding in encodings)
        fresh = dict(zip(listed, ids, strict=True))
        long = {word: own for word, own in fresh.items() if len(word) > LONG}
        known.update((word, own) for word, own in fresh.items() if word not in long)
        look_up = {**known, **long}.__getitem__ if long else known.__getitem__
        return [np.frombuffer(b"".join(map(look_up, own)), np.uint32).copy() for own in words]
