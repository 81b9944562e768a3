"""Tables of one model for another with another vocabulary, or another context.

Tokens are matched by the bytes they spell. One that the source lacks takes the mean of the tokens that the
source spells it with.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from langue.tokens.tokenizer import Tokenizer


def match_tokens(spellings: Sequence[bytes], eos: int, source: Tokenizer) -> list[list[int]]:
    """For each token of a vocabulary, the ids of the source whose rows it is the mean of; none: it is new.

    Args:
        spellings: the bytes of every token.
        eos: which of them ends a document.
    """
    by_spelling = {token: id for id, token in reversed(list(enumerate(source.spellings()))) if token}
    matched = [_pieces(token, by_spelling, source) for token in spellings]
    # Special tokens have no spelling: the end of a document, and by their position the others.
    for id, token in enumerate(spellings):
        if not token and id < source.vocab_size and not source.token_bytes(id):
            matched[id] = [id]
    if eos < len(matched):
        matched[eos] = [source.eos]
    return matched


def _pieces(token: bytes, by_spelling: dict[bytes, int], source: Tokenizer) -> list[int]:
    if not token:
        return []
    if token in by_spelling:
        return [by_spelling[token]]
    return [int(id) for id in source.encode(token.decode(errors="ignore"))]


def mean_rows(table: torch.Tensor, matched: Sequence[Sequence[int]], new: torch.Tensor) -> torch.Tensor:
    """Rows of a table `(V, …)` by `match_tokens`; those of tokens that are new are taken from `new`."""
    rows = [table[ids].mean(0) if ids else row for ids, row in zip(matched, new, strict=False)]
    return torch.stack([*rows, *new[len(rows) :]])


def resize_positions(positions: torch.Tensor, T: int) -> torch.Tensor:
    """A table of positions `(·, C)` for a context of `T`: cut, or stretched between its ends."""
    if len(positions) >= T:
        return positions[:T]
    longer = F.interpolate(positions.T[None], size=T, mode="linear", align_corners=True)  # (1, C, T)
    return longer[0].T


def resize_distances(distances: torch.Tensor, rows: int) -> torch.Tensor:
    """A table of distances for a longer context, or a shorter one: near distances keep their vectors, and
    those beyond the old ends have those of the ends, which they counted as before."""
    K, old = rows // 2, len(distances) // 2
    return distances[(torch.arange(-K, K) + old).clamp(0, 2 * old - 1)]
