"""Vectors of texts, from the hidden states of an encoder."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from langue.protocols import Masked
from langue.tokens.masked import add_special_tokens, chunks
from langue.tokens.tokenizer import Tokenizer

Pooling = Literal["mean", "cls"]
AT_ONCE = 1024  # parts of texts whose states are held at a time


def embed(
    model: Masked, tokenizer: Tokenizer, texts: Sequence[str], *, pooling: Pooling = "mean"
) -> npt.NDArray[np.float32]:
    """A vector of every text: `(texts, C)`.

    A text longer than the window is read in parts of nearly equal length; its vector is the mean over
    all of its tokens, or the mean of the `[CLS]` of its parts.

    Args:
        texts: normalized.
        pooling: "mean" over all that is read, special tokens included (Reimers and Gurevych 2019,
            section 3); "cls": the state of `[CLS]`.
    """
    pieces = [
        (index, piece)
        for index, ids in enumerate(tokenizer.encode_batch(texts))
        for piece in chunks(ids, model.window)
    ]
    sums: dict[int, npt.NDArray[np.float64]] = {}
    counts = np.zeros((len(texts), 1), np.int64)
    for begin in range(0, len(pieces), AT_ONCE):  # the states of a long text are many times its size
        some = pieces[begin : begin + AT_ONCE]
        states = model.hidden([add_special_tokens(piece, model.specials) for _, piece in some])
        for (index, _), state in zip(some, states, strict=True):  # (tokens, C)
            chosen = state if pooling == "mean" else state[:1]
            sums[index] = sums.get(index, 0) + chosen.sum(0, dtype=np.float64)
            counts[index] += len(chosen)
    vectors: npt.NDArray[np.float32] = (np.array(list(sums.values())) / counts).astype(np.float32)
    return vectors
