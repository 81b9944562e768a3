"""`rnn`: a recurrent network reads a document token by token (Elman 1990; Mikolov et al. 2010).

    x_t = E[token t]    h_t = cell(x_t, h_(t-1))    p(token t+1) = softmax(W h_t + b)

The cell is Elman's, a GRU (Cho et al. 2014) or an LSTM (Hochreiter and Schmidhuber 1997). Trained as
Zaremba et al. 2014 do: truncated backpropagation over `context` tokens, the state carried on to the
next batch of the stream; dropout on the non-recurrent connections; uniform initial weights. Options
of Merity et al. 2018 (AWD-LSTM): weight drop, variational dropout, tied embeddings.
Deviates: the state starts afresh at each document, and `<eos>` is read before its first token.
Letters: B batch, T time, C width, V vocabulary; a state is `(layers, parts, B, C)`.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from langue.base.config import Config
from langue.models.family import Family
from langue.models.networks.choose import choose_rnn
from langue.models.networks.config import RNNConfig
from langue.nn.cross_entropy import linear_cross_entropy
from langue.nn.initial import uniform_weights
from langue.nn.linear import Linear
from langue.nn.recurrent import Recurrent
from langue.nn.stateful import Stateful
from langue.nn.weights import load_weights
from langue.protocols import Causal, Vocabulary
from langue.tokens.batch import Batch
from langue.tokens.batches import StreamBatches
from langue.tokens.store import Split


class RNN(Stateful):
    """A `Causal` model without a window: its state has read the whole document."""

    def __init__(
        self, vocabulary: Vocabulary, embedding: nn.Module, recurrent: Recurrent, *, context: int
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.context = context
        self.embedding = embedding
        self.recurrent = recurrent
        self.head = Linear(recurrent.width, vocabulary.size)
        self.carry: dict[str, Tensor] = {}  # the state in which the batch before ended

    def forward(self, ids: Tensor, state: Tensor, begins: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Hidden states `(B, T, C)` of ids `(B, T)`, and the state after them."""
        return self.recurrent(self.embedding(ids), state, begins)

    def loss(self, batch: Batch) -> Tensor:
        """Sum of the cross-entropies, in nats, of a batch that goes on where the one before stopped."""
        device = self.head.weight.device
        inputs, targets, positions, _ = (torch.from_numpy(part).to(device) for part in batch)
        before = self.carry.get("state")  # (B, layers, parts, C)
        state = self.recurrent.start(len(inputs)) if before is None else before.permute(1, 2, 0, 3)
        y, after = self(inputs, state, positions == 0)
        self.carry = {"state": after.detach().permute(2, 0, 1, 3)}
        return linear_cross_entropy(y.flatten(0, 1), self.head.weight, targets.flatten(), self.head.bias)

    def flops_per_token(self) -> float:
        """Of one training step: 6 for each weight that multiplies; what embeds a token is left out."""
        recurrent = sum(parameter.numel() for parameter in self.recurrent.parameters())
        return 6.0 * (recurrent + self.head.weight.numel())


def network(config: RNNConfig, vocabulary: Vocabulary) -> RNN:
    """The network that a configuration describes, its weights not set."""
    L, C, T, _ = config.shape
    recurrent = Recurrent(
        config.cell,
        layers=L,
        inputs=C,
        width=C,
        dropout=config.dropout,
        variational_dropout=config.variational_dropout,
        weight_drop=config.weight_drop,
    )
    model = RNN(vocabulary, nn.Embedding(vocabulary.size, C), recurrent, context=T)
    if config.tied:
        model.head.weight = model.embedding.weight  # type: ignore[assignment]
    return model


def build(config: RNNConfig, vocabulary: Vocabulary, seed: int) -> RNN:
    """A model with random weights."""
    model = network(config, vocabulary)
    uniform_weights(model, seed, config.shape.spread)
    return model


def load(folder: Path, config: RNNConfig, vocabulary: Vocabulary) -> RNN:
    """Read the weights of a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    return load_weights(lambda: network(config, vocabulary), folder)


def streams(
    split: Split, vocabulary: Vocabulary, config: Config, rows: int, context: int, seed: int
) -> StreamBatches:
    """Rows that go on where they stopped; there is nothing to draw, so the seed is not used."""
    return StreamBatches(split, rows=rows, context=context, eos=vocabulary.eos)


FAMILY = Family(
    name="rnn",
    summary="recurrent network (Elman, GRU or LSTM)",
    makes=Causal,
    config=RNNConfig,
    estimated_by="gradient",
    load=load,
    build=build,
    batches=streams,
    choose=choose_rnn,
)
