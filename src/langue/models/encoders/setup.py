"""What encoders have in common before they learn: batches, and the price of a step."""

from typing import Any

from torch import nn

from langue.models.encoders.config import MaskedConfig
from langue.protocols import Vocabulary
from langue.tokens.masked import MaskedBatches, SentencePairBatches
from langue.tokens.store import Split


def batches(
    split: Split, vocabulary: Vocabulary, config: MaskedConfig, rows: int, context: int, seed: int
) -> MaskedBatches:
    """What an encoder is trained on."""
    shape: dict[str, Any] = {
        "rows": rows,
        "context": context,
        "eos": vocabulary.eos,
        "specials": config.specials(vocabulary),
        "masking": config.masking,
        "mlm_probability": config.mlm_probability,
        "seed": seed,
    }
    if config.sentence_pairs == "none":
        return MaskedBatches(split, **shape)
    return SentencePairBatches(split, sentence_pairs=config.sentence_pairs, **shape)


def flops(block: nn.Module, C: int, T: int, share: float = 1.0) -> float:
    """Of a block in one training step, by token: 6 for each weight that multiplies, 12 T C for attention.

    Args:
        share: of the places, what is asked for; keys and values are made at all.
    """
    weights, keys = sum(parameter.numel() for parameter in block.parameters()), 2 * C * C
    return 6.0 * (keys + share * (weights - keys)) + share * 12.0 * C * T
