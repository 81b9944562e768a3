"""Where characters stand in words: what a segmenter knows of a text that is written without spaces.

Names and titles begin and end where words do, so a model of characters gains by being told where that is
(Peng and Dredze 2016). The words are those of jieba's dictionary and HMM (`tokens.words.segment`).
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from langue.corpus.tagged import Sentence
from langue.models.taggers.crf.document import Column
from langue.tokens.words import segment

SEGMENTED = ("segment",)  # what it is: see `templates`
POSITIONS = ["M", "B", "E", "S"]  # inside a word, begins one, ends one, both


def segment_sentences(sentences: Sequence[Sentence]) -> list[Column]:
    """The column `SEGMENTED` of all tokens, one sentence after another."""
    words = chain.from_iterable(segment("".join(sentence.words)) for sentence in sentences)
    ends = np.cumsum([0, *map(len, words)])
    edge = np.zeros(ends[-1] + 1, np.int32)  # by character: whether a word begins there
    edge[ends] = 1
    tokens = np.cumsum([0, *(len(token) for sentence in sentences for token in sentence.words)])
    return [Column(edge[tokens[:-1]] + 2 * edge[tokens[1:]], list(POSITIONS))]
