"""What a `tokenizer.json` is made of: its kind, its special tokens, how its entries are spelled."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tokenizers import Tokenizer as HFTokenizer

from langue.base.errors import LangueError

# `words`: a word with the space before it, so that nothing is lost; a run of Han characters is cut
# further by the segmenter. `chars`: one character.
WORDS = (
    r"\p{Han}+"
    r"| ?[[\p{L}\p{M}]&&[^\p{Han}]]+(?:['’][[\p{L}\p{M}]&&[^\p{Han}]]+)*"
    r"| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]|\s+(?!\S)|\s"
)
CHARS = r"[\s\S]"


class Marks(NamedTuple):
    """How the entries of a vocabulary tell where blanks are."""

    blank: str  # stands for one: `▁king`
    inner: str  # what begins a piece within a word, `##s`; nothing: no such mark
    last: str  # what ends the last piece of a word, `s</w>`; nothing: no such mark
    alone: bool  # no mark tells, and nothing joins: the library puts one between all


def marks_of(hf: HFTokenizer) -> Marks:
    parts = [part for component in (hf.pre_tokenizer, hf.decoder) for part in _parts(_table(component))]
    blank = next((part["replacement"] for part in parts if part["type"] == "Metaspace"), None)
    inner, last = (
        getattr(hf.model, name, None) or "" for name in ("continuing_subword_prefix", "end_of_word_suffix")
    )
    alone = hf.decoder is None and not (blank or inner or last)
    return Marks(blank or "▁", inner, last, alone)


def _table(component: Any) -> dict[str, Any] | None:
    """A component of a tokenizer as its file has it, without the vocabulary; None: there is none."""
    return None if component is None else json.loads(component.__getstate__())


def _parts(part: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """A part of a `tokenizer.json`, or the parts of a sequence."""
    if part is None:
        return
    yield part
    for inner in (*part.get("pretokenizers", ()), *part.get("decoders", ())):
        yield from _parts(inner)


def names_of(hf: HFTokenizer, size: int) -> list[str]:
    """How the file spells each id, `(size,)`.

    Raises:
        LangueError: an id is not below that.
    """
    names = [""] * size
    for name, id in hf.get_vocab(with_added_tokens=True).items():
        if id >= size:
            raise LangueError(f"its ids do not run from 0 to {size - 1}")
        names[id] = name
    # Where two entries have one id another has none, and the library knows which of the two it takes.
    return [hf.id_to_token(id) or "" for id in range(size)] if "" in names else names


def find_special(hf: HFTokenizer, names: Sequence[str]) -> int:
    """The first of these special tokens that a file has; if it has none, the first is added."""
    if (id := find_id(hf, names, -1)) >= 0:
        return id
    hf.add_special_tokens([names[0]])
    return find_special(hf, names)


def find_id(hf: HFTokenizer, names: Sequence[str], otherwise: int) -> int:
    ids = (hf.token_to_id(name) for name in names)
    named = next((int(id) for id in ids if id is not None), otherwise)
    return find_special_id(hf, names, named)  # else it may be a word


def find_special_id(hf: HFTokenizer, names: Sequence[str], otherwise: int = -1) -> int:
    special = {token.content: id for id, token in hf.get_added_tokens_decoder().items() if token.special}
    return next((special[name] for name in names if name in special), otherwise)


def kind_of(hf: HFTokenizer) -> str:
    """Kind of a tokenizer, told by its parts: the file has no room for a name."""
    model, parts = type(hf.model).__name__, repr(hf.pre_tokenizer)
    if model == "WordLevel":
        return "whitespace"
    if model == "BPE" and _first_pattern(hf) == WORDS:
        return "words"
    if model == "BPE" and _first_pattern(hf) == CHARS:
        return "bytes" if hf.get_vocab_size(with_added_tokens=False) <= 258 else "chars"
    return {"BPE": "bpe", "Unigram": "unigram", "WordPiece": "wordpiece"}.get(model, parts)


def _first_pattern(hf: HFTokenizer) -> str | None:
    parts = (_table(hf.pre_tokenizer) or {}).get("pretokenizers") or [{}]
    return parts[0].get("pattern", {}).get("Regex")


def is_byte_level(hf: HFTokenizer) -> bool:
    """Whether tokens are spelled in the byte-level alphabet: by the parts, for a vocabulary may lack some."""
    parts = (hf.decoder, hf.pre_tokenizer)
    return any(part is not None and b'"ByteLevel"' in part.__getstate__() for part in parts)
