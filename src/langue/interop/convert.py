"""Model folders from ARPA files and straight from text, and ARPA files from model folders.

From text goes as with `lmplz`: a sentence a line, words between blanks. What `langue prepare
--tokenizer whitespace --documents line` and `langue train` do in two steps and with every check, this
does in one pass over the bytes: nothing is normalized, nothing dropped, a blank line is an empty sentence.
"""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from langue.base.arrays import Array, UInt8Array
from langue.base.config import Config
from langue.base.errors import LangueError, Unsupported
from langue.base.executors import Distribution
from langue.base.files import check_free
from langue.base.progress import bar, log
from langue.base.stages import Executor
from langue.corpus.normalize import Normalization
from langue.interop import arpa
from langue.interop.formats import Export, Format, ImportedModel, save_imported
from langue.interop.kenlm import names_of, padding_of
from langue.interop.texts import map_text
from langue.interop.words import BLANK, Words, after_line, check_lengths, check_utf8, learn
from langue.models.counts.ngram import (
    FAMILY,
    NGramConfig,
    arrays_of,
    levels_of,
    model_of,
    tables_by_stages,
    tables_of,
)
from langue.models.counts.ngram.by_stages import scratch_bytes
from langue.models.counts.ngram.model import NGram
from langue.models.counts.ngram.out_of_core import MEGABYTE
from langue.models.counts.ngram.tables import Tables
from langue.models.counts.ngram.trie import sums_to_one
from langue.models.folder import DESCRIPTION, ModelFolder
from langue.protocols import Vocabulary
from langue.tokens.tokenizer import BEGIN, BLANK_PAD, END, LINE_END, UNK
from langue.tokens.train import CAPITAL_UNK, whitespace
from langue.training.run_folder import only_writer, save_or_keep

STOP, ABSENT, UNKNOWN = 0, 1, 2  # ids of `</s>`, of padding, and of `<unk>`, as the tokenizer has them
SPECIALS = [LINE_END.encode(), BLANK_PAD.encode(), UNK.encode()]  # by id; the first two are no words
_SPACES = bytes(32 if blank else byte for byte, blank in enumerate(BLANK))
BYTES_A_WORD = 5  # of a text, roughly: of English 5 to 6
CHUNK_ENTRIES = 1 << 14  # of a vocabulary, written at a time


def train_text(
    config: Config,
    text: Path,
    output: Path,
    *,
    overwrite: bool = False,
    distribution: Distribution | None = None,
) -> None:
    """Count a text and estimate, and write the model folder.

    Raises:
        LangueError: the text is missing, empty or not UTF-8; the output folder is in the way, or cannot be
            written at the end (the message says where the model was kept).
    """
    assert isinstance(config, NGramConfig)
    with only_writer(output), ExitStack() as stack:
        check_free(output, marker=DESCRIPTION, overwrite=overwrite)
        started = time.perf_counter()
        if distribution is not None:
            job, needed = _job(text, config)
            folder, executor = stack.enter_context(distribution.begin(output, job, needed))
            words, tables = estimated_by_stages(text, config, folder, executor)
        else:
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
    """The words of a text file, the end of a line, padding and `<unk>` first, and its stream, closed by
    `<s>`."""
    with map_text(text) as data:
        return _read(data, text, config)


def _read(data: UInt8Array, text: Path, config: NGramConfig) -> tuple[Words, Array]:
    check_lengths(data, text)
    room = config.memory * MEGABYTE // 2  # of tables of words; the rest is for what is made of them
    aliases = {CAPITAL_UNK.encode(): UNKNOWN}  # in an ARPA file it would be that
    words, stream = learn(data, STOP, SPECIALS, aliases=aliases, memory=room, new=arrays_of(config))
    for mark in (BEGIN, END):
        if words.id(mark.encode()) >= 0:
            raise LangueError(
                f"{text}, line {_first_line(data, mark.encode()):,} has a word {mark}, a mark that is "
                "put at the ends of a sentence when it is read; take it out: "
                "sed -E 's:(^|[[:space:]])</?s>:\\1:g'"
            )
    if len(words) == UNKNOWN + 1 and not (stream[:-1] == UNKNOWN).any():
        raise LangueError(f"{text} holds no words: there is nothing to count")
    return words, stream


def _first_line(data: UInt8Array, word: bytes) -> int:
    """The number of the first line that has a word, in a text that has it."""
    begin, number = 0, 0
    while begin < len(data):
        line, number = data[begin : (end := after_line(data, begin + 1))], number + 1
        if word in line.tobytes().translate(_SPACES).split(b" "):
            break
        begin = end
    return number


def estimated(text: Path, config: NGramConfig) -> tuple[Words, Tables]:
    """Estimate from a text file, over as many words as KenLM counts: those of the text, `</s>`, and one
    for the unknown, for which padding stands where `<unk>` is a word of the text."""
    words, stream = read_text(text, config)
    levels = levels_of(config, stream, len(words))
    del stream  # which the estimate would hold in memory beside its own
    vocabulary = Vocabulary(len(words), STOP)
    return words, tables_of(config, levels, vocabulary, _absent(levels.count))


def _job(text: Path, config: NGramConfig) -> tuple[bytes | None, int]:
    """What tells the estimate of a text by stages from every other, if it can be read again, and the bytes
    that are written on the way."""
    if not text.is_file():
        return None, 0
    status = text.stat()
    job = [str(text.absolute()), status.st_size, status.st_mtime_ns, config]
    return msgspec.msgpack.encode(job), scratch_bytes(config.order, status.st_size // BYTES_A_WORD)


def estimated_by_stages(
    text: Path, config: NGramConfig, folder: Path, executor: Executor
) -> tuple[Words, Tables]:
    """`estimated`, by tasks over files of a folder; the words are looked up here."""
    words, stream = read_text(text, config)
    vocabulary = Vocabulary(len(words), STOP)
    return words, tables_by_stages(config, lambda: stream, vocabulary, folder, executor, _absent)


def _absent(counts: Array) -> int | None:
    """The id that no text holds: padding stands for the unknown where `<unk>` is a word."""
    return None if counts[UNKNOWN] else ABSENT


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
    words = Words.of(SPECIALS + file.words[UNKNOWN + 1 :])
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
        normalization=Normalization(form="none"),  # nothing was changed before it was counted
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

    def named(id: int) -> str:
        return _json({"id": id, "content": BEGIN})[:-1]

    specials = _json({END: STOP, BLANK_PAD: ABSENT, UNK: UNKNOWN})[1:-1]
    empty = whitespace([], marks=True).to_str().replace(named(len(SPECIALS)), named(len(words)))
    before, vocabulary, after = empty.partition(f"{specials},{_json({BEGIN: len(SPECIALS)})[1:-1]}")
    assert vocabulary
    yield f"{before}{specials}".encode()
    for begin in range(len(SPECIALS), len(words), CHUNK_ENTRIES):
        ids = range(begin, min(begin + CHUNK_ENTRIES, len(words)))
        yield f",{_json({words[id].decode(): id for id in ids})[1:-1]}".encode()
    yield f",{_json({BEGIN: len(words)})[1:-1]}{after}".encode()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
