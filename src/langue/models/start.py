"""Starting an encoder from another: weights taken over, positions stretched, the vocabulary matched.

Tokens are matched by the bytes they spell. A token the other vocabulary lacks starts at the mean of the
tokens that vocabulary spells it with.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from langue.base.errors import LangueError
from langue.base.files import verify_files
from langue.base.progress import log
from langue.models.folder import describe
from langue.models.layers.masked import MaskedModel
from langue.models.layers.weights import WEIGHTS
from langue.tokens.masked import Specials
from langue.tokens.store import TOKENIZER
from langue.tokens.tokenizer import Tokenizer

HEADS = ("pooler.", "relation.", "prediction.")  # what may be missing there: it stays random
BY_TOKEN = ("embeddings.word.weight", "prediction.bias")
POSITIONS = "embeddings.position.weight"


@torch.no_grad()
def start_from(model: MaskedModel, folder: Path, *, family: str, specials: Specials | None) -> None:
    """Give a model the weights of a model folder of the same family.

    Args:
        specials: ids of the special tokens there; None: after its text.

    Raises:
        LangueError: no such model is there, or its shape is another.
    """
    description = describe(folder)
    if description.family != family:
        raise LangueError(f"{folder} is {description.family}; {family} starts from its own kind")
    verify_files(folder, description.files)
    theirs = load_file(folder / WEIGHTS)
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    old = specials or Specials(*range(tokenizer.vocab_size, tokenizer.vocab_size + 3))
    sources = _sources(model, tokenizer, old)
    new = sum(len(rows) != 1 for rows in sources)
    if new:
        log.info("%d tokens are new to %s and start at the mean of their pieces", new, folder)
    for name, own in model.state_dict().items():
        if name not in theirs:
            if not name.startswith(HEADS):
                raise LangueError(f"{folder} has no {name}: it is of another shape")
            log.info("%s has no %s: it starts at random", folder, name)
            continue
        found = theirs[name]
        if name in BY_TOKEN:
            found = torch.stack(
                [found[rows].mean(0) if rows else row for rows, row in zip(sources, own.cpu(), strict=False)]
            )
        elif name == POSITIONS:
            found = stretched(found, len(own))
        if found.shape != own.shape:
            shapes = f"{tuple(found.shape)}, not {tuple(own.shape)}"
            raise LangueError(f"{folder} has {name} of shape {shapes}; leave layers, width and heads out")
        own.copy_(found)


def stretched(positions: torch.Tensor, T: int) -> torch.Tensor:
    """A table of positions for a context of `T`: cut, or drawn out between its ends."""
    if len(positions) >= T:
        return positions[:T]
    longer = F.interpolate(positions.T[None], size=T, mode="linear", align_corners=True)  # (1, C, T)
    return longer[0].T


def _sources(model: MaskedModel, old: Tokenizer, specials: Specials) -> list[list[int]]:
    """For each id of the model, the ids there that its row is the mean of; none: it stays random."""
    spellings: Sequence[bytes] = model.vocabulary.spellings
    by_spelling = {token: id for id, token in reversed(list(enumerate(old.spellings()))) if token}
    found = [_pieces(token, by_spelling, old) for token in spellings]
    # Special tokens of the text have no spelling: the end of a document, and by their place the others.
    for id, token in enumerate(spellings):
        if not token and id < old.vocab_size and not old.token_bytes(id):
            found[id] = [id]
    if model.vocabulary.eos < len(found):
        found[model.vocabulary.eos] = [old.eos]
    found += [[] for _ in range(len(found), model.output[0].shape[0])]
    for own, theirs in zip(model.specials, specials, strict=True):
        found[own] = [theirs]
    return found


def _pieces(token: bytes, by_spelling: dict[bytes, int], old: Tokenizer) -> list[int]:
    if not token:
        return []
    if token in by_spelling:
        return [by_spelling[token]]
    return [int(id) for id in old.encode(token.decode(errors="ignore"))]
