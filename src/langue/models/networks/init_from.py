"""Initializing a network from another of its family: tokens matched by spelling, positions stretched."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from langue.base.errors import Mismatch
from langue.base.progress import log
from langue.models.family import InitFrom, Pretrained
from langue.nn.transfer import match_tokens, mean_rows, resize_positions


def init_network(
    family: str,
    settings: Sequence[str],
    *,
    by_token: Sequence[str],
    by_position: Sequence[str] = (),
    optional: tuple[str, ...] = (),
) -> InitFrom:
    """How the networks of a family are initialized from others.

    Args:
        settings: what a model has in common with the one that it is initialized from, besides its shape.
        by_token, by_position: weights with a row for each token, or position.
        optional: how weights begin that the other may lack; they stay random.
    """

    def complete(source: Pretrained) -> dict[str, Any]:
        if source.family != family:
            raise Mismatch(f"{source.name} is {source.family}; {family} starts from its own kind")
        shape: dict[str, Any] = source.config.shape._asdict()
        return shape | {name: getattr(source.config, name) for name in settings}

    @torch.no_grad()
    def transfer(model: nn.Module, source: Pretrained, spellings: Sequence[bytes]) -> None:
        """Give a model the weights of another.

        Raises:
            Mismatch: the shape is another.
        """
        weights = source.weights()
        vocabulary: Any = model.vocabulary
        matched = match_tokens(spellings, vocabulary.eos, source.tokenizer)
        for name, part in model.named_parameters():
            if name not in weights and name.startswith(optional):
                log.info("%s has no %s: it starts at random", source.name, name)
                continue
            if name not in weights:
                raise Mismatch(f"{source.name} has no {name}: it is of another shape")
            given = weights[name]
            if name in by_token:
                given = mean_rows(given, matched, part)
            elif name in by_position:
                given = resize_positions(given, len(part))
            if given.shape != part.shape:
                shapes = f"{tuple(given.shape)}, not {tuple(part.shape)}"
                raise Mismatch(
                    f"{source.name} has {name} of shape {shapes}; leave layers, width and heads out"
                )
            part.copy_(given)

    return InitFrom(complete, transfer)


INIT_GPT2 = init_network(
    "gpt2",
    (
        "position", "norm", "activation", "qk_norm", "key_value_heads", "d_ff", "bias", "norm_eps",
        "rope_theta", "tied",
    ),
    by_token=("wte.weight", "lm_head.weight"),
    by_position=("wpe.weight",),
)  # fmt: skip
INIT_TRANSFORMER = init_network(
    "transformer", ("norm", "copy_attention"), by_token=("embedding.weight",), optional=("pointer.",)
)
