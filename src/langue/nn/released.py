"""The weights of other makers' models, by one table of names for both directions."""

from collections.abc import Mapping

import torch

from langue.base.errors import LangueError

# Our name of a tensor → theirs; where they are several, ours is these one below the other.
Names = Mapping[str, tuple[str, ...]]
Weights = dict[str, torch.Tensor]


def paired(layers: Names) -> dict[str, tuple[str, ...]]:
    """The names of weights and biases from those of layers."""
    return {
        f"{own}.{kind}": tuple(f"{name}.{kind}" for name in theirs)
        for own, theirs in layers.items()
        for kind in ("weight", "bias")
    }


# What other makers write beside their weights: numbers of places, and copies of the embedding.
COPIES = ("position_ids", "decoder.weight", "decoder.bias")


def rename_from_hf(names: Names, weights: Mapping[str, torch.Tensor]) -> Weights:
    """Ours of theirs; what they lack is left out.

    Raises:
        LangueError: they have a tensor that the table does not name.
    """
    known = {name for theirs in names.values() for name in theirs}
    unknown = [name for name in weights if name not in known and not name.endswith(COPIES)]
    if unknown:
        raise LangueError(f"these weights are of another model: {', '.join(sorted(unknown)[:3])}")
    return {
        own: torch.cat([weights[name] for name in theirs])
        for own, theirs in names.items()
        if all(name in weights for name in theirs)
    }


def rename_to_hf(names: Names, state: Mapping[str, torch.Tensor]) -> Weights:
    """Theirs of ours."""
    return {
        name: part.contiguous()
        for own, theirs in names.items()
        if own in state
        for name, part in zip(theirs, state[own].chunk(len(theirs)), strict=True)
    }
