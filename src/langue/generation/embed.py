"""Vectors of texts, from the hidden states of an encoder."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from langue.protocols import Masked
from langue.tokens.masked import add_special_tokens, chunks
from langue.tokens.tokenizer import Tokenizer

Pooling = Literal["mean", "cls"]


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
    parts = [chunks(ids, model.window) for ids in tokenizer.encode_batch(texts)]
    states = iter(
        model.hidden([add_special_tokens(piece, model.specials) for some in parts for piece in some])
    )
    vectors = []
    for some in parts:
        read = [next(states) for _ in some]  # (tokens, C) each
        chosen = np.concatenate(read) if pooling == "mean" else np.stack([part[0] for part in read])
        vectors.append(chosen.mean(0, dtype=np.float64))
    return np.array(vectors, np.float32)
