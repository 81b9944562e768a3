"""Training and use of every model that reads in both directions and predicts what is hidden from it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from langue.base.errors import LangueError
from langue.nn.attention import Mask, document_mask
from langue.nn.fast.cross_entropy import head_cross_entropy
from langue.protocols import Floats, Ids, Masked, Vocabulary
from langue.tokens.masked import MaskedBatch, Relation, Specials
from langue.tokens.masking import NONE

READ = 1 << 13  # slots read at a time
PREDICTED = 1024  # rows of logits at a time


class MaskedModel(nn.Module, Masked, ABC):
    """A `Masked` model, once a family adds these.

    forward(ids, positions, types, mask, places): hidden states `(B, T, C)` of what is `(B, T)`; with places
        `(N,)` of `(B T,)`, on the CPU, those alone, `(N, C)`
    decode(hidden, positions, mask): what tokens are predicted from, `(B, T, C)`, where it is more than that
    predict(decoded): of that, `(N, C)`, what the output matrix is multiplied with, `(N, E)`
    relate(hidden): of hidden states at `[CLS]`, `(N, C)`, the logits of how a pair relates, `(N, 2)`
    output: matrix `(V, E)` and bias `(V,)` of the logits
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        specials: Specials,
        *,
        width: int,
        window: int,
        pairs: Relation,
        packed: bool,
        headless: bool,
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.specials = specials
        self.width = width  # C
        self.window = self.context = window
        self.pairs = pairs
        self.packed = packed
        self.headless = headless
        self.pooler: nn.Module | None = None  # of the state of `[CLS]`, where it is trained on pairs
        self.decodes = False  # `decode` is more than nothing, and needs the hidden states of all places
        self.carry: dict[str, torch.Tensor] = {}

    @abstractmethod
    def forward(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        types: torch.Tensor,
        mask: Mask,
        places: torch.Tensor | None = None,
    ) -> torch.Tensor: ...

    def decode(self, hidden: torch.Tensor, positions: torch.Tensor, mask: Mask) -> torch.Tensor:
        return hidden

    def decoded(
        self, ids: torch.Tensor, positions: torch.Tensor, types: torch.Tensor, mask: Mask
    ) -> torch.Tensor:
        """What tokens are predicted from, `(B, T, C)`, of what is read."""
        return self.decode(self(ids, positions, types, mask), positions, mask)

    @abstractmethod
    def predict(self, decoded: torch.Tensor) -> torch.Tensor: ...

    def relate(self, hidden: torch.Tensor) -> torch.Tensor:
        raise TypeError(f"{type(self).__name__} has no second task on passages")

    @property
    @abstractmethod
    def output(self) -> tuple[torch.Tensor, torch.Tensor]: ...

    @property
    def device(self) -> torch.device:
        return self.output[0].device

    def size(self) -> dict[str, int]:
        return {"parameters": sum(parameter.numel() for parameter in self.parameters())}

    def read(self, batch: MaskedBatch, places: torch.Tensor | None = None) -> torch.Tensor:
        """Hidden states `(B, T, C)` of a batch; `(N, C)` at places of `(B T,)`."""
        hidden: torch.Tensor = self(*self._given(batch), places)
        return hidden

    def _given(self, batch: MaskedBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Mask]:
        """Ids, positions and types of a batch, and its mask."""
        ids, _, positions, segments, types, _ = (torch.from_numpy(part).to(self.device) for part in batch[:6])
        return ids, positions, types, document_mask(segments)

    def loss(self, batch: MaskedBatch) -> torch.Tensor:
        """Sum of the cross-entropies, in nats, of the hidden tokens, and of the pairs by their weight.

        Logits, and the states of the last layer, are made where something is to be predicted, and nowhere
        else.
        """
        if not self.packed:
            batch = batch.unpacked()
        targets, answers = self.marked(batch.targets)[0], self.marked(batch.pairs)[0]
        places, starts = marked_places(batch.targets), marked_places(batch.pairs)
        decoded, first = self._states(batch, places, starts if batch.pair_weight else starts[:0])
        matrix, bias = self.output
        loss = head_cross_entropy(self.predict(decoded), matrix, targets, bias)
        if batch.pair_weight:
            logits = self.relate(first).float()
            loss = loss + batch.pair_weight * F.cross_entropy(logits, answers, reduction="sum")
        return loss

    def _states(
        self, batch: MaskedBatch, places: torch.Tensor, starts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What hidden tokens are predicted from, and the hidden states at each `[CLS]`."""
        ids, positions, types, mask = self._given(batch)
        if self.decodes:
            hidden = self(ids, positions, types, mask)  # (B, T, C)
            decoded = self.decode(hidden, positions, mask)
            return decoded.flatten(0, 1)[places], hidden.flatten(0, 1)[starts]
        both = self(ids, positions, types, mask, torch.cat([places, starts]))
        return both[: len(places)], both[len(places) :]

    def marked(self, part: Ids) -> tuple[torch.Tensor, torch.Tensor]:
        """What is not NONE in `(B, T)`, and where in `(B T,)`."""
        places = marked_places(part)
        return torch.from_numpy(part).flatten()[places].to(self.device), places.to(self.device)

    @torch.inference_mode()
    def hidden(self, sequences: Sequence[Ids], types: Sequence[Ids] | None = None) -> list[Floats]:
        """Hidden states of the last layer, `(tokens, C)` for each sequence."""
        return [states.cpu().numpy() for states in self._read_all(sequences, types)]

    @torch.inference_mode()
    def masked_log_probs(
        self, sequences: Sequence[Ids], places: Sequence[Ids], types: Sequence[Ids] | None = None
    ) -> list[Floats]:
        """Natural-log probabilities of every token at these places: `(places, V)` for each sequence."""
        if self.headless:
            raise LangueError(
                "this encoder came without the head that predicts hidden tokens: it embeds (langue embed) "
                "and is fine-tuned (langue finetune), and fills no gaps"
            )
        found = []
        matrix, bias = self.output
        for states, chosen in zip(self._read_all(sequences, types, decoded=True), places, strict=True):
            rows = self.predict(states[torch.as_tensor(np.asarray(chosen, np.int64), device=self.device)])
            scores = [F.log_softmax(part @ matrix.T + bias, -1) for part in torch.split(rows, PREDICTED)]
            found.append(torch.cat(scores).cpu().numpy())
        return found

    @torch.inference_mode()
    def pair_log_probs(self, sequences: Sequence[Ids], types: Sequence[Ids]) -> Floats:
        """Natural-log probabilities of how the two parts of each sequence relate: `(sequences, 2)`."""
        first = torch.stack([states[0] for states in self._read_all(sequences, types)])
        scores: Floats = F.log_softmax(self.relate(first), -1).cpu().numpy()
        return scores

    def _read_all(
        self, sequences: Sequence[Ids], types: Sequence[Ids] | None, *, decoded: bool = False
    ) -> list[torch.Tensor]:
        """Hidden states of sequences of any lengths, those of like length read together."""
        for ids in sequences:
            if len(ids) > self.window:
                raise LangueError(f"{len(ids)} tokens do not fit the window of {self.window}; cut the text")
        parts = types if types is not None else [np.zeros(len(ids), np.int64) for ids in sequences]
        found: dict[int, torch.Tensor] = {}
        for rows in _alike([len(ids) for ids in sequences]):
            T = max(len(sequences[row]) for row in rows)
            read, kind, seen = (torch.zeros(len(rows), T, dtype=torch.int64) for _ in range(3))
            for place, row in enumerate(rows):
                length = len(sequences[row])
                read[place, :length] = torch.from_numpy(np.asarray(sequences[row], np.int64))
                kind[place, :length] = torch.from_numpy(np.asarray(parts[row], np.int64))
                seen[place, :length] = 1  # padding is a document of its own
            mask = document_mask(seen.to(self.device))
            positions = torch.arange(T, device=self.device).expand(len(rows), T)
            network = self.decoded if decoded else self
            states = network(read.to(self.device), positions, kind.to(self.device), mask)
            for place, row in enumerate(rows):
                found[row] = states[place, : len(sequences[row])]
        return [found[row] for row in range(len(sequences))]


def marked_places(part: Ids) -> torch.Tensor:
    """Where in `(B T,)` something is not NONE: on the CPU, so that no GPU has to be waited for."""
    return (torch.from_numpy(part).flatten() != NONE).nonzero().squeeze(1)


def _alike(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of sequences, the longest first, in groups of about `READ` slots."""
    group: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if group and (len(group) + 1) * lengths[group[0]] > READ:
            yield group
            group = []
        group.append(row)
    if group:
        yield group
