"""Tokenizers: lossless and closed over bytes, so that no model ever meets an unknown word.

Each is a Hugging Face `tokenizer.json` over the byte-level alphabet (Radford et al. 2019, section
2.2): a text is its UTF-8 bytes, and what a vocabulary lacks is spelled in bytes. The one exception
is `whitespace`, a closed vocabulary with `<unk>` for published perplexities.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as HFTokenizer

from langue.base.arrays import Ids, Int64Array
from langue.base.errors import LangueError
from langue.base.files import atomic_file
from langue.base.groups import group_by_size
from langue.base.scripts import HAN
from langue.tokens.known_words import KnownWords, goes_by_words
from langue.tokens.stream_decoder import StreamDecoder
from langue.tokens.tokenizer_parts import (
    find_id,
    find_special,
    find_special_id,
    is_byte_level,
    kind_of,
    marks_of,
    names_of,
)
from langue.tokens.utf8 import WellFormed
from langue.tokens.words import segment

EOS, PAD, UNK, SEP = "<eos>", "<pad>", "<unk>", "<sep>"
# What other makers call the end of a document and padding; the first that a file has is taken.
# Where words are what stands between blanks, `<eos>` may be one; names that none can have are these.
LINE_END, BLANK_PAD = "\n", f"{PAD} "
BEGIN, END = "<s>", "</s>"  # the marks of KenLM
EOS_NAMES = (EOS, "<|endoftext|>", END, "<|end_of_text|>", "<|im_end|>", "[SEP]", LINE_END)
PAD_NAMES = (PAD, "<|padding|>", "[PAD]", "<|finetune_right_pad_id|>", BLANK_PAD)

CHUNK_CHARACTERS = 1 << 18  # characters encoded at a time: some 150 bytes a token are held meanwhile
WINDOW = 1 << 16  # characters further in which a place to cut is looked for
# Where a long text may be cut without changing a token, the surer first: every kind has a boundary at
# blanks, and all that spell any text have one between marks, letters and digits.
_AT_BLANKS = re.compile(r"(?<=\S)(?= \S)|(?<=\S\n)(?=\S)")
_LETTER = "A-Za-z\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff"
_AT_MARKS = re.compile(
    f"(?<=[。！？，、；：,;:)）」』”>])(?=[{_LETTER}])|(?<=[{_LETTER}])(?=[0-9])|(?<=[0-9])(?=[{_LETTER}])"
)
# Word pieces before which no blank is written: Chinese has none.
_NO_BLANK = re.compile(f"[{HAN}\u3001-\u303f\uff01-\uff60]+")
_PROBE = "A  b\n\tİx ﬁ ▁Ġ#中文，\u3000é\u0301🙂\u200b <eos> [UNK]"  # what lossy tokenizers stumble over


def _bytes_of_alphabet() -> dict[str, int]:
    """Which byte a character of the byte-level alphabet stands for."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


BYTE_OF = _bytes_of_alphabet()


class Tokenizer:
    """Texts to ids and back.

    Attributes:
        kind: `bpe`, `unigram`, `wordpiece`, `words`, `chars`, `bytes` or `whitespace`.
        vocab_size: ids run from 0 to `vocab_size` - 1.
        begin: id after the last, of a `<s>` in a text, which no model foretells; None where it is a word.
        eos: id of the end of a document; never the id of text, even of a literal "<eos>".
        pad: id that never occurs in text; `eos`, where the file has none.
        closed: the vocabulary is closed or the tokenizer loses text, so there are no bits per byte.
    """

    def __init__(self, hf: HFTokenizer) -> None:
        self.vocab_size = hf.get_vocab_size(with_added_tokens=True)  # what writes it counts up to the last id
        self._names = names_of(hf, self.vocab_size)
        hf.no_padding()
        hf.no_truncation()
        hf.encode_special_tokens = True
        self._hf = hf
        self.eos = find_special(hf, EOS_NAMES)
        # GPT-2's has none: an id more would be one that its model has no row for.
        self.pad = find_id(hf, PAD_NAMES, self.eos)
        self.kind = kind_of(hf)
        self.begin: int | None = None
        if self.kind == "whitespace" and find_special_id(hf, (BEGIN,)) == self.vocab_size - 1:
            self.begin = self.vocab_size = self.vocab_size - 1
        self._byte_level = is_byte_level(hf)
        self._known_words = KnownWords(hf) if goes_by_words(hf) else None
        self._marks = marks_of(hf)
        added = hf.get_added_tokens_decoder()
        self._specials = {self.eos, self.pad, *(id for id, token in added.items() if token.special)}
        self._added = {id: token.content for id, token in added.items() if id not in self._specials}
        # Each is tried: some can read no text, for their unknown word is none of their words.
        self.closed = self._loses_text() or self.kind == "whitespace"

    def _loses_text(self) -> bool:
        spelled = b"".join(self._spell(id) for id in self.encode(_PROBE).tolist())
        return spelled.decode(errors="replace") != _PROBE

    # What takes a large vocabulary as long as to read it is made when it is asked for.

    @cached_property
    def fingerprint(self) -> str:
        """It changes with any change of the tokenizer."""
        return hashlib.sha256(self._hf.to_str().encode()).hexdigest()

    @cached_property
    def _token_bytes(self) -> list[bytes]:
        return [self._spell(id) for id in range(self.vocab_size + (self.begin is not None))]

    def with_separator(self) -> "tuple[Tokenizer, int]":
        """The tokenizer with an id that ends the source of a pair, which no text can have; and that id."""
        names = chain([SEP], (f"{SEP[:-1]} {number}>" for number in count(2)))
        name = next(name for name in names if self._hf.get_vocab(with_added_tokens=False).get(name) is None)
        if (id := find_id(self._hf, [name], -1)) in self._specials:
            return self, id
        hf = HFTokenizer.from_str(self._hf.to_str())
        hf.add_special_tokens([name])
        return Tokenizer(hf), find_id(hf, [name], -1)

    def encode(self, text: str) -> Ids:
        """Ids of a text, `(tokens,)`, with no `<eos>` added."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """`encode` of many texts, on every core."""
        parts_of: list[list[Ids]] = [[] for _ in texts]
        pieces = ((owner, piece) for owner, text in enumerate(texts) for piece in self.pieces(text))
        for batch in group_by_size(pieces, lambda owned: len(owned[1]), CHUNK_CHARACTERS):
            for (owner, _), ids in zip(batch, self._encode([piece for _, piece in batch]), strict=True):
                parts_of[owner].append(ids)
        return [np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in parts_of]

    def pieces(self, text: str) -> Iterator[str]:
        """A text in pieces of bounded length, encoded one by one: its own length costs no memory.

        No token is changed by that unless a "word" is longer than a piece, as is 1 MB of `acgt`: it is cut.
        """
        yield from cut(text, marks=self.kind != "whitespace")

    def encode_with_spans(self, text: str) -> tuple[Ids, Int64Array]:
        """Ids of a text, and where each token's bytes lie in its UTF-8: `(tokens, 2)`, [start, end)."""
        if not self.closed:
            ids = self.encode(text)
            ends = np.cumsum([len(self._token_bytes[id]) for id in ids], dtype=np.int64)
            return ids, np.stack([np.r_[0, ends[:-1]], ends], 1) if len(ids) else np.empty((0, 2), np.int64)
        parts, spans, begin = [], [], 0
        for piece in self.pieces(text):
            encoding = self._hf.encode(piece, add_special_tokens=False)
            sizes = [len(character.encode()) for character in piece]
            starts = np.r_[0, np.cumsum(sizes, dtype=np.int64)] + begin
            parts.append(np.array(encoding.ids, np.uint32))
            spans.append(starts[np.array(encoding.offsets, np.int64).reshape(-1, 2)])
            begin = int(starts[-1])
        return np.concatenate(parts), np.concatenate(spans)

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of ids; special tokens are skipped, bytes that are not UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode(errors="replace")

    def decode_bytes(self, ids: npt.ArrayLike) -> bytes:
        return b"".join(self._token_bytes[int(id)] for id in np.asarray(ids).reshape(-1))

    def token_bytes(self, id: int) -> bytes:
        """The bytes a token stands for; nothing for a special token."""
        return self._token_bytes[id]

    @cached_property
    def well_formed(self) -> WellFormed:
        """Which tokens may be written one after another: text that is UTF-8, and the end of a document."""
        never = self._specials - {self.eos}
        return WellFormed([None if id in never else token for id, token in enumerate(self.spellings())])

    def name(self, id: int) -> str:
        """An entry of the vocabulary, spelled as `tokenizer.json` spells it."""
        known = 0 <= id < len(self._names)  # else it may be one that was added here
        return (self._names[id] if known else self._hf.id_to_token(id)) or f"<{id}>"

    def id(self, name: str) -> int:
        """The id of an entry, by its `name`; -1: there is none."""
        id = self._hf.token_to_id(name)
        return -1 if id is None else int(id)

    def names(self) -> list[str]:
        """`name` of every id."""
        return [self.name(id) for id in range(self.vocab_size)]

    def spellings(self) -> list[bytes]:
        """`token_bytes` of every id."""
        return self._token_bytes[: self.vocab_size]

    @cached_property
    def ordinary(self) -> Ids:
        """The ids that text is made of: all but the special ones."""
        return np.array([id for id in range(self.vocab_size) if id not in self._specials], np.uint32)

    @cached_property
    def complete(self) -> Ids:
        """The ids of text that stand for whole characters: a token alone that may be shown."""
        return np.array([id for id in self.ordinary if _is_utf8(self._token_bytes[id])], np.uint32)

    def stream(self, after: str = "") -> StreamDecoder:
        """A decoder for ids that come one at a time, and continue a text."""
        return StreamDecoder(self, after)

    def save(self, path: Path) -> None:
        with atomic_file(path) as file:
            file.write(self._hf.to_str(pretty=True).encode())

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Read a `tokenizer.json`, langue's or another maker's.

        Raises:
            LangueError: the file is missing or is no tokenizer.
        """
        try:
            return cls(HFTokenizer.from_str(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise LangueError(f"cannot read {path}: {error.strerror or error}") from error
        except BaseException as error:
            if not _is_of_the_file(error):
                raise
            raise LangueError(f"{path} is not a tokenizer.json: {error}") from error

    def _encode(self, texts: list[str]) -> list[Ids]:
        if self._known_words is not None and (known := self._known_words.encode(texts)) is not None:
            return known
        if self.kind != "words":
            encodings = self._hf.encode_batch_fast(texts, add_special_tokens=False)
        else:
            splitter = self._hf.pre_tokenizer[0]
            words = [words_of(text, splitter) for text in texts]
            encodings = self._hf.encode_batch_fast(words, is_pretokenized=True, add_special_tokens=False)
        return [np.array(encoding.ids, np.uint32) for encoding in encodings]

    def _spell(self, id: int) -> bytes:
        token = self._names[id]
        if id in self._specials:
            if self.kind == "whitespace" and id != self.pad and not token.startswith(SEP[:-1]):
                return b"\n" if id == self.eos else token.encode() + b" "
            return b""
        if id in self._added:
            return self._added[id].encode()
        if self._byte_level and BYTE_OF.keys() >= set(token):
            return bytes(BYTE_OF[character] for character in token)
        if self.kind == "whitespace":
            return token.encode() + b" "
        if match := re.fullmatch("<0x([0-9A-F]{2})>", token):  # byte fallback
            return bytes.fromhex(match[1])
        blank, inner, last, alone = self._marks
        word = token.removeprefix(inner).removesuffix(last)
        before = " " if alone or (inner and not token.startswith(inner)) else ""
        after = " " if last and token.endswith(last) else ""
        return (word if _NO_BLANK.fullmatch(word) else before + word.replace(blank, " ") + after).encode()


def _is_utf8(token: bytes) -> bool:
    try:
        return bool(token.decode())
    except UnicodeDecodeError:
        return False


def _is_of_the_file(error: BaseException) -> bool:
    """Whether an error is one of the file, where the library says bare `Exception` or panics; not of ours."""
    if isinstance(error, Exception):
        return type(error) is Exception or isinstance(error, LangueError | UnicodeDecodeError)
    return not isinstance(error, KeyboardInterrupt | SystemExit)


def encode_texts(tokenizer: Tokenizer, documents: Sequence[tuple[str, ...]], sep: int | None) -> list[Ids]:
    """Ids of documents, of one text or the two of a pair, with `sep` after a source; no `<eos>` is added."""
    encoded = iter(tokenizer.encode_batch([text for texts in documents for text in texts]))
    joined = []
    for texts in documents:
        ids = next(encoded)
        if len(texts) > 1:
            assert sep is not None
            ids = np.concatenate([ids, np.array([sep], np.uint32), next(encoded)])
        joined.append(ids)
    return joined


def words_of(text: str, splitter: Any) -> list[str]:
    """Pieces of a text for `words`: those of the pattern, with runs of Han characters cut into words."""
    pieces = [piece for piece, _ in splitter.pre_tokenize_str(text)]
    return [word for piece in pieces for word in (segment(piece) if _is_han(piece) else (piece,))]


_HAN_ONLY = re.compile(f"[{HAN}]{{2,}}")


def _is_han(piece: str) -> bool:
    return _HAN_ONLY.fullmatch(piece) is not None


def cut(text: str, *, marks: bool = True) -> Iterator[str]:
    """A text in pieces of about `CHUNK_CHARACTERS`, cut where every kind has a token boundary if it can be.

    Args:
        marks: whether a boundary is also between marks, letters and digits: not for words between blanks.
    """
    start = 0
    patterns = (_AT_BLANKS, _AT_MARKS) if marks else (_AT_BLANKS,)
    while len(text) - start > CHUNK_CHARACTERS:
        end = start + CHUNK_CHARACTERS
        boundaries = (pattern.search(text, end, end + WINDOW) for pattern in patterns)
        if boundary := next(filter(None, boundaries), None):
            end = boundary.start()
        elif len(text) - end <= WINDOW:
            break
        yield text[start:end]
        start = end
    yield text[start:]
