"""What every neural tagger has: an encoder of sentences makes a state of each token, a head labels them.

    words  →  encoder  →  states (N, C)  →  head: CRF or softmax (`layers/crf.py`)  →  tags

The tokens of all sentences stand one after another, N of them, with nothing padded.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from langue.base.arrays import Array, Floats
from langue.base.errors import LangueError
from langue.corpus.tagged import Sentence, groups
from langue.models.taggers.heads import HEADS, Head
from langue.models.taggers.labels import Labels
from langue.protocols import Tagger, Weight

CHUNK_TOKENS = 1 << 12  # tokens read at a time without gradients


class NeuralTagger(nn.Module, Tagger, ABC):
    """A `Tagger`, once a family adds `save` and

    forward(sentences): states `(N, C)` of the tokens of all sentences

    Args:
        C: width of the states.
        constraints: only tag sequences that spell spans.
    """

    def __init__(
        self, columns: Sequence[str], labels: Labels, C: int, head: Head, *, constraints: bool
    ) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.names = labels
        self.labels = labels.names
        self.outer = labels.outer()
        self.scheme = labels.scheme
        self.constraints = constraints
        self.head = HEADS[head](C, labels.chain(constraints=constraints))

    @abstractmethod
    def forward(self, sentences: Sequence[Sentence]) -> torch.Tensor: ...

    @property
    def device(self) -> torch.device:
        return self.head.score.weight.device

    @abstractmethod
    def save(self, folder: Path) -> None: ...

    def loss(self, sentences: Sequence[Sentence], tags: Array) -> torch.Tensor:
        """Σ -log p(tags | sentence) in nats; tags `(N,)` are numbers of labels, or `UNKNOWN_TAG`."""
        known = torch.from_numpy(tags.astype(np.int64)).to(self.device)
        states = self(sentences)
        with torch.autocast(self.device.type, enabled=False):  # the head is exact whatever the encoder is
            return self.head.loss(states.float(), known, _lengths(sentences))

    @torch.inference_mode()
    def tag(self, sentences: Sequence[Sentence]) -> list[tuple[str, ...]]:
        return [
            self.names.tags(labels)
            for group in self._groups(sentences)
            for labels in self.head.tag(self(group), _lengths(group))
        ]

    @torch.inference_mode()
    def marginals(self, sentences: Sequence[Sentence]) -> list[Floats]:
        return [
            marginals
            for group in self._groups(sentences)
            for marginals in self.head.marginals(self(group), _lengths(group))
        ]

    @torch.inference_mode()
    def best(self, sentence: Sentence, n: int) -> list[tuple[float, tuple[str, ...]]]:
        self.eval()
        states = self([sentence])
        return self.names.merge(lambda n: self.head.best(states, n), n, constraints=self.constraints)

    def strongest(self, top: int) -> list[Weight]:
        """The weights of transitions, the only ones that a person could read.

        Raises:
            LangueError: the head has none.
        """
        learned = dict(self.head.named_parameters())
        if "transition" not in learned:
            raise LangueError(
                'this tagger has head = "softmax", of whose weights none says anything alone; '
                'train it with head = "crf", or train the family crf'
            )
        parts = {name: learned[name].detach().cpu().numpy() for name in ("transition", "start", "end")}
        fixed = dict(zip(parts, self.head.fixed(), strict=True))
        weights = [
            Weight(float(parts["transition"][i, j]), f"after {before}", after)
            for i, before in enumerate(self.labels)
            for j, after in enumerate(self.labels)
            if fixed["transition"][i, j] == 0
        ]
        for name, feature in (("start", "at the beginning"), ("end", "at the end")):
            weights += [
                Weight(float(parts[name][i]), feature, label)
                for i, label in enumerate(self.labels)
                if fixed[name][i] == 0
            ]
        return sorted(weights, key=lambda weight: -abs(weight.weight))[:top]

    def size(self) -> dict[str, int]:
        return {"parameters": sum(parameter.numel() for parameter in self.parameters())}

    def _groups(self, sentences: Sequence[Sentence]) -> Iterator[Sequence[Sentence]]:
        self.eval()
        return groups(sentences, CHUNK_TOKENS)


def _lengths(sentences: Sequence[Sentence]) -> list[int]:
    return [len(sentence.words) for sentence in sentences]
