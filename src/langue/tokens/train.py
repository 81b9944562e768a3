"""Training a vocabulary on a sample of a corpus: the `[tokenizer]` section of a recipe.

The sample is bounded and a pure function of the texts, so training is deterministic, and takes the
same memory for a corpus of any size.
"""

import heapq
import io
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as HFTokenizer

from langue.base.bounds import PositiveInt
from langue.base.config import Config
from langue.base.errors import LangueError
from langue.base.scripts import HAN
from langue.base.seeds import derive
from langue.tokens.tokenizer import (
    BEGIN,
    BLANK_PAD,
    BYTE_OF,
    END,
    EOS,
    LINE_END,
    PAD,
    UNK,
    Tokenizer,
    cut,
    words_of,
)
from langue.tokens.tokenizer_parts import CHARS, WORDS

Kind = Literal["bpe", "unigram", "wordpiece", "words", "chars", "bytes", "whitespace"]

ALPHABET = sorted(BYTE_OF)
SPECIALS = (EOS, PAD)
LARGEST = 10_000_000  # entries: for more the library asks for more memory than there is
SMALLEST = len(ALPHABET) + len(SPECIALS)
_SPELLING = {byte: character for character, byte in BYTE_OF.items()}
# What each kind does best with on a few megabytes; 0 is every word there is, as published sets want.
VOCABULARY: dict[str, int] = {
    "bpe": 8192,
    "unigram": 8192,
    "wordpiece": 8192,
    "words": 32768,
    "chars": 8192,
    "bytes": SMALLEST,
    "whitespace": 0,
}
# How often an entry must occur. What all of a text is spelled in leaves bytes that no model ever saw; and
# what occurs a few times has no statistics. So 50 kB and 1 MB are within 2 % of the best: see docs/log.md.
MIN_FREQUENCY: dict[str, int] = {
    "bpe": 10,
    "unigram": 10,
    "wordpiece": 10,
    "words": 10,
    "chars": 2,
    "bytes": 1,
}
TOY = 4096  # bytes below which a text is an example, to look at: all of it is learned
BYTE_LEVEL = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
# What words are cut at, as by KenLM: other white space is a letter. The end of a line ends a sentence.
BLANKS = r"[\x00\t\x0b\x0c\r ]+"
_WORD = re.compile(r"[^\x00\t\n\x0b\x0c\r ]+")
CAPITAL_UNK = "<UNK>"  # of SRILM; KenLM takes it for `<unk>`, wherever it stands
ONE_PIECE = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
# WordPiece looks for the longest match from each place: quadratic in the length of a piece.
SHORT = (
    pre_tokenizers.Split(Regex(r"\p{Han}{1,8}"), "isolated"),
    BYTE_LEVEL,
    pre_tokenizers.Split(Regex(r"[\s\S]{1,64}"), "isolated"),
)

# What subword vocabularies learn from: the pieces GPT-2 cuts a text into, with runs of Han
# characters cut short, for merging is quadratic in the length of a piece and a run has no end.
_PIECE = re.compile(
    rf"[{HAN}]{{1,4}}|'(?:[sdmt]|ll|ve|re)| ?[^\W\d_{HAN}]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+"
)
LONGEST = 64  # characters: what is longer is no word
# The most frequent pieces: those beyond, each seen a few times, cost most of the time (Chinese has
# ten times the distinct pieces of English) and change the vocabulary little: see docs/log.md.
LEXICON = 32_768


class TokenizerConfig(Config, frozen=True):
    """Which tokenizer, and how much text it learns from."""

    kind: Kind = "bpe"
    file: str = ""  # a tokenizer.json to use as it is, instead of training one
    # entries; auto: what suits the kind
    vocabulary: Annotated[int, msgspec.Meta(ge=1, le=LARGEST)] | Literal["auto"] = "auto"
    # Of an entry in the sample. auto: what suits the kind; 1 where `vocabulary` is a number, to reach it,
    # and of a text of a few lines.
    min_frequency: PositiveInt | Literal["auto"] = "auto"
    sample_bytes: PositiveInt = 16_000_000  # more changes no vocabulary of 32k much
    seed: int = 0  # of the sample


T = TypeVar("T", str, tuple[int, int, int])


class Sample(Generic[T]):
    """A bounded sample of texts: those with the smallest keyed hashes, whatever order they come in."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._bytes = 0
        self._heap: list[tuple[int, int, T]] = []  # the largest hash first, with the bytes

    def add(self, key: int, bytes: int, text: T) -> None:
        """Take a text, or what stands for it, if its `key`, a hash, is small enough."""
        heapq.heappush(self._heap, (-key, bytes, text))
        self._bytes += bytes
        while self._bytes > self._size and len(self._heap) > 1:
            self._bytes -= heapq.heappop(self._heap)[1]

    def texts(self) -> list[T]:
        return [text for _, _, text in sorted(self._heap, reverse=True)]


def size_of_vocabulary(config: TokenizerConfig) -> int:
    """How many tokens there are to be; 0: every word.

    Raises:
        LangueError: that has no room for the byte alphabet, or for a word.
    """
    size = VOCABULARY[config.kind] if config.vocabulary == "auto" else config.vocabulary
    if config.kind == "whitespace":
        if 0 < size <= len(SPECIALS) + 1:
            raise LangueError(f"a vocabulary of {size} has room for no word, besides <eos>, <pad> and <unk>")
    elif size < SMALLEST:
        raise LangueError(
            f"a vocabulary of {size} is too small: bytes and special tokens alone take {SMALLEST}"
        )
    return size


def train_tokenizer(config: TokenizerConfig, texts: Iterable[str]) -> Tokenizer:
    """Train a tokenizer of a kind on texts.

    Args:
        texts: normalized training documents; all are read, `sample_bytes` of them are learned from
            (`whitespace` learns every word of all of them).

    Raises:
        LangueError: see `size_of_vocabulary`.
    """
    size = size_of_vocabulary(config)
    if config.kind == "whitespace":
        return Tokenizer(_whitespace(size, texts))
    sample = Sample[str](config.sample_bytes)
    for text in texts:
        sample.add(derive(config.seed, text), len(text.encode()), text)
    learned = sample.texts()
    size_of_sample = sum(len(text.encode()) for text in learned)
    frequency = config.min_frequency
    if frequency == "auto":
        chosen = config.vocabulary != "auto" or size_of_sample < TOY
        frequency = 1 if chosen else MIN_FREQUENCY[config.kind]
    # Trainers take memory for the size asked for; no text has more pieces than bytes.
    hf = _TRAIN[config.kind](min(size, SMALLEST + size_of_sample), frequency, learned)
    hf.decoder = decoders.ByteLevel()
    hf.add_special_tokens(list(SPECIALS))
    return Tokenizer(hf)


def _bpe(size: int, frequency: int, texts: list[str]) -> HFTokenizer:
    """Byte pair encoding (Sennrich et al. 2016) over bytes (Radford et al. 2019)."""
    hf = HFTokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=frequency,
        initial_alphabet=ALPHABET,
        special_tokens=list(SPECIALS),
        show_progress=False,
    )
    _train_on_pieces(hf, trainer, texts)
    hf.pre_tokenizer = BYTE_LEVEL
    return hf


def _wordpiece(size: int, frequency: int, texts: list[str]) -> HFTokenizer:
    """WordPiece (Schuster and Nakajima 2012): the longest match first, over bytes."""
    hf = HFTokenizer(models.WordPiece())
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=frequency,
        initial_alphabet=ALPHABET,
        special_tokens=list(SPECIALS),
        continuing_subword_prefix="",  # the alphabet of bytes is the same inside a word as at its start
        show_progress=False,
    )
    _train_on_pieces(hf, trainer, texts)
    hf.pre_tokenizer = pre_tokenizers.Sequence(list(SHORT))
    return hf


def _unigram(size: int, frequency: int, texts: list[str]) -> HFTokenizer:
    """The unigram model (Kudo 2018), trained by SentencePiece: the trainer of `tokenizers` gives
    another result at each run."""
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as file:
        file.writelines(f"{piece}\t{count}\n" for piece, count in _pieces(texts))
        file.flush()
        SentencePieceTrainer.train(
            input=file.name,
            input_format="tsv",
            model_writer=model,
            model_type="unigram",
            vocab_size=size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_by_whitespace=False,
            split_by_unicode_script=False,
            split_by_number=False,
            max_sentencepiece_length=24,  # eight Chinese characters
            bos_id=-1,
            eos_id=-1,
            num_threads=2,  # the sums of other numbers of threads differ in their last bits
            minloglevel=2,
        )
    trained = SentencePieceProcessor(model_proto=model.getvalue())
    # Scores are rounded so that the file reads back to the same numbers.
    scores = {trained.id_to_piece(id): round(trained.get_score(id), 5) for id in range(1, len(trained))}
    unseen = round(min(scores.values(), default=0.0) - 10, 5)  # a byte the sample lacks: last resort
    entries = [(special, 0.0) for special in SPECIALS]
    entries += [(byte, scores.pop(byte, unseen)) for byte in ALPHABET]
    longer = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    hf = HFTokenizer(models.Unigram(entries + longer[: size - SMALLEST], byte_fallback=False))
    if frequency > 1:
        used = _uses(hf, texts)
        often = [entry for entry in longer[: size - SMALLEST] if used[entry[0]] >= frequency]
        hf = HFTokenizer(models.Unigram(entries + often, byte_fallback=False))
    hf.pre_tokenizer = BYTE_LEVEL
    return hf


def _uses(hf: HFTokenizer, texts: list[str]) -> Counter[str]:
    """How often each entry of a vocabulary is used in texts."""
    pieces = _pieces(texts)
    uses: Counter[str] = Counter()
    for (_, count), encoding in zip(pieces, hf.encode_batch([piece for piece, _ in pieces]), strict=True):
        for token in encoding.tokens:
            uses[token] += count
    return uses


def _train_on_pieces(hf: HFTokenizer, trainer: Any, texts: list[str]) -> None:
    hf.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")  # no entry of the byte alphabet
    hf.train_from_iterator((f"{piece} " * count for piece, count in _pieces(texts)), trainer)


def _pieces(texts: list[str]) -> list[tuple[str, int]]:
    """The most frequent pieces of texts, spelled in the byte alphabet, with their counts."""
    counts: Counter[str] = Counter()
    for text in texts:
        for part in cut(text):  # what is found in all of a long text is held at once
            counts.update(_PIECE.findall(part))
    kept = [piece for piece in _by_frequency(counts) if len(piece) <= LONGEST][:LEXICON]
    return [(_spell(piece), counts[piece]) for piece in kept]


def _spell(piece: str) -> str:
    return piece.encode().decode("latin-1").translate(_SPELLING)


def _words(size: int, frequency: int, texts: list[str]) -> HFTokenizer:
    """The most frequent words; another is spelled in characters that are frequent, and else in bytes.

    Characters compete with words by their number in words that are rare; those of frequent words alone come
    last, where there is room: a new word may have them.
    """
    splitter = pre_tokenizers.Split(Regex(WORDS), "isolated")
    counts = Counter(_words_of(texts, splitter))
    rare = {word for word in counts if counts[word] < frequency} | {*_by_frequency(counts)[size - SMALLEST :]}
    within = _characters_of(counts, rare)
    everywhere = _characters_of(counts, counts.keys())
    words, characters = _often(counts + within, frequency), _often(everywhere, frequency)
    return _vocabulary(size, splitter, words + characters, everywhere.keys())


def _characters_of(counts: Counter[str], words: Set[str]) -> Counter[str]:
    """How often each character of more than a byte stands in some words of several characters."""
    result: Counter[str] = Counter()
    for word in words:
        for character in word if len(word) > 1 else "":
            if not character.isascii():
                result[character] += counts[word]
    return result


def _words_of(texts: list[str], splitter: Any) -> Iterator[str]:
    for text in texts:
        for part in cut(text):
            yield from words_of(part, splitter)


def _chars(size: int, frequency: int, texts: list[str]) -> HFTokenizer:
    splitter = pre_tokenizers.Split(Regex(CHARS), "isolated")
    counts = Counter(character for text in texts for character in text)
    return _vocabulary(size, splitter, _often(counts, frequency), set())


def _often(counts: Counter[str], frequency: int) -> list[str]:
    """What stands there so often or more, most frequent first."""
    return [piece for piece in _by_frequency(counts) if counts[piece] >= frequency]


def _vocabulary(size: int, splitter: Any, pieces: list[str], characters: Set[str]) -> HFTokenizer:
    """A vocabulary of the first of these pieces that have room; any other piece is spelled in bytes.

    Args:
        characters: those in which a piece that has no entry is spelled, where they have one. Their bytes are
            merged one by one, so what they begin with becomes an entry too.
    """
    vocabulary = {entry: id for id, entry in enumerate([*SPECIALS, *ALPHABET])}
    merges: dict[tuple[str, str], None] = {}
    for piece in pieces:
        spelled = _spell(piece)
        parts = [spelled[:end] for end in range(2, len(spelled) + 1)] if piece in characters else [spelled]
        new = [part for part in parts if part not in vocabulary]
        if len(vocabulary) >= size:
            break
        if len(vocabulary) + len(new) > size:
            continue
        for part in new:
            vocabulary[part] = len(vocabulary)
        if piece in characters:
            merges |= dict.fromkeys((part[:-1], part[-1]) for part in parts)
    hf = HFTokenizer(models.BPE(vocabulary, merges=list(merges), ignore_merges=True))
    hf.pre_tokenizer = pre_tokenizers.Sequence([splitter, ONE_PIECE])
    return hf


def _whitespace(size: int, texts: Iterable[str]) -> HFTokenizer:
    """Words between blanks; `<unk>` for those not seen; the end of a line is the end of a sentence."""
    counts: Counter[str] = Counter()
    for text in texts:
        for part in cut(text, marks=False):
            counts.update(_WORD.findall(part))
    return whitespace(_by_frequency(counts), size)


def whitespace(words: Iterable[str], size: int = 0, *, marks: bool = False) -> HFTokenizer:
    """A tokenizer of these words, numbered from the end of a line, padding and `<unk>` on.

    Args:
        size: entries at most; 0 is every word.
        marks: `</s>` and `<s>` in a text are the ends of a sentence, as for KenLM, and no words.
    """
    specials = [END if marks else LINE_END, BLANK_PAD]
    vocabulary = {entry: id for id, entry in enumerate([*specials, UNK])}
    for word in words:
        if size and len(vocabulary) >= size:
            break
        if word != CAPITAL_UNK:
            vocabulary.setdefault(word, len(vocabulary))
    if marks:
        specials.append(BEGIN)
        vocabulary[BEGIN] = len(vocabulary)
    hf = HFTokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    splits = [pre_tokenizers.Split(Regex(BLANKS), "removed")]
    if marks:
        hf.normalizer = normalizers.Replace(LINE_END, f" {END} ")
    else:
        splits.append(pre_tokenizers.Split(LINE_END, "isolated"))
    hf.pre_tokenizer = pre_tokenizers.Sequence(splits)
    hf.add_special_tokens(specials)
    return hf


def _by_frequency(counts: Counter[str]) -> list[str]:
    """Most frequent first, equal ones in the order of their code points."""
    return [piece for piece, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


_TRAIN: dict[str, Callable[[int, int, list[str]], HFTokenizer]] = {
    "bpe": _bpe,
    "unigram": _unigram,
    "wordpiece": _wordpiece,
    "words": _words,
    "chars": _chars,
    "bytes": lambda size, frequency, texts: _chars(SMALLEST, 1, []),
}
