"""Uses the folders that are named on standard input, a line each, and answers with what came of it.

A process of its own: an edit that ends it ends nothing else. Each line is `KIND PATH`; the answer is a line
of JSON: `{"outcome": "fine" | "refused" | "failed", "message": …, "megabytes": …}`.
"""

import json
import logging
import os
import resource
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import langue
from langue import info
from langue.base.errors import LangueError
from langue.corpus.tagged import Sentence
from langue.models import folder as folders
from langue.protocols import Causal, Classifier, Masked, SentenceRanker, SpanPredictor, Tagger
from langue.tokens.store import TokenStore
from langue.training.recipe import read_recipe

TEXTS = ("The old fox saw a small bird.", "国王跟着老狐狸。", "")
CLOSE = 2e-3  # as `langue evaluate --check`
WORDS = (("The", "old", "fox", "saw", "Anna", "1984"), ("国", "王", "在"), ("x",))
TRAINED = ("ngram", "markov", "infinigram", "class-ngram", "loglinear")


class NoDistribution(Exception):
    """What came out are no probabilities."""


def use_model(path: Path) -> None:
    info(path)
    model: Any = langue.load(path)
    repr(model)
    inner = folders.load(path).model
    if isinstance(inner, Tagger):
        sentences = [Sentence(tuple(words for _ in inner.columns)) for words in WORDS]
        inner.tag(sentences)
        for rows in inner.marginals(sentences):
            see(rows)
        inner.best(sentences[0], 2)
        inner.strongest(3)
    elif isinstance(inner, SpanPredictor):
        model.answer("What?", "The old fox saw a small bird. 国王跟着老狐狸。")
    elif isinstance(inner, SentenceRanker):
        langue.summarize("The old fox saw a bird. It was small. 国王跟着老狐狸。", model=model, sentences=1)
    elif isinstance(inner, Classifier):
        model.classify("The old fox", *TEXTS[: getattr(model, "texts", 1) - 1])
    elif isinstance(inner, Causal):
        model.score_all(TEXTS)
        V = inner.vocabulary.size
        contexts = [np.arange(length, dtype=np.uint32) * 7 % V for length in (0, 1, 5, 40)]
        inner.log_probs(contexts)
        rows = inner.next_log_probs(contexts).astype(np.float64)
        if np.isnan(rows).any():
            raise NoDistribution("NaN")
        low = 0.85 if getattr(inner, "rounded_down", False) else 1 - CLOSE
        see(np.exp(rows), low=low, high=1 + CLOSE if getattr(inner, "normalized", True) else np.inf)
        model.generate("The old", max_tokens=5, seed=1)
    elif isinstance(inner, Masked):
        if not inner.no_mlm_head:
            see(np.exp(inner.masked_log_probs([np.array([3, 5, 7])], [np.array([1])])[0].astype(np.float64)))
        model.embed(TEXTS[:1])


def see(rows: np.ndarray, *, low: float = 1 - CLOSE, high: float = 1 + CLOSE) -> None:
    sums = rows.sum(-1)
    if not ((low <= sums) & (sums <= high)).all():
        raise NoDistribution(f"probabilities sum to {sums}")


def use_store(path: Path) -> None:
    store = TokenStore(path)
    info(path)
    family = TRAINED[os.getpid() % len(TRAINED)]
    with tempfile.TemporaryDirectory() as folder:
        config = {"loglinear": {"epochs": 1}, "class-ngram": {"classes": 5}}.get(family, {})
        trained: Any = langue.train(family, store.path, Path(folder) / "m", **config)
        trained.score_all(TEXTS)


def use_recipe(path: Path) -> None:
    for file in path.glob("*.toml"):
        read_recipe(str(file))


USES = {"model": use_model, "made": use_model, "store": use_store, "recipe": use_recipe}


def main() -> None:
    logging.disable()
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        kind, _, name = line.rstrip("\n").partition(" ")
        answer = {"outcome": "fine", "message": ""}
        try:
            USES[kind](Path(name))
        except LangueError as error:
            answer = {"outcome": "refused", "message": str(error)}
        except BaseException as error:  # all else is what the campaign looks for
            last = traceback.format_exc(limit=-3)
            answer = {"outcome": "failed", "message": f"{type(error).__name__}: {error}\n{last}"}
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(json.dumps({**answer, "megabytes": megabytes}), flush=True)


if __name__ == "__main__":
    main()
