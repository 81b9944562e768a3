"""An encoder within another model: by the name of its family and its configuration, as a table."""

from collections.abc import Mapping
from typing import Any

from langue.base.config import decode
from langue.base.errors import LangueError
from langue.models.encoders.base import MaskedModel
from langue.models.registry import family
from langue.protocols import Vocabulary


def build_encoder(name: str, config: Mapping[str, Any], vocabulary: Vocabulary, seed: int) -> MaskedModel:
    """An encoder with random weights.

    Raises:
        LangueError: that family is no encoder.
    """
    kind = family(name)
    assert kind.build is not None
    encoder = kind.build(decode(kind.config, config, "encoder", stored=True), vocabulary, seed)
    if not isinstance(encoder, MaskedModel):
        raise LangueError(f"{name} does not read in both directions; fine-tune bert or albert")
    return encoder
