"""The tensors of Hugging Face's models by the names of langue's: one table for both directions.

What is read is read whole or refused by name: a tensor that no table names, one that is missing, an output
matrix that is not the embedding it is said to be.
"""

from collections.abc import Mapping, Sequence

import torch

from langue.base.errors import Damaged, LangueError, Unsupported

# langue's name of a tensor → Hugging Face's; where they are several, langue's is these one below the other.
Names = Mapping[str, tuple[str, ...]]
Weights = dict[str, torch.Tensor]

# What the first BERTs call the gain and the bias of a norm; transformers renames them too when it reads.
LEGACY = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
BUFFERS = "position_ids"  # the numbers 0, 1, 2 …, which older files hold


def paired(layers: Names) -> dict[str, tuple[str, ...]]:
    """The names of weights and biases from those of layers."""
    return {
        f"{name}.{kind}": tuple(f"{hf_name}.{kind}" for hf_name in group)
        for name, group in layers.items()
        for kind in ("weight", "bias")
    }


def encoder_layer_names(count: int, prefix: str, hf_prefix: str) -> dict[str, tuple[str, ...]]:
    """Of the blocks of an encoder, the names of their linear layers and norms."""
    names: dict[str, tuple[str, ...]] = {}
    for number in range(count):
        target, hf = f"{prefix}.{number}", f"{hf_prefix}.{number}"
        names[f"{target}.attn.c_attn"] = tuple(
            f"{hf}.attention.self.{part}" for part in ("query", "key", "value")
        )
        names[f"{target}.attn.c_proj"] = (f"{hf}.attention.output.dense",)
        names[f"{target}.norm_1"] = (f"{hf}.attention.output.LayerNorm",)
        names[f"{target}.c_fc"] = (f"{hf}.intermediate.dense",)
        names[f"{target}.c_proj"] = (f"{hf}.output.dense",)
        names[f"{target}.norm_2"] = (f"{hf}.output.LayerNorm",)
    return names


def normalize_names(weights: Mapping[str, torch.Tensor], prefix: str, heads: Sequence[str]) -> Weights:
    """The weights of a file by the names of today's transformers.

    Args:
        prefix: of the tensors of the encoder, which a file without heads leaves out.
        heads: prefixes of all else that may be there.
    """
    modern: Weights = {}
    for name, tensor in weights.items():
        for old, new in LEGACY.items():
            if name.endswith(old):
                name = name.removesuffix(old) + new
        if not name.endswith(BUFFERS):
            modern[name] = tensor
    if any(name.startswith(prefix) for name in modern):
        return modern
    return {name if name.startswith(tuple(heads)) else prefix + name: part for name, part in modern.items()}


def check_tied(weights: Weights, name: str, twin: str) -> None:
    """Take out a tensor that is the same as its twin, or stands for it where that is missing.

    Raises:
        Unsupported: the two differ: a model of langue has room for one of them.
    """
    copy = weights.pop(name, None)
    if copy is None:
        return
    if twin not in weights:
        weights[twin] = copy
    elif not torch.equal(copy, weights[twin]):
        raise Unsupported(
            f"{name} differs from {twin}: this model is not tied, and langue has one tensor for both; "
            "tie them in transformers, if one of the two is only a leftover"
        )


def rename_from_hf(names: Names, weights: Mapping[str, torch.Tensor]) -> Weights:
    """langue's tensors of Hugging Face's; what is lacking is left out.

    Raises:
        LangueError: there is a tensor that the table does not name.
    """
    known = {name for group in names.values() for name in group}
    unknown = sorted(name for name in weights if name not in known)
    if unknown:
        raise LangueError(f"these weights are of another model: {', '.join(unknown[:3])}")
    return {
        target: torch.cat([weights[name] for name in group])
        for target, group in names.items()
        if all(name in weights for name in group)
    }


def rename_to_hf(names: Names, state: Mapping[str, torch.Tensor]) -> Weights:
    """Hugging Face's tensors of langue's."""
    return {
        name: part.contiguous()
        for source, group in names.items()
        if source in state
        for name, part in zip(group, state[source].chunk(len(group)), strict=True)
    }


def check_whole(
    expected: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor], names: Names
) -> None:
    """Raise a `LangueError` unless weights, by langue's names, are those that a model has, each of its shape.

    Args:
        expected: of the model; tensors without memory (`meta`) will do.
        names: so that one is told by the name that it has in the file.
    """
    for name in sorted({*expected, *weights}):
        told = names.get(name, (name,))[0]
        if name not in weights:
            raise Damaged(f"the file does not fit the model: it has no {told}")
        if name not in expected:
            raise Damaged(f"the file does not fit the model: {told} is more than its configuration says")
        shapes = tuple(weights[name].shape), tuple(expected[name].shape)
        if shapes[0] != shapes[1]:
            raise Damaged(
                f"the file does not fit the model: {told} is of shape {shapes[0]}, "
                f"and its configuration says {shapes[1]}"
            )
        if not weights[name].is_floating_point():
            type = str(weights[name].dtype).removeprefix("torch.")
            raise Unsupported(f"{told} holds {type}, no weights as they were trained")
