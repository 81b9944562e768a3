"""An ALBERT from a BERT: the embedding factorized, the layers averaged. The second of two stages.

A layer norm takes the mean over channels away and divides by the length, so what a BERT reads is, of each
sum of embeddings, its direction without the mean. The E - 1 strongest directions of the tables (by their
singular values) become channels of ALBERT's embedding that have mean zero, so that its own norm does the
same there, and `widen` turns them back. With as many channels as BERT has, both read the same. Letters: V
rows of all tables, C channels, E channels of the embedding.
"""

from collections.abc import Mapping

import torch

from langue.base.errors import Mismatch
from langue.models.encoders.base import MaskedModel

TABLES = ("word", "position", "part")
Weights = dict[str, torch.Tensor]
POSITION = "embeddings.position.weight"


def factorized_bert(weights: Weights, model: MaskedModel, name: str) -> Weights:
    """The weights of a BERT of that name as those of an ALBERT.

    Raises:
        Mismatch: one of the two has no absolute positions.
    """
    if POSITION not in weights or POSITION not in model.state_dict():
        raise Mismatch(f"{name} and an albert that starts from it need absolute positions, both of them")
    return factorized(weights, model.output[0].shape[1])


def factorized(weights: Mapping[str, torch.Tensor], E: int) -> Weights:
    """The weights of an ALBERT by those of a BERT; of its heads the pooler and the bias of the tokens.

    Args:
        weights: a BERT's, by our names.
        E: width of ALBERT's embedding.
    """
    centered = {
        name: table - table.mean(1, keepdim=True)
        for name, table in ((name, weights[f"embeddings.{name}.weight"].double()) for name in TABLES)
    }
    turn = _turn(torch.cat(list(centered.values())), E)  # (C, E)
    albert = {f"embeddings.{name}.weight": (table @ turn).float() for name, table in centered.items()}
    albert["embeddings.norm.weight"], albert["embeddings.norm.bias"] = torch.ones(E), torch.zeros(E)
    gain = weights["embeddings.norm.weight"].double()
    albert["widen.weight"] = (gain[:, None] * turn * (len(turn) / E) ** 0.5).float()
    albert["widen.bias"] = weights["embeddings.norm.bias"]
    layers: dict[str, list[torch.Tensor]] = {}
    for name, tensor in weights.items():
        if name.startswith("layers."):
            layers.setdefault(name.split(".", 2)[2], []).append(tensor)
        elif name.startswith("pooler.") or name == "prediction.bias":
            albert[name] = tensor
    return albert | {f"layer.{name}": torch.stack(every).mean(0) for name, every in layers.items()}


def _turn(rows: torch.Tensor, E: int) -> torch.Tensor:
    """Takes rows `(V, C)` of mean zero to their strongest directions in E channels of mean zero: `(C, E)`."""
    _, directions = torch.linalg.eigh(rows.T @ rows)  # (C, C), the strongest last: right singular vectors
    ones_first = torch.cat([torch.ones(E, 1), torch.eye(E)[:, : E - 1]], 1).double()
    apart = torch.linalg.qr(ones_first)[0][:, 1:]  # (E, E - 1): orthonormal, each of mean zero
    strongest = directions.flip(1)[:, : E - 1]
    turn: torch.Tensor = strongest @ apart[:, : strongest.shape[1]].T
    return turn
