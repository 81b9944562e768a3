"""Model folders from ARPA files and straight from text, and ARPA files from model folders.

From text goes as with `lmplz`: a sentence a line, words between blanks. What `langue prepare
--tokenizer whitespace --documents line` and `langue train` do in two steps and with every check, this
does in one pass over the bytes: nothing is normalized, nothing dropped, a blank line is an empty sentence.
"""

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from langue.base.arrays import Array
from langue.base.config import Config
from langue.base.errors import LangueError, Unsupported
from langue.base.files import check_free
from langue.base.progress import bar, log
from langue.interop import arpa
from langue.interop.formats import Export, Format, ImportedModel, save_imported
from langue.interop.kenlm import names_of, padding_of
from langue.interop.words import Words, check_utf8, learn, map_bytes
from langue.models.counts.ngram import FAMILY, NGramConfig, arrays_of, levels_of, model_of, tables_of
from langue.models.counts.ngram.model import NGram
from langue.models.counts.ngram.out_of_core import MEGABYTE
from langue.models.counts.ngram.tables import Tables
from langue.models.counts.ngram.trie import sums_to_one
from langue.models.folder import DESCRIPTION, ModelFolder
from langue.protocols import Vocabulary
from langue.tokens.tokenizer import EOS, PAD, UNK
from langue.tokens.train import whitespace
from langue.training.run_folder import only_writer, save_or_keep

STOP, ABSENT, UNKNOWN = 0, 1, 2  # ids of `</s>`, of padding, and of `<unk>`, as the tokenizer has them
CHUNK_ENTRIES = 1 << 14  # of a vocabulary, written at a time


def train_text(config: Config, text: Path, output: Path, *, overwrite: bool = False) -> None:
    """Count a text and estimate, and write the model folder.

    Raises:
        LangueError: the text is missing, empty or not UTF-8; the output folder is in the way, or cannot be
            written at the end (the message says where the model was kept).
    """
    assert isinstance(config, NGramConfig)
    with only_writer(output):
        check_free(output, marker=DESCRIPTION, overwrite=overwrite)
        started = time.perf_counter()
        with bar("counting (ngram)"):
            words, tables = estimated(text, config)
        log.info(
            "%s: a sentence a line, words between blanks, nothing held out; such a model has perplexities "
            "and no bits per byte",
            text,
        )
        measured = {"seconds": round(time.perf_counter() - started, 3)}
        save = partial(
            save_imported, _model(tables, words, config), origin=f"text {text.name}", measured=measured
        )
        save_or_keep(output, save, overwrite=overwrite)


def read_text(text: Path, config: NGramConfig) -> tuple[Words, Array]:
    """The words of a text file, `<eos>`, `<pad>` and `<unk>` first, and its stream, closed by `<s>`."""
    data = map_bytes(text)
    check_utf8(data, text)
    room = config.memory * MEGABYTE // 2  # of tables of words; the rest is for what is made of them
    names = [name.encode() for name in (EOS, PAD, UNK)]
    words, stream = learn(data, STOP, names, memory=room, new=arrays_of(config))
    if len(words) == UNKNOWN + 1 and not (stream[:-1] == UNKNOWN).any():
        raise LangueError(f"{text} holds no words: there is nothing to count")
    return words, stream


def estimated(text: Path, config: NGramConfig) -> tuple[Words, Tables]:
    """Estimate from a text file, over as many words as KenLM counts: those of the text, `</s>`, and one
    for the unknown, for which padding stands where `<unk>` is a word of the text."""
    words, stream = read_text(text, config)
    levels = levels_of(config, stream, len(words))
    del stream  # which the estimate would hold in memory beside its own
    absent = None if levels.count[UNKNOWN] else ABSENT
    return words, tables_of(config, levels, Vocabulary(len(words), STOP), absent)


def read_arpa(path: Path) -> ImportedModel:
    """The model of an ARPA file.

    Raises:
        LangueError: the file is missing or damaged (the line is named).
    """
    with bar("reading ARPA"):
        file = arpa.read(path)
    try:
        config = msgspec.convert({"order": file.tables.order}, NGramConfig)
        if not sums_to_one(file.tables, path, len(file.words)):
            log.warning("%s: what words have after a context does not sum to one", path)
            config = msgspec.structs.replace(config, smoothing="arpa")
    except msgspec.ValidationError:
        raise Unsupported(f"{path} has order {file.tables.order}; langue's n-grams reach to 8") from None
    if EOS.encode() in file.words:
        raise Unsupported(
            f"{path} has a word {EOS}, by which langue's tokenizers end a text; ask it as it is, by "
            "langue.interop.kenlm, or give the word another name"
        )
    words = Words.of([name.encode() for name in (EOS, PAD, UNK)] + file.words[UNKNOWN + 1 :])
    check_utf8(words.blob, path)
    return _model(file.tables, words, config)


def write_arpa(source: ModelFolder[Any], output: Path, overwrite: bool) -> Export:
    """Write an n-gram model folder as an ARPA file, gzipped if its name ends in `.gz`.

    Raises:
        LangueError: the file exists (and not `overwrite`), or the disk refuses.
    """
    if output.exists() and not overwrite:
        raise LangueError(f"{output} already exists; choose another name, or pass --overwrite")
    model: NGram = source.model
    with bar("writing ARPA"):
        count = arpa.write(output, model.tables, names_of(source.tokenizer), padding=padding_of(source))
    return Export(output, "arpa", {"ngrams": count})


def _model(tables: Tables, words: Words, config: NGramConfig) -> ImportedModel:
    """A model with a whitespace tokenizer of these words."""
    return ImportedModel(
        family=FAMILY,
        config=config,
        model=model_of(config, Vocabulary(len(words), STOP), tables),
        tokenizer_json=lambda: tokenizer_json(words),
        documents="line",
    )


FORMAT = Format(
    name="arpa",
    summary="an ARPA file of KenLM, SRILM and others, gzipped or not",
    families=(FAMILY.name,),
    recognizes=Path.is_file,  # whatever it is not, its reader says
    read=read_arpa,
    write=write_arpa,
)


def tokenizer_json(words: Words) -> Iterator[bytes]:
    """`tokenizer.json` of a whitespace tokenizer, as the library writes it, in a quarter of its time and in
    pieces: it would be the largest thing in memory."""
    vocabulary = f'"vocab":{_json({EOS: STOP, PAD: ABSENT, UNK: UNKNOWN})}'
    before, vocabulary, after = whitespace([]).to_str().partition(vocabulary)
    assert vocabulary
    yield f'{before}"vocab":{{'.encode()
    for begin in range(0, len(words), CHUNK_ENTRIES):
        ids = range(begin, min(begin + CHUNK_ENTRIES, len(words)))
        entries = _json({words[id].decode(): id for id in ids})[1:-1]
        yield f"{',' if begin else ''}{entries}".encode()
    yield f"}}{after}".encode()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
