"""`charcnn`: character-aware neural language model (Kim et al. 2016).

    x_t = highway(max over places of tanh(conv(characters of token t)))    the rest is the LSTM of `rnn`

A token is read as its spelling, so words that look alike are alike from the start and a rare word is
no stranger; the output is a softmax over the vocabulary, as everywhere.
Deviates: characters are the bytes of UTF-8, so that any script is read with 259 symbols (for English
they are the same); a spelling is cut at 64 bytes; the state starts afresh at each document.
Letters: B batch, T time, U different tokens, L bytes of the longest spelling, E width of the input.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from langue.base.checked import ArraySpec
from langue.models.family import Family
from langue.models.networks.config import CharCNNConfig
from langue.models.networks.rnn import RNN, streams
from langue.nn.initial import uniform_weights
from langue.nn.linear import Linear
from langue.nn.recurrent import Recurrent
from langue.nn.weights import load_weights, saved_tensor
from langue.protocols import Causal, Vocabulary

SPREAD = 0.05  # initial weights are uniform in ± this (section 3.1)
GATE = -2.0  # initial bias of the highway gates: carry at first (section 3.1)
LONGEST = 64  # bytes of a spelling
PADDING, BEGIN, END, FIRST_BYTE = 0, 1, 2, 3  # symbols; a byte b is FIRST_BYTE + b
SYMBOLS = ArraySpec("int16", ("V", "L"), below=FIRST_BYTE + 256)


class Highway(nn.Module):
    """z = t ⊙ relu(W y + b) + (1 - t) ⊙ y, t = σ(W' y + b') (Srivastava et al. 2015)."""

    def __init__(self, E: int) -> None:
        super().__init__()
        self.transform = Linear(E, E)
        self.gate = Linear(E, E)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        t = torch.sigmoid(self.gate(y))
        return t * F.relu(self.transform(y)) + (1 - t) * y


class Spelling(nn.Module):
    """The vector of a token from its bytes; takes the place of an embedding.

    Args:
        symbols: `(V, L)`, what `spell` made of a vocabulary; saved with the weights.
    """

    symbols: torch.Tensor

    def __init__(
        self, symbols: torch.Tensor, characters: int, filters: tuple[int, ...], highways: int
    ) -> None:
        super().__init__()
        self.register_buffer("symbols", symbols)
        self.characters = nn.Embedding(FIRST_BYTE + 256, characters, padding_idx=PADDING)
        self.filters = nn.ModuleList(
            nn.Conv1d(characters, count, width) for width, count in enumerate(filters, 1)
        )
        self.highways = nn.Sequential(*(Highway(sum(filters)) for _ in range(highways)))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """What starts from a value of its own: padding is nothing, and the gates carry."""
        self.characters.weight[PADDING] = 0
        for name, parameter in self.named_parameters():
            if name.endswith("gate.bias"):
                parameter.fill_(GATE)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """`(B, T)` → `(B, T, E)`; a token that stands in a batch many times is spelled once."""
        different, which = torch.unique(ids, return_inverse=True)  # (U,), (B, T)
        x = self.characters(self.symbols[different].long()).transpose(1, 2)  # (U, characters, L)
        y = torch.cat([torch.tanh(conv(x)).amax(2) for conv in self.filters], 1)  # (U, E)
        return F.embedding(which, self.highways(y))


def spell(vocabulary: Vocabulary, least: int) -> torch.Tensor:
    """Every id as symbols `(V, L)`: begin, its bytes, end, padding; `L` is at least `least`."""
    rows = [
        [BEGIN, *(FIRST_BYTE + byte for byte in spelling[:LONGEST]), END] for spelling in vocabulary.spellings
    ]
    L = max(least, *map(len, rows))
    return torch.tensor([row + [PADDING] * (L - len(row)) for row in rows], dtype=torch.int16)


def network(config: CharCNNConfig, vocabulary: Vocabulary, symbols: torch.Tensor) -> RNN:
    """The network that a configuration describes, its weights not set."""
    L, C, filters, highways = config.shape
    recurrent = Recurrent(
        "lstm", layers=L, inputs=sum(filters), width=C, dropout=config.dropout, drop_input=False
    )
    spelling = Spelling(symbols, config.characters, filters, highways)
    return RNN(vocabulary, spelling, recurrent, context=config.context)


def build(config: CharCNNConfig, vocabulary: Vocabulary, seed: int) -> RNN:
    """A model with random weights."""
    model = network(config, vocabulary, spell(vocabulary, least=len(config.shape.filters)))
    uniform_weights(model, seed, SPREAD)
    assert isinstance(model.embedding, Spelling)
    model.embedding.reset_parameters()
    return model


def load(folder: Path, config: CharCNNConfig, vocabulary: Vocabulary) -> RNN:
    """Read the weights and spellings of a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    symbols = saved_tensor(folder, "embedding.symbols", SYMBOLS, V=vocabulary.size)
    return load_weights(lambda: network(config, vocabulary, symbols), folder)


FAMILY = Family(
    name="charcnn",
    summary="character-aware LSTM (Kim et al. 2016)",
    makes=Causal,
    config=CharCNNConfig,
    estimated_by="gradient",
    load=load,
    build=build,
    batches=streams,
    reads_spellings=True,
)
