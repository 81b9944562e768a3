"""Initializing an encoder from another: weights taken over, positions stretched, the vocabulary matched.

What is taken over is of the same family; an ALBERT takes over a BERT too (`from_bert.py`). Every function
here is of settings and tensors: what they are read from is known above (`interop/init_from.py`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from langue.base.errors import Mismatch
from langue.base.progress import log
from langue.models.encoders.base import MaskedModel
from langue.models.encoders.config import MaskedConfig, Shape
from langue.models.family import InitFrom, Pretrained
from langue.nn.transfer import match_tokens, mean_rows, resize_distances, resize_positions
from langue.tokens.masked_batch import Specials

HEADS = ("pooler.", "relation.", "prediction.")  # what may be missing in the source: it stays random
BY_TOKEN = ("embeddings.word.weight", "own.word.weight", "prediction.bias")
BY_POSITION = ("embeddings.position.weight", "own.position.weight", "positions.weight")
BY_DISTANCE = "distances.weight"
Weights = dict[str, torch.Tensor]
# (weights of a model of another family, the model, its name) → weights of this family
Conversion = Callable[[Weights, MaskedModel, str], Weights]


def init_encoder(
    family: str, settings: Sequence[str] = (), conversions: dict[str, Conversion] | None = None
) -> InitFrom:
    """How the encoders of a family are initialized from others.

    Args:
        settings: what else than the shape a model has in common with one of its own family.
        conversions: the weights of other families as weights of this one.
    """
    convert = conversions or {}

    def complete(source: Pretrained) -> dict[str, Any]:
        check_family(source, family, convert)
        taken = shape_of(source.config)
        if source.family == family:
            taken |= {name: getattr(source.config, name) for name in settings}
        return taken

    def transfer(model: MaskedModel, source: Pretrained, spellings: Sequence[bytes]) -> None:
        check_family(source, family, convert)
        weights: Weights = source.weights()
        if source.family != family:
            weights = convert[source.family](weights, model, source.name)
        transfer_weights(model, source, weights, spellings)

    return InitFrom(complete, transfer)


def check_family(source: Pretrained, family: str, convert: dict[str, Conversion]) -> None:
    if source.family != family and source.family not in convert:
        others = "".join(f", and from {name} too" for name in convert)
        raise Mismatch(f"{source.name} is {source.family}; {family} starts from its own kind{others}")


def shape_of(config: MaskedConfig) -> dict[str, Any]:
    """The shape of an encoder, and where its special tokens are."""
    shape: dict[str, Any] = dict(zip(Shape._fields, config.shape, strict=True))
    return shape | {"d_ff": config.d_ff or 4 * config.shape.width, "special_ids": config.special_ids}


@torch.no_grad()
def transfer_weights(
    model: MaskedModel, source: Pretrained, weights: Weights, spellings: Sequence[bytes]
) -> None:
    """Give a model the weights of another of its family.

    Raises:
        Mismatch: the shape is another.
    """
    if source.config.no_mlm_head:  # its head is random, no better than what is there
        weights = {name: part for name, part in weights.items() if not name.startswith("prediction.")}
    matched = match_tokens(spellings, model.vocabulary.eos, source.tokenizer)
    matched += [[] for _ in range(len(matched), len(model.output[0]))]
    for id, there in zip(model.specials, _specials(source), strict=True):
        matched[id] = [there]
    if new := sum(len(rows) != 1 for rows in matched):
        log.info("%d tokens are new to %s and start at the mean of their pieces", new, source.name)
    for name, part in model.state_dict().items():
        if name not in weights:
            if not name.startswith(HEADS):
                raise Mismatch(f"{source.name} has no {name}: it is of another shape")
            log.info("%s has no %s: it starts at random", source.name, name)
            continue
        given = _resized(name, weights[name], part, matched)
        if given.shape != part.shape:
            shapes = f"{tuple(given.shape)}, not {tuple(part.shape)}"
            raise Mismatch(f"{source.name} has {name} of shape {shapes}; leave layers, width and heads out")
        part.copy_(given)


def _resized(
    name: str, given: torch.Tensor, part: torch.Tensor, matched: Sequence[Sequence[int]]
) -> torch.Tensor:
    """A tensor of the source for the vocabulary and the context of the one that it is to be."""
    if name in BY_TOKEN:
        return mean_rows(given, matched, part.cpu())
    if name in BY_POSITION:
        return resize_positions(given, len(part))
    return resize_distances(given, len(part)) if name.endswith(BY_DISTANCE) else given


def _specials(source: Pretrained) -> Specials:
    size = source.tokenizer.vocab_size
    return Specials(*(source.config.special_ids or range(size, size + 3)))
