"""What an encoder says of texts: hidden states, and the probabilities of tokens at masked positions."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from langue.base.arrays import Floats, Ids
from langue.base.errors import LangueError
from langue.nn.mask import Mask, document_mask
from langue.nn.weights import save_weights
from langue.protocols import Masked

CHUNK_SLOTS = 1 << 13  # slots read at a time
CHUNK_ROWS = 1024  # rows of logits at a time


class MaskedScoring(nn.Module, Masked, ABC):
    """The half of a `Masked` model that is no part of its training; `base.MaskedModel` is the other."""

    def decode(self, hidden: Tensor, positions: Tensor, mask: Mask) -> Tensor:
        """What tokens are predicted from, of hidden states `(B, T, C)`."""
        return hidden

    def decoded(self, ids: Tensor, positions: Tensor, types: Tensor, mask: Mask) -> Tensor:
        """What tokens are predicted from, `(B, T, C)`, of what is read."""
        return self.decode(self(ids, positions, types, mask), positions, mask)

    @abstractmethod
    def predict(self, decoded: Tensor) -> Tensor: ...

    def sentence_pair_logits(self, hidden: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} has no second task on passages")

    @property
    @abstractmethod
    def output(self) -> tuple[Tensor, Tensor]: ...

    @property
    def device(self) -> torch.device:
        return self.output[0].device

    def size(self) -> dict[str, int]:
        """Of what was trained: a head that it came without is not counted."""
        without = ("prediction.",) if self.no_mlm_head else ()
        named = self.named_parameters()
        return {"parameters": sum(part.numel() for name, part in named if not name.startswith(without))}

    def save(self, folder: Path) -> None:
        save_weights(self, folder)

    @torch.inference_mode()
    def hidden(self, sequences: Sequence[Ids], types: Sequence[Ids] | None = None) -> list[Floats]:
        """Hidden states of the last layer, `(tokens, C)` for each sequence."""
        return [states.float().cpu().numpy() for states in self._read_all(sequences, types)]

    @torch.inference_mode()
    def masked_log_probs(
        self, sequences: Sequence[Ids], positions: Sequence[Ids], types: Sequence[Ids] | None = None
    ) -> list[Floats]:
        """Natural-log probabilities of every token at these positions: `(positions, V)` for each sequence."""
        if self.no_mlm_head:
            raise LangueError(
                "this encoder has no head that predicts hidden tokens: it embeds (langue embed) "
                "and is fine-tuned (langue finetune), and fills no gaps"
            )
        log_probs = []
        matrix, bias = self.output
        for states, chosen in zip(self._read_all(sequences, types, decoded=True), positions, strict=True):
            rows = self.predict(states[torch.as_tensor(np.asarray(chosen, np.int64), device=self.device)])
            logits = [(part @ matrix.T + bias).float() for part in torch.split(rows, CHUNK_ROWS)]
            log_probs.append(torch.cat([F.log_softmax(part, -1) for part in logits]).cpu().numpy())
        return log_probs

    @torch.inference_mode()
    def pair_log_probs(self, sequences: Sequence[Ids], types: Sequence[Ids]) -> Floats:
        """Natural-log probabilities of how the two parts of each sequence relate: `(sequences, 2)`."""
        first = torch.stack([states[0] for states in self._read_all(sequences, types)])
        scores: Floats = F.log_softmax(self.sentence_pair_logits(first).float(), -1).cpu().numpy()
        return scores

    def _read_all(
        self, sequences: Sequence[Ids], types: Sequence[Ids] | None, *, decoded: bool = False
    ) -> list[Tensor]:
        """Hidden states of sequences of any lengths, those of like length read together."""
        self.vocabulary._replace(size=len(self.output[0])).check(*sequences)  # special ids included
        for ids in sequences:
            if len(ids) > self.window:
                raise LangueError(f"{len(ids)} tokens do not fit the window of {self.window}; cut the text")
        parts = types if types is not None else [np.zeros(len(ids), np.int64) for ids in sequences]
        states_of: dict[int, Tensor] = {}
        for rows in _alike([len(ids) for ids in sequences]):
            T = max(len(sequences[row]) for row in rows)
            read, kind, seen = (torch.zeros(len(rows), T, dtype=torch.int64) for _ in range(3))
            for index, row in enumerate(rows):
                length = len(sequences[row])
                read[index, :length] = torch.from_numpy(np.asarray(sequences[row], np.int64))
                kind[index, :length] = torch.from_numpy(np.asarray(parts[row], np.int64))
                seen[index, :length] = 1  # padding is a document of its own
            mask = document_mask(seen.to(self.device))
            positions = torch.arange(T, device=self.device).expand(len(rows), T)
            network = self.decoded if decoded else self
            states = network(read.to(self.device), positions, kind.to(self.device), mask)
            for index, row in enumerate(rows):
                states_of[row] = states[index, : len(sequences[row])]
        return [states_of[row] for row in range(len(sequences))]


def _alike(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of sequences, the longest first, in groups of about `CHUNK_SLOTS` slots."""
    group: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if group and (len(group) + 1) * lengths[group[0]] > CHUNK_SLOTS:
            yield group
            group = []
        group.append(row)
    if group:
        yield group
