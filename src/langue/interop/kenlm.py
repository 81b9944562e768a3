"""The Python surface of the `kenlm` module over langue's tables, and what its users lacked: batches.

    import langue.interop.kenlm as kenlm
    model = kenlm.Model("model.arpa")           # or a folder that langue wrote
    model.score("this is a sentence", bos=True, eos=True)     # log10
    model.scores(sentences)                                   # many at once, many times faster

Differs from the module in this: a state is a number, which means nothing to another model, and files of
`build_binary` are not read.
"""

import math
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence, Set
from functools import total_ordering
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from langue.base.arguments import check_path, check_text
from langue.base.arrays import Array, Float64Array, UInt8Array
from langue.base.errors import InvalidSetting, LangueError, Mismatch
from langue.base.parallel import parallel_map
from langue.evaluation.score import finite
from langue.interop import arpa
from langue.interop.words import Words, after_line
from langue.models.counts.ngram.model import NGram
from langue.models.counts.ngram.score import line_totals, score, score_marks, sums_of, totals
from langue.models.counts.ngram.tables import Tables
from langue.models.folder import DESCRIPTION, ModelFolder, load
from langue.protocols import Vocabulary
from langue.tokens.tokenizer import UNK, Tokenizer

BREAKS = re.compile("[\x00\t\n\r ]")  # what ends a word in an ARPA file; other white space does not
CHUNK_NAMES = 1 << 12  # of a vocabulary, looked at together
CHUNK_BYTES = 1 << 17  # bytes of text scored at a time: what is made of them stays in the cache
PART_BYTES = 4 * CHUNK_BYTES  # of text that one thread scores: it takes the room for a chunk only once


class FullScoreReturn(NamedTuple):
    """The score of one word."""

    log_prob: float  # log10
    ngram_length: int  # words of the n-gram that was found
    oov: bool


@total_ordering
class State:
    """The context a word is read in: comparable and hashable; equal states have equal futures.

    Args:
        node: a number that the model knows; -1: no context, which every model has.
        model: what that model is told apart by; 0 where there is no context.
    """

    def __init__(self, node: int = -1, model: int = 0) -> None:
        self.node = node
        self.model = model

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and (self.node, self.model) == (other.node, other.model)

    def __hash__(self) -> int:
        return hash((self.node, self.model))

    def __lt__(self, other: "State") -> bool:
        return (self.model, self.node) < (other.model, other.node)

    def __copy__(self) -> "State":
        return State(self.node, self.model)


class LoadMethod:
    """How the module maps a file of `build_binary`: names to write programs with, which change nothing."""

    LAZY, POPULATE_OR_LAZY, POPULATE_OR_READ, READ, PARALLEL_READ = range(5)


class ARPALoadComplain:
    """Of what the module warns while it reads ARPA files: names that change nothing."""

    ALL, EXPENSIVE, NONE = range(3)


class Config:
    """What the module can be told of loading. A model here is mapped and quiet whatever stands in it."""

    def __init__(self) -> None:
        self.load_method = LoadMethod.POPULATE_OR_READ
        self.arpa_complain = ARPALoadComplain.NONE
        self.show_progress = False


class Query(NamedTuple):
    """What `query` sums up of a text; sums are of log10 probabilities."""

    total: float
    oov_total: float  # of the words that are not in the vocabulary
    oovs: int
    tokens: int  # ends of sentences included

    @property
    def perplexity(self) -> float:
        """Per token, words that are not in the vocabulary included."""
        return float(10 ** (-self.total / self.tokens)) if self.tokens else math.nan

    @property
    def known_perplexity(self) -> float:
        """Per token that is in the vocabulary."""
        known = self.tokens - self.oovs
        return float(10 ** (-(self.total - self.oov_total) / known)) if known else math.nan

    def to_json(self) -> dict[str, float | None]:
        return {
            "perplexity": finite(self.perplexity),
            "known_perplexity": finite(self.known_perplexity),
            "oovs": self.oovs,
            "tokens": self.tokens,
        }

    def __str__(self) -> str:
        return (
            f"Perplexity including OOVs:\t{self.perplexity}\n"
            f"Perplexity excluding OOVs:\t{self.known_perplexity}\n"
            f"OOVs:\t{self.oovs}\nTokens:\t{self.tokens}"
        )


class Model:
    """An n-gram model, asked in words.

    Args:
        path: an ARPA file, gzipped or not, or a model folder of the families `ngram`; a folder whose
            tokenizer is not `whitespace` takes sentences of its tokens, as `langue export` names them.

    Raises:
        LangueError: nothing is there, it is no n-gram model, or no entry stands for unknown words.
    """

    def __init__(self, path: Path | str | bytes, config: "Config | None" = None) -> None:
        self._path = check_path("path", os.fsdecode(path) if isinstance(path, bytes) else path)
        # As the module has it, whose users decode it.
        self.path = os.path.abspath(os.fsencode(self._path))  # noqa: PTH100  # Path knows no bytes
        if (self._path / DESCRIPTION).is_file():
            self._take(load(self._path, verify=False))  # as the module: mapped, and ready at once
        elif self._path.is_dir():
            raise LangueError(f"{self._path} is neither an ARPA file nor a model folder (no {DESCRIPTION})")
        else:
            file = arpa.read(self._path)
            self._set(file.tables, file.words, arpa.PADDING)

    @classmethod
    def of(cls, folder: ModelFolder[Any]) -> "Model":
        """The model of a folder that is open."""
        model = cls.__new__(cls)
        model._path, model.path = folder.path, os.fsencode(folder.path.absolute())
        model._take(folder)
        return model

    def _take(self, folder: ModelFolder[Any]) -> None:
        if not isinstance(folder.model, NGram):
            raise LangueError(f"{folder.path} is no n-gram model")
        self._set(folder.model.tables, names_of(folder.tokenizer), padding_of(folder))

    def _set(self, tables: Tables, names: list[bytes], padding: int | None) -> None:
        # Padding has no name by which a text could ask for it.
        spelled = [b"" if id == padding else name for id, name in enumerate(names)]
        self.vocabulary = Words.of([*spelled, arpa.BEGIN])
        self.end = names.index(arpa.END)
        if arpa.UNKNOWN not in names:
            raise LangueError(
                f"{self._path}: its tokenizer has neither {UNK} nor padding to score unknown words by; "
                "measure it with langue evaluate, or train it on a store of langue's own tokenizer"
            )
        self.unknown = names.index(arpa.UNKNOWN)
        self._model = NGram(Vocabulary(len(names), self.end), tables)
        self.tables = self._model.tables
        # Two models of one file are one, and know each other's states.
        self._number = zlib.crc32(self.tables.log_prob[: len(names)].data, len(self.tables.suffix)) or 1

    @property
    def order(self) -> int:
        return self.tables.order

    def __contains__(self, word: str | bytes) -> bool:
        return self.vocabulary.id(_as_bytes(word)) not in (-1, self.unknown)

    def score(self, sentence: str | bytes, bos: bool = True, eos: bool = True) -> float:
        """log10 probability of a sentence, words between blanks."""
        log_probs, _, _ = self._full(sentence, bos, eos)
        return float(log_probs.sum(dtype=np.float64)) / math.log(10)

    def full_scores(
        self, sentence: str | bytes, bos: bool = True, eos: bool = True
    ) -> Iterator[FullScoreReturn]:
        """Of each word, and of the end: log10 probability, length of the n-gram found, out of vocabulary?"""
        for log_prob, length, oov in zip(*self._full(sentence, bos, eos), strict=True):
            yield FullScoreReturn(float(log_prob) / math.log(10), int(length), bool(oov))

    def perplexity(self, sentence: str | bytes) -> float:
        """10 to the -log10 probability a word, the end of the sentence counted as one."""
        log_probs, _, _ = self._full(sentence, bos=True, eos=True)
        return float(10.0 ** (-log_probs.sum(dtype=np.float64) / math.log(10) / len(log_probs)))

    def scores(self, sentences: Sequence[str]) -> Float64Array:
        """`score` of many sentences at once: `(sentences,)`."""
        joined = "\n".join(sentences)
        if joined.count("\n") != max(len(sentences) - 1, 0):
            joined = "\n".join(sentence.replace("\n", " ") for sentence in sentences)
        if not sentences:
            return np.empty(0)
        data = np.frombuffer(f"{joined}\n".encode(), np.uint8)

        def sums(part: UInt8Array) -> Array:
            by_chunk = []
            for _, begins, log_probs in self._scored(part):
                by_chunk.append(np.empty(len(begins) - 1))
                sums_of(begins, log_probs, by_chunk[-1])
            return np.concatenate(by_chunk)

        return np.concatenate(_in_parts(sums, data)) / math.log(10)

    def line_totals(self, text: bytes) -> tuple[Float64Array, Array, Array]:
        """Of each line of a text: the sum of natural logs, its tokens (the end is one), and unknown words."""
        totals_of, tokens_of, unknowns_of = [], [], []
        for stream, begins, log_probs in self._scored(np.frombuffer(text, np.uint8)):
            sums, unknowns = np.empty(len(begins) - 1), np.empty(len(begins) - 1, np.int64)
            line_totals(stream, begins, self.unknown, log_probs, sums, unknowns)
            totals_of.append(sums)
            tokens_of.append(np.diff(begins) - 1)
            unknowns_of.append(unknowns)
        return np.concatenate(totals_of), np.concatenate(tokens_of), np.concatenate(unknowns_of)

    def query(self, data: bytes | UInt8Array, *, threads: int | None = None) -> Query:
        """What `query` of KenLM prints of a text, a sentence a line; threads are `parallel_map`'s workers."""
        text = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data

        unknown = self.unknown

        def sums(part: UInt8Array) -> Array:
            by_chunk = (
                totals(stream, begins, unknown, log_probs) for stream, begins, log_probs in self._scored(part)
            )
            together: Array = np.sum(list(by_chunk), axis=0)
            return together

        parts = _in_parts(sums, text, threads)
        total, oov_total, oovs, tokens = np.sum(parts, axis=0) if parts else np.zeros(4)
        return Query(float(total) / math.log(10), float(oov_total) / math.log(10), int(oovs), int(tokens))

    def BeginSentenceWrite(self, state: State) -> None:  # noqa: N802  # as the module has it
        """Make `state` that of the beginning of a sentence."""
        self._become(state, self._model.begin)

    def NullContextWrite(self, state: State) -> None:  # noqa: N802
        """Make `state` that of no context."""
        self._become(state, -1)

    def BaseScore(self, in_state: State, word: str | bytes, out_state: State) -> float:  # noqa: N802
        """log10 probability of a word in a state; `out_state` becomes the state after it."""
        return self.BaseFullScore(in_state, word, out_state).log_prob

    def BaseFullScore(self, in_state: State, word: str | bytes, out_state: State) -> FullScoreReturn:  # noqa: N802
        """`BaseScore` with the length of the n-gram found."""
        id = self.vocabulary.id(_as_bytes(word))
        id = id if id >= 0 else self.unknown
        if not isinstance(in_state, State) or in_state.model != (self._number if in_state.node != -1 else 0):
            raise Mismatch("the state is one of another model; begin with BeginSentenceWrite of this one")
        after, log_probs, lengths = self._model.advance(np.array([in_state.node]), np.array([id]))
        self._become(out_state, int(after[0]))
        return FullScoreReturn(float(log_probs[0]) / math.log(10), int(lengths[0]), id == self.unknown)

    def _become(self, state: State, node: int) -> None:
        state.node, state.model = node, self._number if node != -1 else 0

    def _full(self, sentence: str | bytes, bos: bool, eos: bool) -> tuple[Array, Array, Array]:
        """Natural logs, lengths, and out of vocabulary, of each word."""
        line = np.frombuffer(_as_bytes(sentence).replace(b"\n", b" ") + b"\n", np.uint8)
        stream = self._encode(line)[0][0 if bos else 1 :]
        if not eos:
            stream = stream[:-1]
        first = 1 if bos else 0
        log_probs, lengths = score(self.tables, stream, workers=1)
        score_marks(self.tables, stream, np.array([first - 1, len(stream)]), log_probs, lengths)
        return log_probs[first:], lengths[first:], stream[first:] == self.unknown

    def _scored(self, text: UInt8Array) -> Iterator[tuple[Array, Array, Array]]:
        """A text in blocks: the stream of each, where lines begin in it, and log-probabilities. The next
        block takes the room of the stream."""
        room = np.empty(4 * min(CHUNK_BYTES, len(text)) + 3, np.uint32)
        for block in _blocks(text, CHUNK_BYTES):
            stream, begins = self._encode(block, room)
            log_probs, lengths = score(self.tables, stream, workers=1)
            score_marks(self.tables, stream, begins, log_probs, lengths)
            yield stream, begins, log_probs

    def _encode(self, data: UInt8Array, room: Array | None = None) -> tuple[Array, Array]:
        start = self._model.vocabulary.size
        return self.vocabulary.encode(data, unknown=self.unknown, start=start, stop=self.end, room=room)


LanguageModel = Model  # by which the examples of the module call it


def _as_bytes(text: str | bytes) -> bytes:
    try:
        return text if isinstance(text, bytes) else check_text("what is to be scored", text).encode()
    except UnicodeEncodeError as error:
        raise InvalidSetting(f"what is to be scored has half of a character at {error.start}") from None


def padding_of(folder: ModelFolder[Any]) -> int | None:
    """The entry that stands for padding and for no word, where a model has one in its tables."""
    tokenizer, tables = folder.tokenizer, folder.model.tables
    if tokenizer.kind != "whitespace" or tokenizer.pad == tokenizer.eos:
        return None
    if "imported" in folder.description.measured:
        # Where it has a probability, the file had it as a word.
        return tokenizer.pad if tables.log_prob[tokenizer.pad] == -math.inf else None
    return tokenizer.pad if arpa.stands_alone(tables, tokenizer.pad) else None


def names_of(tokenizer: Tokenizer) -> list[bytes]:
    """What ARPA files call the entries of a tokenizer, by id.

    The end of a document is `</s>`. `<unk>` is the entry of that name or, where a tokenizer spells
    whatever comes and needs none, its padding, which stands in no text. An entry that looks like one of
    ARPA's own, or holds white space, is changed; a backslash then keeps it apart from all others.
    """
    names = tokenizer.names()
    unknown = names.index(UNK) if tokenizer.kind == "whitespace" else tokenizer.pad
    reserved = {name.decode() for name in (arpa.BEGIN, arpa.END, arpa.UNKNOWN, arpa.CAPITAL_UNKNOWN)}
    taken = reserved | set(names)
    special = {unknown: arpa.UNKNOWN.decode(), tokenizer.eos: arpa.END.decode()}
    for id in _to_look_at(names, reserved | {names[id] for id in special}):
        name = names[id]
        if id in special:
            names[id] = special[id]
        elif name in reserved or BREAKS.search(name):
            changed = BREAKS.sub(lambda match: f"\\u{ord(match[0]):04x}", name)
            while changed in taken:
                changed = f"\\{changed}"
            taken.add(changed)
            names[id] = changed
    return [name.encode() for name in names]


def _to_look_at(names: Sequence[str], rare: Set[str]) -> Iterator[int]:
    """The ids of names among which may be one of the rare ones or with white space: of most there is none."""
    for begin in range(0, len(names), CHUNK_NAMES):
        chunk = names[begin : begin + CHUNK_NAMES]
        if not rare.isdisjoint(chunk) or BREAKS.search("".join(chunk)):
            yield from range(begin, begin + len(chunk))


def _in_parts(
    work: Callable[[UInt8Array], Array], text: UInt8Array, threads: int | None = None
) -> list[Array]:
    """`work` on whole lines of a text, about `PART_BYTES` bytes of them at a time."""
    return parallel_map(work, _blocks(text, PART_BYTES), workers=threads)


def _blocks(data: UInt8Array, size: int) -> Iterator[UInt8Array]:
    """A text in pieces of whole lines, of about so many bytes."""
    begin = 0
    while begin < len(data):
        end = after_line(data, min(begin + size, len(data)))
        yield data[begin:end]
        begin = end
