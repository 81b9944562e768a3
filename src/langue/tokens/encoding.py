"""The last stage of a preparation: the kept documents of each part as token ids, and the parts as a store."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from langue.base.parallel import parallel_map
from langue.base.progress import bar
from langue.corpus.parts import Row, part_names, read_part, unpack, write_part
from langue.corpus.split import SPLITS
from langue.tokens.store import COUNTS, TOKENIZER, StoreWriter, token_dtype
from langue.tokens.tokenizer import Tokenizer, encode_texts
from langue.tokens.words import count_words

CODING = "coding"  # a file of a folder of stages: a `Coding`
LOST = 255  # instead of the number of a split: the row is not kept


class Coding(msgspec.Struct):
    """How documents are encoded, beside the tokenizer."""

    vocabulary_size: int
    eos: int
    sep: int | None  # of pairs


class Encoded(msgspec.Struct):
    """Documents of a part in one split: arrays as in the files of a store, but lengths instead of offsets."""

    tokens: bytes
    lengths: bytes
    sizes: bytes
    words: bytes


def encode(number: int, folder: Path) -> None:
    """A task: the kept documents of a part as token ids."""
    name = part_names(folder)[number]
    coding = read_part(folder / CODING, Coding)
    rows = read_part(folder / "texts" / name, list[Row])
    splits = read_part(folder / "kept" / name, bytes)
    tokenizer = _load_tokenizer(folder / TOKENIZER, (folder / TOKENIZER).stat().st_mtime_ns)
    encoded = {}
    for index, split in enumerate(SPLITS):
        if kept := [row for row, own in zip(rows, splits, strict=True) if own == index]:
            encoded[split] = _encode(kept, tokenizer, coding)
    write_part(folder / "ids" / name, encoded)


@lru_cache(1)
def _load_tokenizer(path: Path, version: int) -> Tokenizer:
    """Once for each process, and each version of the file."""
    return Tokenizer.load(path)


def _encode(rows: list[Row], tokenizer: Tokenizer, coding: Coding) -> Encoded:
    texts = [tuple(map(unpack, row.texts)) for row in rows]
    # The library lets go of the interpreter, and words are counted meanwhile.
    work: list[Callable[[], Any]] = [
        lambda: encode_texts(tokenizer, texts, coding.sep),
        lambda: [sum(map(count_words, own)) for own in texts],
    ]
    encoded, words = parallel_map(lambda part: part(), work)
    dtype = token_dtype(coding.vocabulary_size)
    eos = np.array([coding.eos], dtype)
    documents = [np.concatenate([ids.astype(dtype), eos]) for ids in encoded]
    return Encoded(
        np.concatenate(documents).tobytes(),
        np.array([len(document) for document in documents], COUNTS).tobytes(),
        np.array([sum(map(len, row.texts)) for row in rows], COUNTS).tobytes(),
        np.array(words, COUNTS).tobytes(),
    )


def append_parts(folder: Path, writer: StoreWriter) -> None:
    """Write the parts of a folder into a store, one after another."""
    names = part_names(folder)
    with bar("writing", total=len(names)) as progress:
        for name in names:
            for split, encoded in read_part(folder / "ids" / name, dict[str, Encoded]).items():
                writer.append(
                    split,
                    np.frombuffer(encoded.tokens, token_dtype(writer.vocabulary_size)),
                    lengths=np.frombuffer(encoded.lengths, COUNTS),
                    bytes=np.frombuffer(encoded.sizes, COUNTS),
                    words=np.frombuffer(encoded.words, COUNTS),
                )
            progress.advance()
