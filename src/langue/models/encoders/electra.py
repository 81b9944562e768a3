"""`electra`: two encoders, one of which fills gaps while the other finds what was filled (Clark et al. 2020).

The generator predicts hidden tokens, as BERT does. What it draws takes their place, and the discriminator
says of each token whether it is the one that was written. It learns from every token and not from the 15 %
that are hidden, and it never reads a `[MASK]`; so it is what is embedded with and fine-tuned, while gaps are
filled by the generator. No gradient passes through the drawing (section 2).

`embedding_sharing` says what the two have in common:

    embedding               one table of tokens, one of positions (section 3.2)
    gradient-disentangled   the generator's, which the discriminator reads and does not move, with a table of
                            its own added that begins at zero (He et al. 2021b, section 3.2)
    all                     the whole network but for the two heads (section 3.2)
    none                    nothing

Deviates from the paper: special tokens are neither sampled nor told. Letters: B batch, T time, C channels,
E channels of the embedding, H heads, V vocabulary, N hidden tokens.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from langue.base.arrays import Floats, Ids
from langue.base.bounds import Layers, NonNegativeInt, PositiveFloat
from langue.models.encoders.base import MaskedModel, marked_positions
from langue.models.encoders.bert import (
    Block,
    DisentangledBlock,
    Embeddings,
    Prediction,
    run_layers,
)
from langue.models.encoders.config import MaskedConfig
from langue.models.encoders.init_from import init_encoder
from langue.models.encoders.setup import flops
from langue.models.family import Family
from langue.nn.cross_entropy import linear_cross_entropy
from langue.nn.fast.choices import rows_per_chunk
from langue.nn.initial import normal_weights
from langue.nn.linear import Linear
from langue.nn.mask import Mask
from langue.nn.weights import load_weights
from langue.protocols import Masked, Vocabulary
from langue.tokens.masking import NONE
from langue.tokens.rtd import RTDBatch, RTDBatches, rtd_positions
from langue.tokens.store import Split

# What a model has in common with one that it is initialized from, besides layers, width and heads.
SHAPE = ("embedding_sharing", "generator_layers", "generator_heads", "embedding_size", "attention")
EmbeddingSharing = Literal["embedding", "gradient-disentangled", "all", "none"]


class ElectraConfig(MaskedConfig, frozen=True):
    """Layers, width and heads are the discriminator's."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "share": "embedding_sharing",
        "embedding": "embedding_size",
        "weight": "discriminator_weight",
    }

    embedding_sharing: EmbeddingSharing = "embedding"
    generator_layers: Layers = 0  # 0: as many
    generator_heads: NonNegativeInt = 0  # as wide as the discriminator's; 0: a quarter of them (figure 3)
    embedding_size: NonNegativeInt = 0  # width of the embedding; 0: of the discriminator
    discriminator_weight: PositiveFloat = 50.0  # of a judgement (appendix A)
    attention: Literal["plain", "disentangled"] = "plain"  # as `bert`

    def check(self) -> None:
        super().check()
        if self.sentence_pairs != "none":
            raise ValueError(
                'the family electra has no second task on passages; it goes with sentence_pairs = "none"'
            )
        if self.embedding_sharing == "all" and (self.generator_layers or self.generator_heads):
            raise ValueError(
                'with embedding_sharing = "all" the generator is the discriminator; leave its size out'
            )

    @property
    def embedded(self) -> int:
        """Width of the embedding."""
        return self.embedding_size or self.shape.width

    @property
    def generator(self) -> tuple[int, int, int]:
        """Layers, width and heads of the generator."""
        L, C, H, _ = self.shape
        heads = self.generator_heads or max(H // 4, 1)
        return self.generator_layers or L, heads * (C // H), heads


class Encoder(nn.Module):
    """The layers of one of the two, over embeddings of another width perhaps."""

    def __init__(
        self, E: int, C: int, H: int, L: int, T: int, d_ff: int, dropout: float, *, apart: bool
    ) -> None:
        super().__init__()
        self.width = C
        self.widen = Linear(E, C) if E != C else nn.Identity()
        self.distances = nn.Embedding(2 * T, C) if apart else None
        kind = DisentangledBlock if apart else Block
        self.layers = nn.ModuleList(kind(C, H, d_ff, dropout) for _ in range(L))

    def forward(self, x: Tensor, mask: Mask, at: Tensor | None = None) -> Tensor:
        """`(B, T, E)` to `(B, T, C)`; to `(N, C)` at positions of `(B T,)`."""
        table = None if self.distances is None else self.distances.weight
        return run_layers(self.layers, self.widen(x), mask, table, at)

    def flops_per_token(self, T: int, share: float = 1.0) -> float:
        """Of one training step, where a share of the places is asked for."""
        last = share if self.distances is None else 1.0
        wide = 6.0 * sum(part.numel() for part in self.widen.parameters())
        layers = sum(flops(layer, self.width, T) for layer in self.layers[:-1])
        return wide + layers + flops(self.layers[-1], self.width, T, last)


class Electra(MaskedModel):
    """A `Masked` model: `forward` is the discriminator's, `decoded` the generator's.

    What is shared is one module: `embeddings` is what the generator reads with, and the discriminator where
    it has no `own`; `filler` is the generator's network where it is not the discriminator's, `encoder`. The
    two names are those of the weights in model folders.
    """

    def __init__(self, config: ElectraConfig, vocabulary: Vocabulary) -> None:
        L, C, H, T = config.shape
        V, E = config.rows(vocabulary), config.embedded
        super().__init__(config, vocabulary)
        self.config = config
        apart = config.attention == "disentangled"
        positions = 0 if apart else T
        own = config.embedding_sharing in ("none", "gradient-disentangled")
        d_ff = config.d_ff or 4 * C
        layers, width, heads = config.generator
        self.embeddings = Embeddings(V, positions, E, config.dropout)
        self.own = Embeddings(V, positions, E, config.dropout) if own else None
        self.encoder = Encoder(E, C, H, L, T, d_ff, config.dropout, apart=apart)
        self.filler = (
            Encoder(E, width, heads, layers, T, d_ff * width // C, config.dropout, apart=apart)
            if config.embedding_sharing != "all"
            else None
        )
        self.prediction = Prediction(V, C if config.embedding_sharing == "all" else width, E)
        self.detection = nn.Sequential(Linear(C, C), nn.GELU(), Linear(C, 1))

    def forward(
        self, ids: Tensor, positions: Tensor, types: Tensor, mask: Mask, at: Tensor | None = None
    ) -> Tensor:
        """Hidden states of the discriminator."""
        return self.encoder(self.embedded(ids, positions, types), mask, at)

    def embedded(self, ids: Tensor, positions: Tensor, types: Tensor) -> Tensor:
        """What the discriminator reads, `(B, T, E)`."""
        if self.own is None:
            return self.embeddings(ids, positions, types)
        x = self.own.summed(ids, positions, types)
        if self.config.embedding_sharing == "gradient-disentangled":
            x = x + self.embeddings.summed(ids, positions, types).detach()
        return self.own.normed(x)

    @property
    def generator(self) -> Encoder:
        return self.encoder if self.filler is None else self.filler

    def decoded(self, ids: Tensor, positions: Tensor, types: Tensor, mask: Mask) -> Tensor:
        """Hidden states of the generator, `(B, T, its C)`."""
        return self.generator(self.embeddings(ids, positions, types), mask)

    def predict(self, decoded: Tensor) -> Tensor:
        return self.prediction(decoded)

    @property
    def output(self) -> tuple[Tensor, Tensor]:
        return self.embeddings.word.weight, self.prediction.bias

    def detect(self, hidden: Tensor) -> Tensor:
        """Of hidden states of the discriminator, `(…, C)`, the logits that a token was replaced, `(…)`."""
        return self.detection(hidden).squeeze(-1)

    def loss(self, batch: RTDBatch) -> Tensor:  # type: ignore[override]
        """Sum of the nats of the generator on hidden tokens, and of the discriminator by their weight.

        Outside of training the generator's alone: a better generator makes the discriminator's task harder,
        so that its nats are no measure of how far the two have come.
        """
        generated, detected = self.losses(batch)
        return generated + batch.weight * detected if self.training else generated

    def losses(self, batch: RTDBatch) -> tuple[Tensor, Tensor]:
        """Sums of the nats of the generator on hidden tokens, and of the discriminator on all of the text."""
        masked = batch.masked if self.packed else batch.masked.unpack()
        ids, positions, types, mask = self.tensors(masked)
        targets, indices = self.marked(masked.targets)  # (N,) each
        rows = self.predict(
            self.generator(self.embeddings(ids, positions, types), mask, marked_positions(masked.targets))
        )
        matrix, bias = self.output
        generated = linear_cross_entropy(rows, matrix, targets, bias)
        noise = torch.from_numpy(batch.noise[batch.masked.targets != NONE]).to(self.device)
        sampled = self.draw(rows, noise)
        is_replaced = torch.zeros(ids.numel(), device=self.device)
        is_replaced[indices] = (sampled != targets).float()
        hidden = self(ids.flatten().index_copy(0, indices, sampled).view_as(ids), positions, types, mask)
        here = torch.from_numpy(rtd_positions(masked, self.specials).ravel().nonzero()[0]).to(self.device)
        logits = self.detect(hidden.flatten(0, 1)[here]).float()
        return generated, F.binary_cross_entropy_with_logits(logits, is_replaced[here], reduction="sum")

    @torch.no_grad()
    def draw(self, rows: Tensor, noise: Tensor) -> Tensor:
        """Tokens from the generator's distribution, which its inverse turns the noise into.

        Args:
            rows: what the output matrix is multiplied with, `(N, E)`.
            noise: in [0, 1), `(N,)`.

        Returns:
            ids `(N,)`, none of them special.
        """
        matrix, bias = self.output
        barred = [*self.specials, self.vocabulary.eos]
        sampled = []
        count = rows_per_chunk(len(matrix))
        for part, point in zip(torch.split(rows, count), torch.split(noise.float(), count), strict=True):
            logits = (part @ matrix.T).float() + bias  # (chunk, V)
            logits[:, barred] = float("-inf")
            below = logits.softmax(-1).cumsum(-1)
            index = torch.searchsorted(below, (point * below[:, -1])[:, None], right=True)
            sampled.append(index.squeeze(1).clamp(max=len(matrix) - 1))
        return torch.cat(sampled)

    @torch.inference_mode()
    def refilled(
        self, sequences: Sequence[Ids], positions: Sequence[Ids], noise: Sequence[Floats]
    ) -> list[Ids]:
        """The sequences with a token the generator draws at each of these positions."""
        filled: list[Ids] = []
        states = self._read_all(sequences, None, decoded=True)
        for ids, chosen, row, point in zip(sequences, positions, states, noise, strict=True):
            here = torch.as_tensor(np.asarray(chosen, np.int64), device=self.device)
            refilled = np.array(ids, np.int64)
            points = torch.from_numpy(point).to(self.device)
            refilled[chosen] = self.draw(self.predict(row[here]), points).cpu().numpy()
            filled.append(refilled)
        return filled

    @torch.inference_mode()
    def replaced_log_odds(self, sequences: Sequence[Ids]) -> list[Floats]:
        """Natural-log odds of each token of each sequence that it was replaced: `(tokens,)`."""
        return [self.detect(states).float().cpu().numpy() for states in self._read_all(sequences, None)]

    def flops_per_token(self) -> float:
        """Of one training step: both networks, and the logits of hidden tokens once more to draw from."""
        T, hidden = self.window, self.config.mlm_probability
        logits, dense = self.output[0].numel(), self.prediction.dense.weight.numel()
        heads = hidden * (8.0 * logits + 6.0 * dense) + 6.0 * self.width**2
        return self.generator.flops_per_token(T, hidden) + self.encoder.flops_per_token(T) + heads


def batches(
    split: Split, vocabulary: Vocabulary, config: ElectraConfig, rows: int, context: int, seed: int
) -> RTDBatches:
    """What the two are trained on: each hidden token is read as `[MASK]` (section 2)."""
    return RTDBatches(
        split,
        weight=config.discriminator_weight,
        rows=rows,
        context=context,
        eos=vocabulary.eos,
        specials=config.specials(vocabulary),
        masking=config.masking,
        mlm_probability=config.mlm_probability,
        seed=seed,
        replace_probs=(1.0, 0.0),
    )


def build(config: ElectraConfig, vocabulary: Vocabulary, seed: int) -> Electra:
    """A model with random weights."""
    model = Electra(config, vocabulary)
    normal_weights(model, seed)
    if model.own is not None and config.embedding_sharing == "gradient-disentangled":
        for table in (model.own.word, model.own.position, model.own.part):
            if table is not None:
                nn.init.zeros_(table.weight)
    return model


def load(folder: Path, config: ElectraConfig, vocabulary: Vocabulary) -> Electra:
    """Read the weights of a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    return load_weights(lambda: Electra(config, vocabulary), folder)


FAMILY = Family(
    name="electra",
    summary="one encoder that fills gaps, and one that finds what was filled (ELECTRA)",
    makes=Masked,
    config=ElectraConfig,
    estimated_by="gradient",
    load=load,
    build=build,
    batches=batches,
    init_from=init_encoder("electra", SHAPE),
)
