"""Training of every model that reads in both directions and predicts what is masked."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from langue.base.arrays import Ids
from langue.models.encoders.scoring import MaskedScoring
from langue.nn.cross_entropy import linear_cross_entropy
from langue.nn.mask import Mask, document_mask
from langue.protocols import Trainable, Vocabulary
from langue.tokens.masked_batch import MaskedBatch
from langue.tokens.masking import NONE

if TYPE_CHECKING:  # a configuration looks into the folders of models
    from langue.models.encoders.config import MaskedConfig


class MaskedModel(MaskedScoring, Trainable, ABC):
    """A `Masked` model, once a family adds these.

    forward(ids, positions, types, mask, at): hidden states `(B, T, C)` of what is `(B, T)`; at positions
        `(N,)` of `(B T,)`, on the CPU, those alone, `(N, C)`
    decode(hidden, positions, mask): what tokens are predicted from, `(B, T, C)`, where it is more than that
    predict(decoded): of that, `(N, C)`, what the output matrix is multiplied with, `(N, E)`
    sentence_pair_logits(hidden): of hidden states at `[CLS]`, `(N, C)`, how a pair relates, `(N, 2)`
    output: matrix `(V, E)` and bias `(V,)` of the logits
    """

    def __init__(self, config: "MaskedConfig", vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.specials = config.specials(vocabulary)
        self.width = config.shape.width  # C
        self.window = self.context = config.shape.context
        self.sentence_pairs = config.sentence_pairs
        self.packed = config.packed
        self.no_mlm_head = config.no_mlm_head
        self.pooler: nn.Module | None = None  # of the state of `[CLS]`, where it is trained on pairs
        self.has_decoder = False  # `decode` is more than nothing, and needs hidden states of all positions
        self.carry: dict[str, Tensor] = {}

    @abstractmethod
    def forward(
        self, ids: Tensor, positions: Tensor, types: Tensor, mask: Mask, at: Tensor | None = None
    ) -> Tensor: ...

    def loss(self, batch: MaskedBatch) -> Tensor:
        """Sum of the cross-entropies, in nats, of the masked tokens, and of the pairs by their weight.

        Logits, and the states of the last layer, are made where something is to be predicted, and nowhere
        else.
        """
        if not self.packed:
            batch = batch.unpack()
        targets, answers = self.marked(batch.targets)[0], self.marked(batch.pairs)[0]
        at, starts = marked_positions(batch.targets), marked_positions(batch.pairs)
        decoded, first = self._states(batch, at, starts if batch.pair_weight else starts[:0])
        matrix, bias = self.output
        loss = linear_cross_entropy(self.predict(decoded), matrix, targets, bias)
        if batch.pair_weight:
            logits = self.sentence_pair_logits(first).float()
            loss = loss + batch.pair_weight * F.cross_entropy(logits, answers, reduction="sum")
        return loss

    def _states(self, batch: MaskedBatch, at: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        """What masked tokens are predicted from, and the hidden states at each `[CLS]`."""
        ids, positions, types, mask = self.tensors(batch)
        if self.has_decoder:
            hidden = self(ids, positions, types, mask)  # (B, T, C)
            decoded = self.decode(hidden, positions, mask)
            return decoded.flatten(0, 1)[at], hidden.flatten(0, 1)[starts]
        both = self(ids, positions, types, mask, torch.cat([at, starts]))
        return both[: len(at)], both[len(at) :]

    def read(self, batch: MaskedBatch, at: Tensor | None = None) -> Tensor:
        """Hidden states `(B, T, C)` of a batch; `(N, C)` at positions of `(B T,)`."""
        return self(*self.tensors(batch), at)

    def tensors(self, batch: MaskedBatch) -> tuple[Tensor, Tensor, Tensor, Mask]:
        """Ids, positions and types of a batch, and its mask."""
        device = self.output[0].device
        ids, _, positions, segments, types, _ = (torch.from_numpy(part).to(device) for part in batch[:6])
        return ids, positions, types, document_mask(segments)

    def marked(self, part: Ids) -> tuple[Tensor, Tensor]:
        """What is not NONE in `(B, T)`, and where in `(B T,)`."""
        at, device = marked_positions(part), self.output[0].device
        return torch.from_numpy(part).flatten()[at].to(device), at.to(device)


def marked_positions(part: Ids) -> Tensor:
    """Where in `(B T,)` something is not NONE: on the CPU, so that no GPU has to be waited for."""
    return (torch.from_numpy(part).flatten() != NONE).nonzero().squeeze(1)
