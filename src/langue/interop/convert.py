"""Model folders from ARPA files and straight from text, and ARPA files from model folders.

From text goes as with `lmplz`: a sentence a line, words between blanks. What `langue prepare
--tokenizer whitespace --documents line` and `langue train` do in two steps and with every check, this
does in one pass over the bytes: nothing is normalised, nothing dropped, a blank line is an empty sentence.
"""

import hashlib
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np

from langue.base.config import Config, encode
from langue.base.errors import LangueError
from langue.base.files import check_free, read_bytes
from langue.base.progress import bar
from langue.corpus.normalise import Normalisation
from langue.interop import arpa
from langue.interop.kenlm import names_of
from langue.interop.words import Bytes, Words, learn
from langue.models.folder import DESCRIPTION, load, save
from langue.models.ngram import FAMILY, NGramConfig, model_of, tables_of
from langue.models.ngram.counts import Numbers, count
from langue.models.ngram.model import NGram
from langue.models.ngram.tables import Tables
from langue.models.protocol import Vocabulary
from langue.tokens.store import TOKENIZER
from langue.tokens.tokenizer import EOS, PAD, UNK, Tokenizer
from langue.tokens.train import whitespace

STOP, ABSENT, UNKNOWN = 0, 1, 2  # ids of `</s>`, of padding, and of `<unk>`, as the tokenizer has them
_SPECIALS = f"{EOS} {PAD} {UNK}\n".encode()


def train_text(config: Config, text: Path, output: Path, *, overwrite: bool = False) -> None:
    """Count a text and estimate, and write the model folder.

    Raises:
        LangueError: the text is missing, empty or not UTF-8; the output folder is in the way.
    """
    assert isinstance(config, NGramConfig)
    check_free(output, marker=DESCRIPTION, overwrite=overwrite)
    started = time.perf_counter()
    with bar("counting (ngram)"):
        words, tables = estimated(text, config)
    measured = {"seconds": round(time.perf_counter() - started, 3)}
    entries = [words[id].decode() for id in range(UNKNOWN + 1, len(words))]
    _write(output, tables, entries, config, f"text {text.name}", measured, overwrite)


def read_text(text: Path) -> tuple[Words, Numbers]:
    """The words of a text file, `<eos>`, `<pad>` and `<unk>` first, and its stream, closed by `<s>`."""
    data = _SPECIALS + read_bytes(text)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        place = error.start - len(_SPECIALS)
        raise LangueError(f"{text} is not UTF-8: byte {place}; convert it, for example with iconv") from None
    if not data[len(_SPECIALS) :].strip():
        raise LangueError(f"{text} holds no words: there is nothing to count")
    words, stream = learn(_ended(data), STOP)
    return words, stream[len(_SPECIALS.split()) + 2 :]


def estimated(text: Path, config: NGramConfig) -> tuple[Words, Tables]:
    """Estimate from a text file, over as many words as KenLM counts: those of the text, `</s>`, and one
    for the unknown, for which padding stands where `<unk>` is a word of the text."""
    if config.memory:
        raise LangueError(f"{text} is read whole; for a ceiling of memory, prepare a store of it first")
    words, stream = read_text(text)
    levels = count(stream, len(words), config.order)
    del stream  # which the estimate would hold in memory beside its own
    absent = None if levels.count[UNKNOWN] else ABSENT
    return words, tables_of(config, levels, Vocabulary(len(words), STOP), absent)


def import_arpa(path: Path, output: Path, *, overwrite: bool = False) -> None:
    """Write the model of an ARPA file as a model folder.

    Raises:
        LangueError: the file is missing or damaged (the line is named); the output is in the way.
    """
    check_free(output, marker=DESCRIPTION, overwrite=overwrite)
    started = time.perf_counter()
    with bar("reading ARPA"):
        found = arpa.read(path)
    try:
        config = msgspec.convert({"order": found.tables.order}, NGramConfig)
        entries = [word.decode() for word in found.words[UNKNOWN + 1 :]]
    except msgspec.ValidationError:
        raise LangueError(f"{path} has order {found.tables.order}; langue's n-grams reach to 8") from None
    except UnicodeDecodeError:
        raise LangueError(f"{path} is not UTF-8; convert it, for example with iconv") from None
    measured = {"seconds": round(time.perf_counter() - started, 3)}
    _write(output, found.tables, entries, config, f"ARPA file {path.name}", measured, overwrite)


def export_arpa(folder: Path, output: Path, *, overwrite: bool = False) -> int:
    """Write an n-gram model folder as an ARPA file, gzipped if its name ends in `.gz`.

    Returns:
        How many n-grams were written.

    Raises:
        LangueError: no n-gram model is there; the file exists (and not `overwrite`).
    """
    if output.exists() and not overwrite:
        raise LangueError(f"{output} already exists; choose another name, or pass --overwrite")
    model = load(folder).model
    if not isinstance(model, NGram):
        raise LangueError(f"{folder} is no n-gram model; only those have an ARPA form")
    with bar("writing ARPA"):
        arpa.write(output, model.tables, names_of(Tokenizer.load(folder / TOKENIZER)))
    return len(model.tables.suffix)


def _write(
    output: Path,
    tables: Tables,
    entries: list[str],
    config: NGramConfig,
    origin: str,
    measured: dict[str, Any],
    overwrite: bool,
) -> None:
    """A model folder with a whitespace tokenizer of these entries."""
    tokenizer = tokenizer_json(entries)
    model = model_of(config, Vocabulary(len(entries) + UNKNOWN + 1, STOP), tables)
    with TemporaryDirectory() as folder:
        (Path(folder) / TOKENIZER).write_text(tokenizer, encoding="utf-8")
        save(
            output,
            family=FAMILY,
            config=config,
            model=model,
            store=Path(folder),
            manifest={
                "tokenizer": {"fingerprint": hashlib.sha256(tokenizer.encode()).hexdigest()},
                "normalisation": encode(Normalisation()),
                "fingerprint": origin,
            },
            recipe={"family": FAMILY.name, "model": encode(config)},
            measured=measured,
            card=f"# ngram: {FAMILY.summary}\n\n{len(tables.suffix):,} n-grams of order {tables.order}, "
            f"from the {origin}.\n\nMade with langue.\n",
            overwrite=overwrite,
        )


def tokenizer_json(entries: list[str]) -> str:
    """`tokenizer.json` of a whitespace tokenizer, as the library writes it, in a quarter of its time."""
    empty = whitespace([]).to_str()
    numbered = {entry: id for id, entry in enumerate([EOS, PAD, UNK, *entries])}
    place = f'"vocab":{_json({EOS: STOP, PAD: ABSENT, UNK: UNKNOWN})}'
    assert place in empty
    return empty.replace(place, f'"vocab":{_json(numbered)}')


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _ended(data: bytes) -> Bytes:
    """With a line end at the end, which a last line may lack."""
    return np.frombuffer(data if data.endswith(b"\n") else data + b"\n", np.uint8)
