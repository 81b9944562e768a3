"""What may not be written, and what has to be: banned texts, biases, regular expressions, JSON schemas.

Penalties are biases that grow with what is written. All but these speak of bytes, so they hold with every
vocabulary, of bytes, pieces or characters. Regular expressions and schemas are llguidance's, which tells of
each token whether it can stand next.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, Self

import numpy as np

from langue.base.arrays import BoolArray, Float64Array, Floats, Int64Array
from langue.base.errors import InvalidSetting, MissingExtra, Unsupported
from langue.generation.sample import Sampling
from langue.tokens import utf8
from langue.tokens.tokenizer import EOS, Tokenizer


class Ban:
    """Texts that are never written, whatever tokens would spell them."""

    def __init__(self, tokenizer: Tokenizer, texts: Sequence[str]) -> None:
        self.texts = [text.encode() for text in texts]
        self.longest = max(map(len, self.texts), default=1) - 1  # bytes that can begin one
        self._tokens = tokenizer.spellings()
        self.never = np.array([any(text in token for text in self.texts) for token in self._tokens])
        self._that_begin_with = cache(self._tokens_that_begin_with)

    def forbidden(self, tail: bytes) -> BoolArray:
        """The tokens `(V,)` that would complete one after these last bytes."""
        forbidden = self.never
        for text in self.texts:
            for size in range(1, len(text)):
                if tail.endswith(text[:size]):
                    forbidden = forbidden | self._that_begin_with(text[size:])
        return forbidden

    def _tokens_that_begin_with(self, rest: bytes) -> BoolArray:
        return np.array([token.startswith(rest) for token in self._tokens])


class Grammar:
    """A regular expression or a JSON schema, and how much of it is written."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    @classmethod
    def of(cls, tokenizer: Tokenizer, sampling: Sampling) -> Self:
        """That of the settings, nothing written.

        Raises:
            MissingExtra: llguidance is not installed.
            InvalidSetting: it cannot be read.
            Unsupported: the tokenizer is one of words between blanks, which spells no text.
        """
        try:
            from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper
        except ImportError:
            raise MissingExtra("llguidance", "constrain", "writing by --regex or --json-schema") from None
        if tokenizer.closed:
            raise Unsupported("words between blanks spell no text that a regular expression or schema is of")
        wrapper = TokenizerWrapper(_Vocabulary(tokenizer))
        vocabulary = LLTokenizer(wrapper, n_vocab=tokenizer.vocab_size, eos_token=tokenizer.eos)
        name = "regex" if sampling.regex else "json_schema"
        as_grammar: Any = LLMatcher.grammar_from_json_schema
        try:
            if sampling.regex:
                grammar = LLMatcher.grammar_from_regex(sampling.regex)
            else:
                # Of blanks between its parts a model of little text would write without end.
                grammar = as_grammar(sampling.json_schema, {"whitespace_flexible": False})
        except ValueError as error:
            raise InvalidSetting(f"{name} cannot be used: {error}") from None
        matcher = LLMatcher(vocabulary, grammar, log_level=0)
        if matcher.is_error():
            raise InvalidSetting(f"{name} cannot be used: {_reason(matcher.get_error())}")
        return cls(matcher)

    def copy(self) -> "Grammar":
        return Grammar(self._matcher.deep_copy())

    def allowed(self) -> BoolArray:
        """Whether each token may stand next `(V,)`, `<eos>` among them where all may end."""
        return np.frombuffer(self._matcher.compute_logit_bias(), np.uint8) > 0

    def push(self, token: int) -> None:
        self._matcher.consume_token(token)

    @property
    def complete(self) -> bool:
        """Whether all is written and nothing can follow."""
        return bool(self._matcher.is_stopped() and self._matcher.is_accepting())


def _reason(message: str) -> str:
    """An error of llguidance without its listing of the grammar, in one line."""
    kept = [line.strip() for line in message.splitlines() if line.strip() and not line[:4].strip().isdigit()]
    reasons = [line.removeprefix("error: ") for line in kept if line.startswith("error: ")]
    return reasons[0] if reasons else (kept or ["it is not valid"])[0]


class _Vocabulary:
    """A tokenizer as llguidance asks for one."""

    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokens = tokenizer.spellings()
        self.eos_token_id = tokenizer.eos
        ordinary = set(tokenizer.ordinary.tolist())
        self.special_token_ids = [id for id in range(tokenizer.vocab_size) if id not in ordinary]
        self._tokenizer = tokenizer

    def __call__(self, text: str) -> list[int]:
        if not isinstance(text, str):
            raise TypeError("of text alone")  # which is how llguidance asks whether it reads bytes
        return [int(id) for id in self._tokenizer.encode(text)]


class Penalties(NamedTuple):
    """What is taken from the log-probability of a token that was written, as OpenAI's interface has it."""

    presence: float  # once
    frequency: float  # each time


class Rules:
    """What the settings of sampling ask of every text, made once for all of them.

    Attributes:
        stop_ids: tokens with which a text ends, which are its last.
    """

    def __init__(self, tokenizer: Tokenizer, sampling: Sampling) -> None:
        self.ban = Ban(tokenizer, sampling.ban) if sampling.ban else None
        self.bias = _bias(tokenizer, sampling.bias) if sampling.bias else None
        self.grammar = Grammar.of(tokenizer, sampling) if sampling.regex or sampling.json_schema else None
        self.eos = tokenizer.eos
        self.min_tokens, self.no_repeat = sampling.min_tokens, sampling.no_repeat_ngram_size
        self.most = sampling.max_characters
        self.characters = _characters(tokenizer) if self.most else None
        self.well_formed = tokenizer.well_formed
        penalties = Penalties(sampling.presence_penalty, sampling.frequency_penalty)
        self.penalties = penalties if any(penalties) else None
        self.stop_ids: frozenset[int] = frozenset()

    def begin(self) -> "Written":
        return Written(self)


class Written:
    """What was written of one text, as far as rules depend on it."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.grammar = rules.grammar and rules.grammar.copy()
        self._tail = b""
        self._ids: tuple[int, ...] = ()
        self._room, self._state = rules.most, utf8.START  # characters that may still be written; within one
        self._counts: Counter[int] = Counter()  # of the tokens written, where there are penalties
        self._last: int | None = None

    @property
    def bend(self) -> bool:
        """Whether they ask anything of a distribution at all."""
        rules = self.rules
        tables = rules.bias, rules.ban, rules.grammar, rules.characters, rules.penalties
        return any(one is not None for one in tables) or bool(rules.min_tokens or rules.no_repeat)

    def copy(self) -> "Written":
        """The same text, that can go on in another way."""
        other = Written(self.rules)
        other._tail, other._ids = self._tail, self._ids
        other._room, other._state = self._room, self._state
        other._counts, other._last = self._counts.copy(), self._last
        if self.grammar is not None:
            other.grammar = self.grammar.copy()
        return other

    def apply(self, log_probs: Floats) -> Floats:
        """Log-probabilities `(V,)` with the biases, and -∞ where a token may not stand next."""
        if self.rules.bias is not None:
            log_probs = (log_probs + self.rules.bias).astype(np.float32)
        if self.rules.penalties is not None and self._counts:
            presence, frequency = self.rules.penalties
            ids, counts = np.array([*self._counts.items()]).T
            log_probs = log_probs.copy()
            log_probs[ids] -= (presence + frequency * counts).astype(np.float32)
        if self.rules.ban is not None:
            log_probs = np.where(self.rules.ban.forbidden(self._tail), np.float32(-np.inf), log_probs)
        if self.grammar is not None:
            log_probs = np.where(self.grammar.allowed(), log_probs, np.float32(-np.inf))
        if self.rules.characters is not None:
            log_probs = np.where(self.rules.characters > self._room, np.float32(-np.inf), log_probs)
        never = self._repeats()
        if len(self._ids) < self.rules.min_tokens:
            never.append(self.rules.eos)
        if never:
            log_probs = log_probs.copy()
            log_probs[never] = -np.inf
        return log_probs

    def _repeats(self) -> list[int]:
        """The tokens that would end an n-gram which is written already."""
        n, ids = self.rules.no_repeat, self._ids
        if not n or len(ids) < n:
            return []
        last = ids[len(ids) - n + 1 :]
        return [ids[k + n - 1] for k in range(len(ids) - n + 1) if ids[k : k + n - 1] == last]

    def push(self, token: int, spelling: bytes) -> None:
        self._last = token
        if self.rules.penalties is not None:
            self._counts[token] += 1
        if self.rules.ban is not None and self.rules.ban.longest:
            self._tail = (self._tail + spelling)[-self.rules.ban.longest :]
        if self.grammar is not None:
            self.grammar.push(token)
        if self.rules.no_repeat or self.rules.min_tokens:
            self._ids = (*self._ids, token)
        if self.rules.characters is not None:
            self._room -= int(self.rules.characters[token])
            self._state = self.rules.well_formed.after(self._state, token)

    @property
    def complete(self) -> bool:
        """Whether nothing can follow: of a grammar, or for want of room, when the last character is whole."""
        full = self.rules.characters is not None and self._room <= 0 and self._state == utf8.START
        if full or self._last in self.rules.stop_ids:
            return True
        return self.grammar is not None and self.grammar.complete


def _characters(tokenizer: Tokenizer) -> Int64Array:
    """Characters that begin in each token `(V,)`: bytes of UTF-8 that do not go on with one."""
    return np.array([sum(byte & 0xC0 != 0x80 for byte in token) for token in tokenizer.spellings()])


def _bias(tokenizer: Tokenizer, by_text: tuple[tuple[str, float], ...]) -> Float64Array:
    """What is added to each log-probability `(V,)`.

    Raises:
        InvalidSetting: a text is not one token; how it is spelled is told.
    """
    bias = np.zeros(tokenizer.vocab_size)
    spellings = tokenizer.spellings()
    for text, value in by_text:
        if text == EOS:
            bias[tokenizer.eos] += value
            continue
        ids = [id for id in tokenizer.ordinary.tolist() if spellings[id] == text.encode()]
        if not ids:
            parts = " ".join(repr(tokenizer.decode([id])) for id in tokenizer.encode(text))
            raise InvalidSetting(
                f"bias {text!r} is no token of this model, which spells it by {parts or 'none'}"
            )
        bias[ids] += value
    return bias
