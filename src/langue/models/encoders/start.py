"""Starting an encoder from another: weights taken over, positions stretched, the vocabulary matched.

What one starts from is a model folder or a folder of Hugging Face, of the same family; an ALBERT starts from
a BERT too (`from_bert.py`). Tokens are matched by the bytes they spell. A token the other vocabulary lacks
starts at the mean of the tokens that vocabulary spells it with.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from langue.base.config import encode, with_new_names
from langue.base.errors import LangueError
from langue.base.files import verify_files
from langue.base.progress import log
from langue.models.encoders.base import MaskedModel
from langue.models.encoders.from_bert import factorized
from langue.models.encoders.released import hf_shape, is_hf_folder, read_hf
from langue.models.folder import DESCRIPTION, Description, describe
from langue.models.registry import family as lookup
from langue.nn.released import Weights
from langue.nn.weights import WEIGHTS
from langue.tokens.masked_batch import Specials
from langue.tokens.store import TOKENIZER
from langue.tokens.tokenizer import Tokenizer

HEADS = ("pooler.", "relation.", "prediction.")  # what may be missing there: it stays random
BY_TOKEN = ("embeddings.word.weight", "own.word.weight", "prediction.bias")
BY_POSITION = ("embeddings.position.weight", "own.position.weight", "positions.weight")
BY_DISTANCE = "distances.weight"


class Source(NamedTuple):
    """What a model starts from."""

    family: str
    config: dict[str, Any]
    weights: Weights
    tokenizer: Tokenizer

    @property
    def specials(self) -> Specials:
        size = self.tokenizer.vocab_size
        return Specials(*(self.config.get("special_ids") or range(size, size + 3)))


def settings_of(folder: Path) -> dict[str, Any]:
    """The settings of what stands in a folder, as `model.json` has them.

    Raises:
        LangueError: neither a model folder nor one of Hugging Face that langue reads.
    """
    return hf_shape(folder)[1] if _released(folder) else _settings(describe(folder))


def _settings(description: Description) -> dict[str, Any]:
    return with_new_names(lookup(description.family).config, description.config, None)


def _released(folder: Path) -> bool:
    return is_hf_folder(folder) and not (folder / DESCRIPTION).is_file()


def _source(folder: Path) -> Source:
    if _released(folder):
        found = read_hf(folder)
        weights: Weights = found.model.state_dict()
        if found.model.no_mlm_head:  # its head is random, no better than what is there
            weights = {name: part for name, part in weights.items() if not name.startswith("prediction.")}
        return Source(found.family.name, encode(found.config), weights, found.tokenizer)
    description = describe(folder)
    verify_files(folder, description.files)
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    return Source(description.family, _settings(description), load_file(folder / WEIGHTS), tokenizer)


@torch.no_grad()
def start_from(model: MaskedModel, folder: Path, *, family: str) -> None:
    """Give a model the weights of a folder.

    Raises:
        LangueError: no such model is there, or its family or shape is another.
    """
    source = _source(folder)
    theirs = _as(family, source, model, folder)
    sources = _sources(model, source)
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
        elif name in BY_POSITION:
            found = stretched(found, len(own))
        elif name.endswith(BY_DISTANCE):
            found = lengthened(found, len(own))
        if found.shape != own.shape:
            shapes = f"{tuple(found.shape)}, not {tuple(own.shape)}"
            raise LangueError(f"{folder} has {name} of shape {shapes}; leave layers, width and heads out")
        own.copy_(found)


def _as(family: str, source: Source, model: MaskedModel, folder: Path) -> Weights:
    """The weights of a source as those of a family."""
    if source.family == family:
        return source.weights
    if (source.family, family) != ("bert", "albert"):
        raise LangueError(
            f"{folder} is {source.family}; {family} starts from its own kind, and albert from bert too"
        )
    place = "embeddings.position.weight"
    if place not in source.weights or place not in model.state_dict():
        raise LangueError(f"{folder} and an albert that starts from it need absolute positions, both of them")
    return factorized(source.weights, model.output[0].shape[1])


def stretched(positions: torch.Tensor, T: int) -> torch.Tensor:
    """A table of positions for a context of `T`: cut, or drawn out between its ends."""
    if len(positions) >= T:
        return positions[:T]
    longer = F.interpolate(positions.T[None], size=T, mode="linear", align_corners=True)  # (1, C, T)
    return longer[0].T


def lengthened(distances: torch.Tensor, rows: int) -> torch.Tensor:
    """A table of distances for a longer context, or a shorter one: near distances keep their vectors, and
    those beyond the old ends have those of the ends, which they counted as before."""
    K, old = rows // 2, len(distances) // 2
    return distances[(torch.arange(-K, K) + old).clamp(0, 2 * old - 1)]


def _sources(model: MaskedModel, source: Source) -> list[list[int]]:
    """For each id of the model, the ids there that its row is the mean of; none: it stays random."""
    old = source.tokenizer
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
    for own, theirs in zip(model.specials, source.specials, strict=True):
        found[own] = [theirs]
    return found


def _pieces(token: bytes, by_spelling: dict[bytes, int], old: Tokenizer) -> list[int]:
    if not token:
        return []
    if token in by_spelling:
        return [by_spelling[token]]
    return [int(id) for id in old.encode(token.decode(errors="ignore"))]
