"""How far back a recurrent model learns: the gradient by distance in time (Bengio et al. 1994).

The gradient of the loss of one token, -log p, with respect to the vector that was read d steps before:
where its norm is nothing, no training can teach the model to use a word that far back. The vanishing
gradient, measured.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from langue.base.arrays import Floats, Ids
from langue.base.deprecated import renamed_property
from langue.base.errors import LangueError, Unsupported
from langue.evaluation.documents import StoredDocuments, split_of
from langue.models.folder import ModelFolder
from langue.protocols import RecurrentCausal
from langue.tokens.store import Split, TokenStore

TOKENS = 256  # tokens whose loss is looked at, spread over the split: the mean is good to some 5 %
SHOWN = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000)
COLUMNS = 40  # of the largest bar
FLOOR = 1e-3  # shares below this have no bar


@dataclass(frozen=True)
class Gradients:
    """Of one model: `norms[d]` is the mean norm at distance d; 0 is the token read last."""

    name: str
    tokens: int
    norms: Floats

    places = renamed_property("places", "tokens")

    @property
    def reach(self) -> int:
        """The last distance at which the norm is a hundredth of that at 0, or more."""
        return int(np.flatnonzero(self.norms >= self.norms[0] / 100)[-1])

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.name,
            "tokens": self.tokens,
            "places": self.tokens,  # its name in earlier versions
            "reach": self.reach,
            "norms": self.norms.tolist(),
        }

    def __str__(self) -> str:
        lines = [
            f"{self.name}: mean norm over {self.tokens} tokens",
            "distance  norm      share of that at 0",
        ]
        for distance in (shown for shown in SHOWN if shown < len(self.norms)):
            norm, share = self.norms[distance], self.norms[distance] / self.norms[0]
            bar = "█" * round(COLUMNS * (1 + np.log10(max(share, FLOOR)) / -np.log10(FLOOR)))
            lines.append(f"{distance:8}  {norm:.2e}  {share:8.2%}  {bar}".rstrip())
        end = "or more: try a longer --distance" if self.reach == len(self.norms) - 1 else "tokens back"
        return "\n".join([*lines, f"a hundredth is left {self.reach} {end}"])


def measure(
    loaded: ModelFolder[Any], store: TokenStore, *, split: str = "test", distance: int = 100
) -> Gradients:
    """The gradients of a recurrent model on a split.

    Args:
        distance: how far back to look.

    Raises:
        LangueError: the model is not recurrent, or no document of the split is longer than `distance`.
    """
    model = loaded.model
    if not isinstance(model, RecurrentCausal):
        raise Unsupported(
            f"{loaded.path} is of the family {loaded.family.name}, which has no state that a gradient "
            "goes back through; take a model of rnn or charcnn"
        )
    documents = StoredDocuments(store, split)
    ids = split_of(documents, loaded)
    runs = _runs(ids, distance + 2)
    return Gradients(loaded.path.name, len(runs), model.gradient_by_distance(runs))


def _runs(split: Split, length: int) -> Ids:
    """Runs of so many tokens, each within one document, spread over the split: `(runs, length)`."""
    sizes = np.diff(split.offsets.astype(np.int64))
    room = np.maximum(sizes - length + 1, 0)  # places where a run may begin
    if not room.any():
        raise LangueError(
            f"no document of the {split.name} split has {length} tokens (the longest has {sizes.max()}); "
            f"try --distance {max(int(sizes.max()) - 2, 0)}"
        )
    chosen = np.unique(np.linspace(0, room.sum() - 1, TOKENS).astype(np.int64))
    ends = np.cumsum(room)
    document = np.searchsorted(ends, chosen, side="right")
    starts = split.offsets.astype(np.int64)[document] + chosen - (ends - room)[document]
    runs: Ids = split.tokens[starts[:, None] + np.arange(length)].astype(np.int64)
    return runs
