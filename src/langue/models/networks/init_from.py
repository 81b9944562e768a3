"""Initializing a GPT-2 from another: tokens matched by what they spell, positions stretched."""

from collections.abc import Sequence
from typing import Any

import torch

from langue.base.errors import Mismatch
from langue.models.family import InitFrom, Pretrained
from langue.nn.transfer import match_tokens, mean_rows, resize_positions
from langue.nn.windowed import Windowed

# What a model has in common with the one that it is initialized from, besides its shape.
OPTIONS = (
    "position", "norm", "activation", "qk_norm", "key_value_heads", "d_ff", "bias", "norm_eps", "rope_theta",
    "tied",
)  # fmt: skip
BY_TOKEN, BY_POSITION = ("wte.weight", "lm_head.weight"), "wpe.weight"


def complete(source: Pretrained) -> dict[str, Any]:
    """The shape of a GPT-2, and its options."""
    if source.family != "gpt2":
        raise Mismatch(f"{source.name} is {source.family}; gpt2 starts from its own kind")
    shape: dict[str, Any] = source.config.shape._asdict()
    return shape | {name: getattr(source.config, name) for name in OPTIONS}


@torch.no_grad()
def transfer(model: Windowed, source: Pretrained, spellings: Sequence[bytes]) -> None:
    """Give a model the weights of another.

    Raises:
        Mismatch: the shape is another.
    """
    weights = source.weights()
    matched = match_tokens(spellings, model.vocabulary.eos, source.tokenizer)
    for name, part in model.state_dict().items():
        if name not in weights:
            raise Mismatch(f"{source.name} has no {name}: it is of another shape")
        given = weights[name]
        if name in BY_TOKEN:
            given = mean_rows(given, matched, part)
        elif name == BY_POSITION:
            given = resize_positions(given, len(part))
        if given.shape != part.shape:
            shapes = f"{tuple(given.shape)}, not {tuple(part.shape)}"
            raise Mismatch(f"{source.name} has {name} of shape {shapes}; leave layers, width and heads out")
        part.copy_(given)


INIT_GPT2 = InitFrom(complete, transfer)
