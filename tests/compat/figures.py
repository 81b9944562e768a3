"""What is asked of a fixture, by `write.py` of the old code and by `test_compat.py` of today's.

All that is not the public API of a `langue` that is imported stands here, to be moved with the code.
"""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import langue
from langue import info
from langue.tokens.store import TOKENIZER, TokenStore
from langue.tokens.tokenizer import Tokenizer
from langue.training.recipe import read_data
from langue.training.recipe import read_recipe as read_any

# More tokens than the windows of the fixtures hold; English, Chinese, and characters that no store has.
TEXTS = (
    "The king saw a small bird in the forest. A poor girl followed the old fox near the town.",
    "安娜在夜里看见了月亮。国王跟着老狐狸。",
    "Ünknown — 未知 ｗｉｄｅ\ttext 😀",
)
PROMPT = "The old fox "
EXAMPLES = ("the king saw the moon.", "安娜画了小鸟。", "Anna followed a red horse.")
PLAIN = ("Karl left old Paris in May.", "李华去了北京。")
MASKED = ("fox [MASK] moon", "在[MASK]里")  # the windows are short
STARTED_FROM = ("models/bert",)  # what recipes start from; reading them looks there for shapes
# `truncated` counted the texts of `classify` too, where they were asked for before.
# `found` and `copied` looked at tokens, and missed what stands between; the length of pairs told their
# answer.
NOT_FIGURES = (
    "model", "seconds", "checks", "reason", "truncated", "measured_on", "normalization", "found", "copied",
    "pair_accuracy", "pair_f1", "sampled",  # the texts of a seed are no promise between versions
)  # fmt: skip

RENAMED = {"pair": "electra"}  # old name → name


def of_model(path: str | Path, on: str | Path | None = None) -> dict[str, Any]:
    """All figures of a model folder; `on` is what it is evaluated on."""
    model = langue.load(path)
    described = model.info()
    found = {"family": described["family"], "size": described["size"]}
    if hasattr(model, "classify_all"):
        found |= _of_classifier(model)
    elif hasattr(model, "tag_all"):
        found |= _of_tagger(model, Path(str(on)))
    elif model.bidirectional:
        found |= _of_masked(model)
    else:
        found |= _of_causal(model)
    if on is not None:
        evaluation = langue.evaluate(model, on).to_json()
        found["evaluation"] = {key: value for key, value in evaluation.items() if key not in NOT_FIGURES}
    return plain(found)  # type: ignore[no-any-return]


def of_store(path: str | Path) -> dict[str, Any]:
    """What a store says of itself and the first documents of its test split."""
    store = TokenStore(path)
    split = store.split("test")
    manifest = info(path)
    ids = [split.document(index) for index in range(min(2, len(split)))]
    tokenizer = Tokenizer.load(Path(path) / TOKENIZER)
    found = {
        "kind": manifest["tokenizer"]["kind"],
        "vocabulary": store.vocabulary_size,
        "eos": store.eos,
        "documents": {name: len(store.split(name)) for name in ("train", "valid", "test")},
        "ids": ids,
        "texts": [tokenizer.decode(document[:-1]) for document in ids],
        "bytes": split.bytes[:2],
        "words": split.words[:2],
    }
    return plain(found)  # type: ignore[no-any-return]


def read_recipe(path: Path) -> None:
    """Read a recipe of any family; a name or a value that is no longer known raises."""
    read_any(str(path))
    if path.stem.startswith("store-"):
        read_data(path)


def _of_causal(model: Any) -> dict[str, Any]:
    scores = model.score_all(TEXTS)
    V = model.folder.model.vocabulary.size
    sequences = [(np.arange(length) ** 2 * 7 + 3) % V for length in (1, 40)]  # no text: any ids
    log_probs = model.folder.model.log_probs([ids.astype(np.uint32) for ids in sequences])
    best = model.beam_search(PROMPT, num_beams=2, max_tokens=5)
    return {
        "tokens": [score.tokens for score in scores],
        "bits": [score.bits for score in scores],
        "bits_per_byte": [score.bits_per_byte for score in scores],
        "log_probs": log_probs,
        "next": model.next_tokens(PROMPT, k=4),
        "greedy": model.generate(PROMPT, temperature=0.0, max_tokens=10).text,
        "sampled": model.generate(PROMPT, seed=3, max_tokens=10).text,
        "beam": best[0].text if best else None,
    }


def _of_masked(model: Any) -> dict[str, Any]:
    scores = model.pseudo_score_all(TEXTS[:2])
    encoder = model.folder.model
    found = {
        "tokens": [score.tokens for score in scores],
        "pseudo_bits": [score.bits for score in scores],
        "filled": [model.fill(text, k=3).to_json() for text in MASKED],
        "mean": model.embed(TEXTS[:2], pooling="mean"),
        "cls": model.embed(TEXTS[:1], pooling="cls"),
    }
    ids = [model.tokenizer.encode(text)[:6].astype(np.int64) for text in TEXTS[:2]]
    cls, sep, _ = encoder.specials
    whole = np.concatenate([[cls], ids[0], [sep], ids[1], [sep]])
    if encoder.sentence_pairs != "none":
        types = np.repeat([0, 1], [len(ids[0]) + 2, len(ids[1]) + 1])
        found["pair_log_probs"] = encoder.pair_log_probs([whole], [types])
    if hasattr(encoder, "replaced_log_odds"):
        found["replaced_log_odds"] = encoder.replaced_log_odds([whole])
    return found


def _of_tagger(model: Any, on: Path) -> dict[str, Any]:
    tagger, some = model.folder.model, model.read(on).sentences[:6]
    found = {
        "labels": tagger.labels,
        "tags": tagger.tag(some),
        "marginals": tagger.marginals(some[:2]),
        "best": [tagger.best(sentence, 2) for sentence in some[:2]],
        "strongest": _strongest(tagger),
    }
    if len(tagger.columns) == 1:
        found["plain"] = model.tag_all(PLAIN)
    return found


def _strongest(tagger: Any) -> list[float] | None:
    """The largest weights, without their names: equal ones may change places. None: it has none to show."""
    try:
        return [weight.weight for weight in tagger.strongest(5)]
    except langue.LangueError:
        return None


def _of_classifier(model: Any) -> dict[str, Any]:
    examples = [(text,) for text in EXAMPLES] if model.texts == 1 else list(pairwise(EXAMPLES))
    return {"classified": [sorted(labels) for labels in model.classify_all(examples)]}


def plain(value: Any) -> Any:
    """As JSON reads it back: as many digits as a 32-bit number has, and no infinity."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.8g}") if math.isfinite(value) else str(float(value))
    return int(value) if isinstance(value, np.integer) else value
