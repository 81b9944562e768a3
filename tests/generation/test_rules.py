"""Bans, biases, regular expressions and JSON schemas, over vocabularies of bytes, pieces and characters."""

import json
import os
import re
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langue.base.arrays import Floats
from langue.base.errors import InvalidSetting, LangueError
from langue.generation.beam import continuations
from langue.generation.generate import generate, generate_all
from langue.generation.rules import Ban, Rules
from langue.generation.sample import Sampling
from langue.models.counts.ngram.counts import count
from langue.models.counts.ngram.estimate import estimate_tables
from langue.models.counts.ngram.model import NGram
from langue.protocols import Vocabulary
from langue.tokens.tokenizer import Tokenizer
from langue.tokens.train import TokenizerConfig, train_tokenizer

ENGLISH = [
    'the king {"name": "Ann", "age": 31} is dead, long live 2026-11-28 the queen! 0123456789',
    'a@b.com [1, 2, 3] true false null "x": -1.5e3 yes no maybe (555) 123-4567 #ff00ff',
] * 5
CHINESE = ["却说那人年方三十，姓张名三。天下大势，分久必合：2026年1月，共12人。" + text for text in ENGLISH]
TOKENIZERS = {
    "bytes": train_tokenizer(TokenizerConfig(kind="bytes"), ENGLISH),
    "bpe": train_tokenizer(TokenizerConfig(kind="bpe", vocabulary=330), ENGLISH),
    "chars": train_tokenizer(TokenizerConfig(kind="chars", vocabulary=400), CHINESE),
}
BYTES = TOKENIZERS["bytes"]


class Even:
    """Finds every token as likely as any other."""

    window = stride = None

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.vocabulary = Vocabulary(tokenizer.vocab_size, tokenizer.eos)
        self.rows = 0

    def decoder(self, prompts: Any, *, depth: int = 0) -> "Even":
        self.rows = len(prompts)
        return self

    def add(self, prompts: Any) -> None:
        self.rows += len(prompts)

    def select(self, rows: Any) -> None:
        self.rows = len(rows)

    def extend(self, ids: Any) -> None: ...

    def log_probs(self) -> Floats:
        size = self.vocabulary.size
        return np.full((self.rows, size), -np.log(size), np.float32)


@cache
def trigram(kind: str) -> NGram:
    """A small model of the texts above."""
    tokenizer = TOKENIZERS[kind]
    documents = tokenizer.encode_batch(CHINESE if kind == "chars" else ENGLISH)
    stream = np.concatenate([[tokenizer.vocab_size, *ids, tokenizer.eos] for ids in documents])
    stream = np.append(stream, tokenizer.vocab_size).astype(np.uint32)  # each after its `<s>`
    levels = count(stream, tokenizer.vocab_size, 3)
    return NGram(Vocabulary(tokenizer.vocab_size, tokenizer.eos), estimate_tables(levels))


@given(
    banned=st.lists(st.text(alphabet="ab中é", min_size=1, max_size=3), min_size=1, max_size=3),
    seed=st.integers(0, 100),
)
def test_what_is_banned_is_never_written(banned: list[str], seed: int) -> None:
    """Whatever tokens would spell it, with everything else forbidden that could be written instead."""
    bias = tuple((character, 9.0) for character in "ab")
    sampling = Sampling(max_tokens=60, temperature=1.0, top_p=1.0, ban=tuple(banned), bias=bias, seed=seed)
    for tokenizer in (BYTES, TOKENIZERS["bpe"]):
        text = generate(Even(tokenizer), tokenizer, "", sampling).finish().text  # type: ignore[arg-type]
        assert not any(one in text for one in banned)


def test_a_ban_looks_at_bytes_across_tokens() -> None:
    ban = Ban(TOKENIZERS["chars"], ["三十", "十年"])
    spellings = TOKENIZERS["chars"].spellings()
    ten = spellings.index("十".encode())
    assert not ban.forbidden(b"")[ten]
    assert ban.forbidden("三".encode())[ten]
    assert ban.forbidden("十".encode())[spellings.index("年".encode())]


def test_a_bias_moves_the_odds_of_its_token() -> None:
    sampling = Sampling(max_tokens=200, temperature=1.0, top_p=1.0, bias=(("a", 50.0), ("<eos>", -50.0)))
    assert set(generate(Even(BYTES), BYTES, "", sampling).finish().text) == {"a"}  # type: ignore[arg-type]
    with pytest.raises(LangueError, match=r"bias 'ab' is no token of this model, which spells it by 'a' 'b'"):
        Rules(BYTES, Sampling(bias=(("ab", 1.0),)))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_tokens_in_a_row_are_written_twice(n: int) -> None:
    bias = (("a", 50.0), ("b", 50.0), ("<eos>", -50.0))
    sampling = Sampling(max_tokens=40, temperature=1.0, bias=bias, no_repeat_ngram_size=n)
    result = generate(Even(BYTES), BYTES, "", sampling).finish()  # type: ignore[arg-type]
    text = result.text
    runs = [text[k : k + n] for k in range(len(text) - n + 1)]
    assert len(set(runs)) == len(runs)
    assert {*"ab"} <= {*text} and result.tokens == 40  # all that may be of the two, and then others


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_text_is_as_long_as_is_asked_in_tokens_and_characters(kind: str) -> None:
    tokenizer, model = TOKENIZERS[kind], trigram(kind)
    ends = (("<eos>", 50.0),)
    short = Sampling(temperature=1.0, bias=ends, min_tokens=7)
    assert [one.tokens for some in generate_all(model, tokenizer, [""] * 5, short) for one in some] == [8] * 5
    long = Sampling(temperature=1.0, bias=(("<eos>", -50.0),), max_characters=5)
    for (one,) in generate_all(model, tokenizer, ["", "却说", "the"], long):
        assert len(one.text) == 5 and one.finished == "complete"
    both = Rules(tokenizer, Sampling(min_tokens=50, max_characters=5, no_repeat_ngram_size=2))
    for result in next(continuations(model, tokenizer, [""], num_beams=3, rules=both)):
        assert len(result.text) == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regex": "a", "json_schema": "{}"}, "not both"),
        ({"ban": ("",)}, "would forbid every text"),
        ({"bias": (("a", "b"),)}, "Expected `float`"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        Sampling(**settings)


REGEXES = [
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    r"(yes|no|maybe)",
    r"[a-z]{1,8}@[a-z]{1,8}\.(com|org)",
    r"\([0-9]{3}\) [0-9]{3}-[0-9]{4}",
    r"#[0-9a-f]{6}",
    r"[一-龥]{2,6}",
    r"第[0-9]{1,3}回：[一-龥]{2,4}[。！]",
    r"(é|中|🙂){3}",
    r"-?(0|[1-9][0-9]{0,4})(\.[0-9]{1,3})?",
    r"the (king|queen) is (dead|alive)[.!]{1,3}",
]
NAME = {"type": "string", "maxLength": 12}
SCHEMAS: list[dict[str, Any]] = [
    {"type": "integer", "minimum": 0, "maximum": 120},
    {"enum": ["red", "green", "蓝"]},
    {"type": "boolean"},
    {
        "type": "object",
        "properties": {"name": NAME, "age": {"type": "integer", "minimum": 0, "maximum": 150}},
        "required": ["name", "age"],
        "additionalProperties": False,
    },
    {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 4},
    {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "additionalProperties": False},
    {"type": "string", "pattern": "^[A-Z][a-z]{2,5}$"},
    {"anyOf": [{"type": "null"}, {"const": "x"}]},
    {
        "type": "array",
        "prefixItems": [NAME, {"type": "boolean"}],
        "minItems": 2,
        "maxItems": 2,
        "items": False,
    },
    {"type": "string", "maxLength": 5},
]
SAMPLES = 1000 if "LANGUE_DRAWS" in os.environ else 25  # `make draws`


def texts_under(kind: str, **settings: Any) -> list[str]:
    tokenizer = TOKENIZERS[kind]
    sampling = Sampling(max_tokens=400, temperature=1.0, top_p=1.0, **settings)
    written = next(generate_all(trigram(kind), tokenizer, [""], sampling, n=SAMPLES, rows=25))
    assert {one.finished for one in written} <= {"eos", "complete"}, written
    return [one.text for one in written]


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("regex", REGEXES)
def test_what_is_written_matches_the_regular_expression(kind: str, regex: str) -> None:
    pytest.importorskip("llguidance")
    for text in texts_under(kind, regex=regex):
        assert re.fullmatch(regex, text), text


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("index", range(len(SCHEMAS)))
def test_what_is_written_is_json_that_the_schema_allows(kind: str, index: int) -> None:
    pytest.importorskip("llguidance")
    for text in texts_under(kind, json_schema=json.dumps(SCHEMAS[index])):
        assert allows(SCHEMAS[index], json.loads(text)), text


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_beams_keep_to_the_rules_and_find_all_that_may_be(kind: str) -> None:
    pytest.importorskip("llguidance")
    model, tokenizer = trigram(kind), TOKENIZERS[kind]
    rules = Rules(tokenizer, Sampling(regex=r"(yes|no|maybe|é|中)", ban=("no",)))
    (beams,) = continuations(model, tokenizer, [""], num_beams=40, length_penalty=0.0, rules=rules)
    spelled = {one.text for one in beams}
    assert spelled == {"yes", "maybe", "é", "中"}
    assert {one.finished for one in beams} <= {"eos", "complete"}
    assert [one.log_prob for one in beams] == sorted((one.log_prob for one in beams), reverse=True)
    for one in beams if kind == "bytes" else []:  # where a text is spelled in one way
        ids = [*tokenizer.encode(one.text), *[tokenizer.eos] * (one.finished == "eos")]
        assert one.log_prob == pytest.approx(model.log_probs([np.array(ids)])[0].sum(), abs=1e-4)
    schema = Rules(tokenizer, Sampling(json_schema=json.dumps(SCHEMAS[3])))
    for some in continuations(model, tokenizer, ["", "the king"], num_beams=3, rules=schema):
        assert some
        assert all(allows(SCHEMAS[3], json.loads(one.text)) for one in some if one.finished != "length")


TYPES = {"integer": int, "boolean": bool, "string": str, "array": list, "object": dict, "null": type(None)}


def allows(schema: dict[str, Any], value: Any) -> bool:
    """As much of JSON Schema as stands above."""
    if "anyOf" in schema:
        return any(allows(one, value) for one in schema["anyOf"])
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        return False
    if "type" in schema and not isinstance(value, TYPES[schema["type"]]):
        return False
    if isinstance(value, str):
        fits = len(value) <= schema.get("maxLength", 999)
        return fits and ("pattern" not in schema or re.search(schema["pattern"], value) is not None)
    if isinstance(value, list):
        fits = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 999)
        schemas = schema.get("prefixItems") or [schema["items"]] * len(value)
        return fits and all(allows(one, part) for one, part in zip(schemas, value, strict=True))
    if isinstance(value, dict):
        known = schema["properties"]
        return set(schema["required"]) <= value.keys() <= known.keys() and all(
            allows(known[name], part) for name, part in value.items()
        )
    return schema.get("minimum", -1) <= (value or 0) <= schema.get("maximum", 999)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regex": "(a"}, "regex cannot be used: unclosed group"),
        ({"regex": r"(a)\1"}, "regex cannot be used: backreferences are not supported"),
        ({"json_schema": '{"type": "nope"}'}, "json_schema cannot be used"),
        ({"json_schema": "{"}, "json_schema cannot be used"),
        ({"json_schema": "[" * 100_000}, "json_schema cannot be used"),
        ({"json_schema": "3"}, "json_schema cannot be used"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_line(settings: dict[str, Any], message: str) -> None:
    pytest.importorskip("llguidance")
    with pytest.raises(InvalidSetting, match=re.escape(message) if "\\" not in message else message) as error:
        Rules(BYTES, Sampling(**settings))
    assert "\n" not in str(error.value)


def test_words_between_blanks_are_refused() -> None:
    pytest.importorskip("llguidance")
    tokenizer = train_tokenizer(TokenizerConfig(kind="whitespace"), ENGLISH)
    with pytest.raises(LangueError, match="words between blanks"):
        Rules(tokenizer, Sampling(regex="a"))


def test_without_llguidance_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "llguidance", None)
    with pytest.raises(LangueError, match=r"langue\[constrain\]"):
        Rules(BYTES, Sampling(regex="a"))


@pytest.mark.parametrize(
    "asked",
    [{"ban": ("a",)}, {"bias": (("a", 1.0),)}, {"min_tokens": 1}, {"max_characters": 5},
     {"no_repeat_ngram_size": 2}, {"presence_penalty": 0.5}, {"frequency_penalty": -0.5}],
)  # fmt: skip
def test_whatever_bends_a_distribution_says_so(asked: dict[str, Any]) -> None:
    """Else tokens are drawn in compiled code, which knows no rules."""
    assert Rules(BYTES, Sampling(**asked)).begin().bend
    assert not Rules(BYTES, Sampling(stop=("a",))).begin().bend
