"""The HMM: its estimation beside hmmlearn's, and as a language model beside n-grams.

    .venv/bin/python benchmarks/hmm.py [--part speed|ptb|neural|large] [--turns 3] [--states 256] [--passes 8]

speed  likelihood curve and CPU time a pass, of all threads together, against CategoricalHMM (which has
       one), from the same start on the same text
ptb    perplexity on the Penn Treebank (Mikolov's), beside the bigram and the 5-gram
neural perplexity of the recipe `ptb-neural-hmm`, whose text is one stream; --set as in `langue train`
large  1,024 states on the 33,278 words of WikiText-2: the start, and one step of stochastic EM

Text is PTB (../shared/data; random words where it is absent), closed to the commonest words of each
row. The two take turns; the best turn of each counts. hmmlearn is measured in both of its ways, "log"
(its default) and "scaling".
"""

import argparse
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from hmmlearn.hmm import CategoricalHMM

import langue
from langue.base.config import read_assignments
from langue.models.states.hmm.baum_welch import (
    Prior,
    Step,
    baum_welch,
    cut,
    expect,
    group_of,
    group_pieces,
    maximize,
)
from langue.models.states.hmm.parameters import Parameters, class_start, random_start
from langue.tokens.store import TokenStore

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PTB = DATA / "ptb" / "train.txt"
WIKITEXT = DATA / "wikitext-2" / "train.txt"
# states, words of the vocabulary, sentences, passes
ROWS = [(8, 200, 2_000, 8), (32, 1_000, 1_000, 3), (64, 2_000, 500, 2), (128, 2_000, 250, 2)]


def sentences(words: int, count: int) -> list[np.ndarray]:
    """Sentences as ids; words beyond the commonest are one word."""
    if not PTB.exists():
        rng = np.random.default_rng(0)
        return [rng.integers(0, words, rng.integers(5, 40)) for _ in range(count)]
    lines = [line.split() for line in PTB.read_text().splitlines()[:count]]
    common = Counter(word for line in lines for word in line).most_common(words - 1)
    ids = {word: number for number, (word, _) in enumerate(common)}
    return [np.array([ids.get(word, words - 1) for word in line]) for line in lines if line]


def peer(start: Parameters, texts: list[np.ndarray], passes: int, how: str) -> tuple[float, np.ndarray]:
    model = CategoricalHMM(
        start.n_states,
        n_iter=passes,
        tol=-np.inf,
        init_params="",
        n_features=len(start.emission),
        implementation=how,
    )
    model.startprob_, model.transmat_ = start.start.numpy(), start.transition.numpy()
    model.emissionprob_ = start.emission.numpy().T
    observed, lengths = np.concatenate(texts)[:, None], [len(ids) for ids in texts]
    started = time.process_time()
    model.fit(observed, lengths)
    return time.process_time() - started, np.array(model.monitor_.history)


def ours(start: Parameters, texts: list[np.ndarray], passes: int) -> tuple[float, np.ndarray]:
    curve: list[float] = []
    size = len(start.emission)
    flat = Prior(0.0, 0.0, torch.full((size,), 1 / size, dtype=torch.float64))

    def after(step: Step) -> bool:
        curve.append(step.log_likelihood)
        return False

    pieces = group_of(texts)
    started = time.process_time()
    baum_welch(start, pieces, flat, iterations=passes, tolerance=-np.inf, after=after)
    return time.process_time() - started, np.array(curve)


def speed(turns: int) -> None:
    print(
        "states  words  tokens   hmmlearn log   scaling    langue   faster than log, scaling   curves apart"
    )
    for K, words, count, passes in ROWS:
        texts = sentences(words, count)
        start = random_start(K, np.full(words, 1 / words), np.random.default_rng(0))
        ours(start, texts[:50], 1)  # compiling is no pass
        times = {"log": [], "scaling": [], "ours": []}
        for _ in range(turns):
            for how in ("log", "scaling"):
                seconds, expected = peer(start, texts, passes, how)
                times[how].append(seconds / passes)
            seconds, curve = ours(start, texts, passes)
            times["ours"].append(seconds / passes)
        log, scaling, own = (min(times[name]) for name in ("log", "scaling", "ours"))
        apart = float(np.abs(curve - expected).max() / np.abs(expected).max())
        print(
            f"{K:6}  {words:5}  {sum(map(len, texts)):6}   {log:10.3f} s {scaling:7.3f} s {own:7.3f} s"
            f"   {log / own:14.1f} x {scaling / own:5.1f} x   {apart:16.1e}",
            flush=True,
        )


def ptb(states: int, passes: int) -> None:
    """Perplexity a token, the end of each sentence a token, `<unk>` a word."""
    if not PTB.exists():
        print(f"ptb: skipped, {PTB} is absent")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        langue.prepare(
            PTB, folder / "store", valid=[PTB.parent / "valid.txt"], test=[PTB.parent / "test.txt"],
            documents="line", kind="whitespace",
        )  # fmt: skip
        runs = {
            f"hmm, {states} states, stochastic EM, {passes} passes": (
                "hmm",
                {"states": states, "iterations": passes, "batch_tokens": 50_000},
            ),
            "2-gram, Kneser-Ney": ("ngram", {"order": 2}),
            "5-gram, Kneser-Ney": ("ngram", {"order": 5}),
        }
        for number, (what, (family, settings)) in enumerate(runs.items()):
            model = langue.train(family, folder / "store", folder / str(number), **settings)
            found = [
                langue.evaluate(model, folder / "store", split=split).perplexity
                for split in ("valid", "test")
            ]
            seconds = model.info()["measured"]["seconds"]
            print(f"{what:48} valid {found[0]:7.1f}   test {found[1]:7.1f}   {seconds:7.1f} s", flush=True)


def neural(settings: list[str]) -> None:
    """Perplexity a token, the end of each line a token, `<unk>` a word."""
    if not PTB.exists():
        print(f"neural: skipped, {PTB} is absent")
        return
    recipe = "ptb-neural-hmm"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        held_out = {split: [PTB.parent / f"{split}.txt"] for split in ("valid", "test")}
        langue.prepare(PTB, folder / "store", recipe=recipe, **held_out)
        model = langue.train(recipe, folder / "store", folder / "model", **read_assignments(settings))
        found = [langue.evaluate(model, folder / "store", split=split).perplexity for split in held_out]
        seconds = model.info()["measured"]["seconds"]
        what = " ".join([recipe, *settings])
        print(f"{what:48} valid {found[0]:7.1f}   test {found[1]:7.1f}   {seconds:7.1f} s", flush=True)


def large(states: int = 1024, batch_tokens: int = 50_000) -> None:
    """Time and memory of one step on the largest model that the settings allow."""
    if not WIKITEXT.exists():
        print(f"large: skipped, {WIKITEXT} is absent")
        return

    def line(what: str, started: float) -> None:
        seconds = time.process_time() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"  {what:46} {seconds:8.1f} s CPU   peak memory so far {peak:5.2f} GB", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        valid = WIKITEXT.parent / "valid.txt"
        langue.prepare(WIKITEXT, path, documents="line", kind="whitespace", valid=[valid])
        store = TokenStore(path)
        pieces = cut(store.split("train").documents(), 256)
        V = store.vocabulary_size
        print(f"large: {states} states, {V:,} words, {len(pieces.tokens):,} tokens")
        started = time.process_time()
        unigram = (np.bincount(pieces.tokens, minlength=V) + 1.0) / (len(pieces.tokens) + V)
        begins = np.zeros(len(pieces.tokens), bool)
        begins[pieces.offsets[:-1]] = True
        draw = np.random.default_rng(0)
        parameters = class_start("ngram", states, pieces.tokens, begins, unigram, draw)
        line("start (classes of words by exchange)", started)
        prior = Prior(5.0, 1.0, torch.from_numpy(unigram))
        started = time.process_time()
        group = group_pieces(pieces, batch_tokens)[-1]
        counts = expect(parameters, pieces, group)
        tokens = int(np.diff(pieces.offsets)[group].sum())
        parameters = maximize(counts.scale(len(pieces.tokens) / tokens), prior, parameters)
        line(f"one step of stochastic EM, {tokens:,} tokens", started)
        again = expect(parameters, pieces, group).log_likelihood
        before, after = (-total / tokens for total in (counts.log_likelihood, again))
        print(f"  nats a token of these tokens: {before:.3f} before, {after:.3f} after")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=["speed", "ptb", "neural", "large"], action="append")
    parser.add_argument("--set", action="append", default=[], help="of the neural HMM")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--states", type=int, default=256)
    parser.add_argument("--passes", type=int, default=8)
    chosen = parser.parse_args()
    for part in chosen.part or ["speed", "ptb"]:
        if part == "speed":
            speed(chosen.turns)
        elif part == "large":
            large()
        elif part == "neural":
            neural(chosen.set)
        else:
            ptb(chosen.states, chosen.passes)


if __name__ == "__main__":
    main()
