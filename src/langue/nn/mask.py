"""Which positions attention sees: causal, within documents, or under any mask.

Letters: B batch, T time, S time of the keys, H heads.
"""

from typing import Literal

import torch
from torch import Tensor


class Spans:
    """Where a position may look if that is one span, of its document for example.

    Attributes:
        begins: `(B, T)` int32, the first key that a query sees; ends: the one after the last.
        keys: how many there are.
    """

    def __init__(self, begins: Tensor, ends: Tensor, keys: int) -> None:
        self.begins, self.ends, self.keys = begins.int(), ends.int(), keys
        self._mask: Tensor | None = None

    @property
    def mask(self) -> Tensor:
        """True where a position may look, `(B, 1, T, S)`; made once."""
        if self._mask is None:  # not by `cached_property`, whose lock parts the graphs of torch.compile
            key = torch.arange(self.keys, device=self.begins.device)
            self._mask = ((self.begins[..., None] <= key) & (key < self.ends[..., None]))[:, None]
        return self._mask

    def at(self, columns: Tensor) -> "Spans":
        """Of some queries `(B, M)` alone."""
        return Spans(self.begins.gather(1, columns), self.ends.gather(1, columns), self.keys)


# True where a position may look, `(B, 1, T, S)`; "causal": at itself and before; None: everywhere.
# Numbers instead, `(B, H, T, S)`, are added to the scores: -∞ where it may not look.
Mask = Tensor | Spans | Literal["causal"] | None


def expanded(mask: Mask) -> Tensor | Literal["causal"] | None:
    """For who reads no spans: the tensor that they are."""
    return mask.mask if isinstance(mask, Spans) else mask


def causal_mask(T: int, device: torch.device) -> Tensor:
    """`(T, T)`: a position sees itself and those before."""
    return torch.ones(T, T, dtype=torch.bool, device=device).tril()


def packed_mask(segments: Tensor) -> Mask:
    """Causal, and within one document: of `(B, T)` numbers of documents that each lie together."""
    if bool((segments[:, :1] == segments[:, -1:]).all()):
        return "causal"  # each row lies in one document; kernels know this rule
    begins, _ = document_spans(segments)
    T = segments.shape[1]
    return Spans(begins, torch.arange(1, T + 1, device=segments.device).expand_as(begins), T)


def document_spans(segments: Tensor) -> tuple[Tensor, Tensor]:
    """Where the document of each position begins, and where the next one does: `(B, T)` each."""
    T = segments.shape[1]
    positions = torch.arange(T, device=segments.device).expand_as(segments)
    changes = segments[:, 1:] != segments[:, :-1]
    begins, ends = positions.clone(), torch.full_like(positions, T)
    begins[:, 1:] *= changes
    ends[:, :-1] = torch.where(changes, positions[:, 1:], T)
    return begins.cummax(1).values, ends.flip(1).cummin(1).values.flip(1)


def document_mask(segments: Tensor) -> Mask:
    """In both directions, within one document: of `(B, T)` numbers of documents that each lie together."""
    if bool((segments == segments[:, :1]).all()):
        return None
    return Spans(*document_spans(segments), segments.shape[1])


def spans_of(mask: Spans | Literal["causal"] | None, q: Tensor, S: int) -> Spans:
    """What queries `(B, H, T, D)` see of S keys."""
    if isinstance(mask, Spans):
        return mask
    last = torch.arange(1, S + 1) if mask == "causal" else torch.tensor(S)
    shape = (len(q), q.shape[2])
    return Spans(torch.zeros(shape, dtype=torch.int32), last.expand(shape), S)
