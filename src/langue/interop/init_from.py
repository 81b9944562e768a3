"""Initializing a new model from another: the setting `init_from`, resolved before a configuration is decoded.

What it names is a model folder, or anything that `langue import` reads. Its shape completes the `[model]`
table where the user gives none; its weights are handed over once the model is built. So a configuration holds
numbers and opens no file. How the models of a family take over others is told by `Family.init_from`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from langue.base.checksums import verify_files
from langue.base.config import decode, field_names
from langue.base.errors import NotFound, Unsupported
from langue.interop import formats
from langue.models.family import Family, Pretrained
from langue.models.folder import DESCRIPTION, describe
from langue.models.registry import family as lookup
from langue.tokens.store import TOKENIZER, TokenStore
from langue.tokens.tokenizer import Tokenizer

SETTING = "init_from"  # of a `[model]` table


class InitFromSetting:
    """What the setting of one recipe comes to, for a model that is trained on a token store.

    Args:
        data: the store, opened where it is needed.
    """

    def __init__(self, data: Path) -> None:
        self.data = data
        self.path: Path | None = None  # of the source, once `complete` has met the setting
        self.family: Family[Any] | None = None

    def complete(self, family: Family[Any], table: Mapping[str, Any]) -> dict[str, Any]:
        """A `[model]` table, with what its user left out taken from the source.

        Raises:
            LangueError: nothing is there to be read, or this family takes over no such model.
        """
        completed, path = dict(table), table.get(SETTING)
        if not path or not isinstance(path, str) or SETTING not in field_names(family.config):
            return completed  # for `decode` to say what is wrong
        assert family.init_from is not None
        self.path, self.family = Path(path), family
        for name, value in family.init_from.complete(pretrained(self.path)).items():
            if name == "special_ids" and self._stand_for_text(value):
                continue
            if _left_out(table, name):
                completed[name] = value
        return completed

    def _stand_for_text(self, ids: tuple[int, ...]) -> bool:
        """Whether special ids of another vocabulary are ordinary tokens of that of the store."""
        if not ids:
            return False
        ordinary = set(self._tokenizer.ordinary.tolist())
        return any(id in ordinary for id in ids)

    @property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.load(TokenStore(self.data).path / TOKENIZER)

    def initialize(self, model: Any) -> None:
        """Give a new model the weights of the source, if there is one; equal on every rank.

        Raises:
            LangueError: the source is damaged, or its shape is another.
        """
        if self.path is None:
            return
        assert self.family is not None and self.family.init_from is not None
        self.family.init_from.transfer(model, pretrained(self.path), self._tokenizer.spellings())


def _left_out(table: Mapping[str, Any], name: str) -> bool:
    """Whether a table leaves a setting to its default: 0 does so too."""
    value = table.get(name)
    return value is None or (not isinstance(value, bool | str) and value in (0, [], ()))


def pretrained(path: Path) -> Pretrained:
    """The model of a model folder, or of what langue imports.

    Raises:
        LangueError: neither is there.
    """
    if (path / DESCRIPTION).is_file():
        return _of_folder(path)
    try:
        formats.recognize(path)
    except (NotFound, Unsupported):
        describe(path)  # which says that it is no model folder either
        raise
    imported = formats.read(path)
    return Pretrained(
        str(path), imported.family.name, imported.config, imported.model.state_dict, imported.tokenizer
    )


def _of_folder(path: Path) -> Pretrained:
    description = describe(path)
    family = lookup(description.family)
    config = decode(family.config, description.config, f"{path / DESCRIPTION}: config", stored=True)

    def weights() -> dict[str, Any]:
        from langue.nn.weights import read_weights  # torch, which a recipe without the setting does without

        verify_files(path, description.files)
        return read_weights(path)

    return Pretrained(str(path), family.name, config, weights, Tokenizer.load(path / TOKENIZER))
