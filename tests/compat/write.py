"""Writes `data/`: models, stores and unfinished runs as commit 35113c5 leaves them on disk.

Run it only with the code of that commit: the point of the fixtures is that later code did not write them.

    git worktree add /tmp/old 35113c5
    PYTHONPATH=/tmp/old/src python tests/compat/write.py

On one machine with one torch every run writes the same bytes: clocks and memory are fixed.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # sums of several threads differ in their last bits

import gzip
import hashlib
import itertools
import json
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import figures  # beside this file
import numpy as np
import torch
from langue.models.rnn import RNN

import langue
from langue import export_model, import_model
from langue.base.errors import Interrupted
from langue.models.registry import family as lookup
from langue.training import session

COMMIT = "35113c5"
# SHA-256 of the names and contents of its source files.
CODE = "12b413451125e05bd92a154875b07b94481dc5c5e086db4daeb7e7e521f07039"
LARGE = 100_000  # bytes
DATA = Path(__file__).with_name("data")

SUBJECTS = (("the king", "国王"), ("the old fox", "老狐狸"), ("a poor girl", "穷姑娘"), ("Anna", "安娜"))
VERBS = (("saw", "看见了"), ("followed", "跟着"), ("asked", "问了"), ("painted", "画了"))
OBJECTS = (("the moon", "月亮"), ("a small bird", "小鸟"), ("the river", "大河"), ("a red horse", "红马"))
PLACES = (("in the forest", "在森林里"), ("at night", "在夜里"), ("near the town", "在城边"))

Table = Mapping[str, Any]

# Where the documents of a store come from, its `[data]` and its `[tokenizer]`.
STORES: dict[str, tuple[str, Table, Table]] = {
    "bpe": ("paragraphs.txt", {"documents": "blank-line"}, {"kind": "bpe", "vocabulary": 300}),
    "chars": (
        "paragraphs.txt",
        {"documents": "blank-line", "seed": 3, "normalisation": {"form": "NFKC", "fold_width": True}},
        {"kind": "chars", "vocabulary": 310},
    ),
    "bytes": ("lines.txt", {"documents": "line", "duplicates": "drop"}, {"kind": "bytes"}),
    "words": ("paragraphs.txt", {"documents": "blank-line"}, {"kind": "words", "vocabulary": 300}),
    "wordpiece": (
        "paragraphs.txt",
        {"documents": "blank-line", "near_duplicates": "ignore"},
        {"kind": "wordpiece", "vocabulary": 300},
    ),
    "unigram": (
        "lines.txt",
        {"documents": "line", "normalisation": {"form": "NFC", "fold_width": True}},
        {"kind": "unigram", "vocabulary": 290, "sample_bytes": 4000, "seed": 1},
    ),
    "whitespace": ("lines.txt", {"documents": "line"}, {"kind": "whitespace"}),
    "tabs": ("parallel.txt", {"documents": "line"}, {"kind": "words", "vocabulary": 290}),
}
SHARES = {"valid_share": 0.15, "test_share": 0.15}

TINY = {"layers": 1, "width": 8, "heads": 2, "context": 16}
TRAINING = {
    "steps": 24,
    "batch_tokens": 128,
    "learning_rate": 0.02,
    "evaluations": 2,
    "validation_tokens": 256,
}
SGD = {"optimiser": "sgd", "learning_rate": 2.0, "weight_decay": 0.0, "schedule": "constant", "clip": 0.25}
MUON = {"optimiser": "muon", "matrix_rate": 2.0, "schedule": "linear", "final_rate": 0.05, "warmup": 0.1}
LAMB = {"optimiser": "lamb", "schedule": "wsd", "decay": 0.3, "final_rate": 0.0, "beta2": 0.98}
ADAMW = {"optimiser": "adamw", "beta2": 0.99, "average": 0.8, "recompute": True, "micro_tokens": 64}

# The family of a language model, the store it learns from, its `[model]` and its `[training]`.
MODELS: dict[str, tuple[str, str, Table, Table]] = {
    "ngram": ("ngram", "words", {"order": 3}, {}),
    "ngram-pruned": ("ngram", "words", {"order": 4, "prune": [0, 1]}, {}),
    "ngram-entropy": ("ngram", "bpe", {"order": 3, "prune_entropy": 1e-3}, {}),
    "ngram-quantised": (
        "ngram",
        "chars",
        {"order": 3, "prune": [0, 0, 1], "prune_entropy": 1e-4, "quantise": True},
        {},
    ),
    "ngram-add-k": ("ngram", "bytes", {"order": 2, "smoothing": "add-k", "k": 0.25}, {}),
    "ngram-absolute": ("ngram", "unigram", {"order": 3, "smoothing": "absolute", "memory": 16}, {}),
    "ngram-witten-bell": ("ngram", "wordpiece", {"order": 3, "smoothing": "witten-bell"}, {}),
    "ngram-stupid-backoff": ("ngram", "unigram", {"order": 2, "smoothing": "stupid-backoff"}, {}),
    "ngram-closed": ("ngram", "whitespace", {"order": 3}, {}),
    "markov": ("markov", "bytes", {"order": 2, "add": 0.5}, {}),
    "markov-likelihood": ("markov", "words", {"order": 1}, {}),
    "class-ngram": ("class-ngram", "words", {"order": 3, "classes": 12}, {}),
    "infinigram": ("infinigram", "bpe", {"add": 0.1}, {}),
    "mixture": ("mixture", "words", {"models": ["models/ngram-pruned", "models/class-ngram"]}, {}),
    "loglinear": (
        "loglinear",
        "words",
        {"order": 3, "skips": True, "epochs": 2, "learning_rate": 0.2, "l1": 0.25, "l2": 0.1, "seed": 1},
        {},
    ),
    "hmm": (
        "hmm",
        "chars",
        {"states": 6, "initialisation": "kmeans", "iterations": 8, "tolerance": 0.001, "emission_prior": 2.0},
        {},
    ),
    "hmm-second": (
        "hmm",
        "words",
        {
            "states": 4,
            "order": 2,
            "initialisation": "random",
            "restarts": 2,
            "iterations": 6,
            "transition_prior": 0.5,
            "seed": 2,
        },
        {},
    ),
    "neural-hmm": (
        "neural-hmm",
        "bytes",
        {"states": 16, "clusters": 4, "width": 8, "dropout": 0.25, "context": 16},
        {"checkpoint_minutes": 2.0, "keep_checkpoints": 1},
    ),
    "nplm": (
        "nplm",
        "words",
        {"size": "small", "order": 3, "width": 4, "hidden": 4, "direct": True, "dropout": 0.1},
        {},
    ),
    "rnn": (
        "rnn",
        "bpe",
        {
            "layers": 2,
            "width": 8,
            "context": 8,
            "dropout": 0.2,
            "locked": True,
            "weight_drop": 0.2,
            "tied": True,
        },
        SGD,
    ),
    "rnn-gru": ("rnn", "whitespace", {"cell": "gru", "layers": 1, "width": 8, "context": 8}, LAMB),
    "rnn-elman": ("rnn", "whitespace", {"cell": "elman", "layers": 1, "width": 8, "context": 8}, {}),
    "charcnn": (
        "charcnn",
        "words",
        {"layers": 1, "width": 4, "context": 8, "characters": 3, "dropout": 0.1},
        {"schedule": "constant"},
    ),
    "transformer": ("transformer", "tabs", {**TINY, "separator": "\t", "norm": "pre", "dropout": 0.1}, {}),
    "transformer-parts": ("transformer", "whitespace", {**TINY, "norm": "post"}, ADAMW),
    "gpt2": ("gpt2", "bpe", {**TINY, "dropout": 0.1, "tied": False}, ADAMW),
    "gpt2-later": (
        "gpt2",
        "bpe",
        {
            **TINY,
            "position": "rotary",
            "norm": "rms",
            "activation": "swiglu",
            "qk_norm": True,
            "key_value_heads": 1,
            "z_loss": 1e-4,
        },
        MUON,
    ),
    "gpt2-squared": (
        "gpt2",
        "chars",
        {**TINY, "activation": "relu2"},
        {"precision": "float32", "log_every": 5},
    ),
    "bert": ("bert", "bpe", {**TINY, "inner": 16, "dropout": 0.1, "masked": 0.2, "pairs": "next"}, LAMB),
    "bert-disentangled": (
        "bert",
        "whitespace",
        {
            **TINY,
            "attention": "disentangled",
            "decoder": True,
            "pairs": "none",
            "unit": "span",
            "packed": False,
        },
        MUON,
    ),
    "bert-started": (
        "bert",
        "chars",
        {"start": "models/bert", "context": 24, "pairs": "none", "unit": "token"},
        {},
    ),
    "albert": (
        "albert",
        "bpe",
        {**TINY, "layers": 2, "embedding": 4, "position": "relative", "unit": "n-gram", "pairs": "order"},
        {},
    ),
    "albert-started": ("albert", "bpe", {"start": "models/bert", "embedding": 4, "pairs": "none"}, {}),
    "pair": (
        "pair",
        "bpe",
        {**TINY, "share": "gradient-disentangled", "generator_heads": 1, "embedding": 4, "weight": 20.0},
        ADAMW,
    ),
    "pair-all": ("pair", "chars", {**TINY, "share": "all", "attention": "disentangled"}, {}),
    "pair-embedding": ("pair", "whitespace", {**TINY, "share": "embedding"}, {}),
    "bert2bert": ("bert2bert", "tabs", {"start": "models/bert", "separator": "\t", "dropout": 0.1}, {}),
}

# The family of a tagger, the file it learns from, its `[model]` and its `[data]`.
TAGGERS: dict[str, tuple[str, str, Table, Table]] = {
    "crf": ("crf", "names.conll", {"encoding": "BIO", "l1": 0.1, "l2": 0.2, "iterations": 20}, {}),
    "crf-passes": (
        "crf",
        "names.conll",
        {"templates": ["word[-1..1]", "suffix2", "shape", "spelled"], "passes": 2, "minimum_count": 2},
        {"columns": ["word", "-", "tag"]},
    ),
    "crf-characters": (
        "crf",
        "characters.jsonl",
        {
            "algorithm": "sgd",
            "iterations": 8,
            "seed": 1,
            "all_possible_transitions": True,
            "constraints": False,
        },
        {"format": "jsonl"},
    ),
    "hmm-tagger": ("hmm-tagger", "words.conllu", {"longest_ending": 4}, {"columns": ["word", "xpos"]}),
    "hmm-tagger-first": (
        "hmm-tagger",
        "characters.jsonl",
        {"order": 1, "decoding": "posterior", "encoding": "given"},
        {},
    ),
    "rnn-tagger": (
        "rnn-tagger",
        "names.conll",
        {
            "characters": "lstm",
            "word_width": 8,
            "character_width": 4,
            "width": 8,
            "dropout": 0.2,
            "epochs": 6,
            "learning_rate": 0.03,
            "seeds": 2,
        },
        {"columns": ["word", "pos", "tag"]},
    ),
    "rnn-tagger-softmax": (
        "rnn-tagger",
        "characters.jsonl",
        {
            "head": "softmax",
            "characters": "none",
            "word_width": 8,
            "width": 8,
            "epochs": 6,
            "learning_rate": 0.03,
        },
        {},
    ),
}

LESSON = {"epochs": 4, "batch": 8, "learning_rate": 0.02, "weight_decay": 0.02, "seeds": 2, "dropout": 0.05}
# The encoder, the task, the labelled file, the settings.
FINETUNED: dict[str, tuple[str, str, str, Table]] = {
    "classifier": ("bert", "classify", "topics.tsv", {**LESSON, "pool": "mean"}),
    "classifier-pair": ("albert", "pair", "pairs.jsonl", {**LESSON, "pool": "cls", "seed": 3}),
    "classifier-random": ("pair-embedding", "classify", "topics.tsv", {**LESSON, "start": "random"}),
    "encoder-tagger": ("bert-started", "tag", "characters.jsonl", {**LESSON, "encoding": "BIO"}),
    "encoder-tagger-softmax": (
        "bert",
        "tag",
        "names.conll",
        {**LESSON, "head": "softmax", "constraints": False, "columns": ["word", "-", "tag"]},
    ),
}

# Runs that are stopped: family, store, `[model]`, `[training]`, and the step after which they were.
RUNS: dict[str, tuple[str, str, Table, Table, int]] = {
    "gpt2": (
        "gpt2",
        "whitespace",
        {**TINY, "dropout": 0.1},
        {**MUON, "average": 0.8, "micro_tokens": 64},
        14,
    ),
    "rnn": (
        "rnn",
        "whitespace",
        {"layers": 1, "width": 8, "context": 8, "dropout": 0.2, "locked": True, "weight_drop": 0.2},
        {**ADAMW, "recompute": False, "batch_tokens": 64},
        14,
    ),
}


class Clock:
    """A clock that a call moves: the same times in every run."""

    def __init__(self) -> None:
        self.calls = itertools.count()

    def __call__(self) -> float:
        return next(self.calls) / 1024


def sentences(draw: random.Random) -> tuple[str, str]:
    """One in English and the same in Chinese."""
    (s, s2), (v, v2), (o, o2), (p, p2) = (draw.choice(some) for some in (SUBJECTS, VERBS, OBJECTS, PLACES))
    return f"{s[0].upper()}{s[1:]} {v} {o} {p}.", f"{s2}{p2}{v2}{o2}。"


def write_texts(folder: Path) -> None:
    draw = random.Random(1)
    both = [sentences(draw) for _ in range(96)]
    paragraphs = [" ".join(english for english, _ in both[n : n + 3]) for n in range(0, 96, 3)]
    paragraphs += ["".join(chinese for _, chinese in both[n : n + 3]) for n in range(0, 96, 3)]
    draw.shuffle(paragraphs)
    mixed = [f"{english} {chinese}" for english, chinese in both[:40]]
    texts = {
        "paragraphs.txt": "\n\n".join(paragraphs),
        "lines.txt": "\n".join([f"{english[:-1]} ." for english, _ in both[:50]] + mixed),
        "parallel.txt": "\n".join(f"{english}\t{chinese}" for english, chinese in both),
        "held-out.txt": "The king saw a red horse near the town .\n安娜 在夜里 看见了 月亮 。\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text + "\n", encoding="utf-8")


def named_tokens(draw: random.Random) -> Iterator[tuple[str, str, str]]:
    """Words of a sentence with their part of speech, and names tagged as spans."""
    person = draw.choice(("Anna Berg", "Karl", "Maria de Luca"))
    town = draw.choice(("Paris", "New York", "Wien"))
    verb = draw.choice(("visited", "left", "painted"))
    for name, kind in ((person, "PER"), (verb, ""), ("old", ""), (town, "LOC"), ("in", ""), ("May", "")):
        for index, word in enumerate(name.split()):
            pos = "NNP" if kind else {"old": "JJ", "in": "IN", "May": "NNP"}.get(word, "VBD")
            yield word, pos, f"{'I' if index else 'B'}-{kind}" if kind else "O"
    yield ".", ".", "O"


def write_tagged(folder: Path) -> None:
    draw = random.Random(2)
    found = [list(named_tokens(draw)) for _ in range(36)]
    conll = []
    for number, tokens in enumerate(found):
        start = "-DOCSTART-\t-X-\tO\n\n" if number % 4 == 0 else ""
        conll.append(start + "".join("\t".join(token) + "\n" for token in tokens))
    (folder / "names.conll").write_text("\n".join(conll), encoding="utf-8")
    conllu = []
    for number, tokens in enumerate(found):
        rows = [
            f"{n}\t{w}\t{w.lower()}\t_\t{pos}\t_\t_\t_\t_\t_\n" for n, (w, pos, _) in enumerate(tokens, 1)
        ]
        conllu.append(f"# sent_id = {number}\n" + "".join(rows))
    (folder / "words.conllu").write_text("\n".join(conllu) + "\n", encoding="utf-8")
    records = []
    for _ in range(36):
        name, town = draw.choice(("王小明", "李华", "安娜")), draw.choice(("北京", "上海", "维也纳"))
        parts = ((name, "PER"), (draw.choice(("去了", "喜欢", "离开")), ""), (town, "LOC"), ("。", ""))
        pairs = [
            (character, f"{'I' if index else 'B'}-{kind}" if kind else "O")
            for part, kind in parts
            for index, character in enumerate(part)
        ]
        tokens, tags = (list(column) for column in zip(*pairs, strict=True))
        records.append(json.dumps({"tokens": tokens, "tags": tags}, ensure_ascii=False))
    (folder / "characters.jsonl").write_text("\n".join(records) + "\n", encoding="utf-8")


def write_labelled(folder: Path) -> None:
    draw = random.Random(3)
    topics, pairs = [], []
    for _ in range(60):
        thing = draw.choice(OBJECTS)
        label = "sky" if thing[0] in ("the moon", "the river") else "animal"
        subject, verb = draw.choice(SUBJECTS), draw.choice(VERBS)
        english, chinese = f"{subject[0]} {verb[0]} {thing[0]}.", f"{subject[1]}{verb[1]}{thing[1]}。"
        topics.append(f"{draw.choice((english, chinese))}\t{label}")
        same = draw.random() < 0.5
        other = thing if same else draw.choice([one for one in OBJECTS if one is not thing])
        record = {"text": english, "second": f"{subject[0]} {verb[0]} {other[0]}.", "label": str(same)}
        pairs.append(json.dumps(record, ensure_ascii=False))
    (folder / "topics.tsv").write_text("\n".join(topics) + "\n", encoding="utf-8")
    (folder / "pairs.jsonl").write_text("\n".join(pairs) + "\n", encoding="utf-8")


def write_recipe(name: str, family: str, sections: Mapping[str, Table]) -> Path:
    """A recipe as a user writes it, with the settings' names of that commit."""
    lines = [f'family = "{family}"']
    for section, table in sections.items():
        if table:
            lines += ["", f"[{section}]", *(f"{key} = {toml(value)}" for key, value in table.items())]
    path = Path("recipes") / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)  # of strings, numbers, booleans and lists both write the same


def write_stores() -> None:
    for name, (text, data, tokenizer) in STORES.items():
        recipe = write_recipe(f"store-{name}", "ngram", {"data": SHARES | data, "tokenizer": tokenizer})
        langue.prepare(f"texts/{text}", f"stores/{name}", recipe=recipe)


def thinned(save: Callable[[Any, Path], None]) -> Callable[[Any, Path], None]:
    """`save` of a model whose large matrices are mostly zeros: the highway of Kim et al. has two megabytes
    whatever the width, and packs to little that way."""

    def write(model: Any, folder: Path) -> None:
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.numel() > 4096:
                    parameter.view(-1)[torch.arange(parameter.numel()) % 509 != 0] = 0.0
        save(model, folder)

    return write


def pack() -> None:
    """Compress the largest files; `test_compat.py` unpacks them."""
    for path in sorted(Path("models").rglob("*")):
        if path.is_file() and path.stat().st_size > LARGE:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
            path.unlink()


def write_models() -> None:
    RNN.save = thinned(RNN.save)  # what a charcnn is
    for name, (family, store, model, training) in MODELS.items():
        by_gradient = lookup(family).estimated_by == "gradient"
        sections = {"model": model, "training": TRAINING | training if by_gradient else {}}
        langue.train(write_recipe(name, family, sections), f"stores/{store}", f"models/{name}")
    langue.train("ngram", "texts/lines.txt", "models/ngram-text", order=3)
    export_model("models/ngram-text", "texts/lines.arpa")
    import_model("texts/lines.arpa", "models/ngram-arpa")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("gpt2-released", "bert-released"):
            there = Path(folder) / name
            source = write_source_of(name)
            export_model(source, there)
            import_model(there, f"models/{name}")
            shutil.rmtree(source)


def write_source_of(name: str) -> Path:
    """A model of a shape that Hugging Face has, to be exported and removed."""
    family = name.partition("-")[0]
    langue.train(family, "stores/bpe", "models/source", **(TINY | TRAINING))
    return Path("models/source")


def write_taggers() -> None:
    for name, (family, file, model, data) in TAGGERS.items():
        recipe = write_recipe(name, family, {"model": model, "data": data})
        valid = f"texts/{file}" if family == "rnn-tagger" else None
        langue.train(recipe, f"texts/{file}", f"models/{name}", valid=valid)
    for name, (encoder, task, file, settings) in FINETUNED.items():
        langue.finetune(f"models/{encoder}", f"texts/{file}", f"models/{name}", task=task, **settings)


def write_runs() -> None:
    for name, (family, store, model, training, step) in RUNS.items():
        recipe = write_recipe(f"run-{name}", family, {"model": model, "training": TRAINING | training})
        langue.train(recipe, f"stores/{store}", f"runs/{name}/straight")
        stop_at(step, recipe, f"stores/{store}", f"runs/{name}/model")


def stop_at(step: int, recipe: Path, store: str, output: str) -> None:
    """Train, with Ctrl-C at a step."""
    plain = session.Session._show

    def show(self: Any, *inputs: Any) -> None:
        plain(self, *inputs)
        if self.trainer.state.step == step - 1:  # the step that runs when it comes is finished
            signal.raise_signal(signal.SIGINT)

    session.Session._show = show
    try:
        langue.train(recipe, store, output)
    except Interrupted:
        return
    finally:
        session.Session._show = plain
    raise SystemExit(f"{output} was not interrupted")


def measured_on(name: str) -> str | None:
    """What a model is evaluated on: its store, or a file. Scores of stupid backoff are no probabilities."""
    if name == "ngram-stupid-backoff":
        return None
    if name in MODELS:
        return f"stores/{MODELS[name][1]}"
    if name in TAGGERS:
        return f"texts/{TAGGERS[name][1]}"
    if name in FINETUNED:
        return f"texts/{FINETUNED[name][2]}"
    return "stores/bpe" if name == "bert-released" else "texts/held-out.txt"


def expected() -> dict[str, Any]:
    models = {
        name: {"on": measured_on(name), **figures.of_model(f"models/{name}", measured_on(name))}
        for name in sorted(path.name for path in Path("models").iterdir())
    }
    stores = {name: figures.of_store(f"stores/{name}") for name in STORES}
    runs = {
        name: {"store": f"stores/{store}", "step": step, "final": figures.of_model(f"runs/{name}/straight")}
        for name, (_, store, _, _, step) in RUNS.items()
    }
    made = {"commit": COMMIT, "torch": torch.__version__, "numpy": np.__version__}
    return {"written_by": made, "stores": stores, "models": models, "runs": runs}


def dumps(table: Mapping[str, Any], depth: int = 3) -> str:
    """JSON with a line for each figure: short, and a change is seen where it is."""
    if not depth or not isinstance(table, dict):
        return json.dumps(table, ensure_ascii=False)
    indent = "  " * (4 - depth)
    lines = [f"{indent}{json.dumps(key)}: {dumps(value, depth - 1)}" for key, value in table.items()]
    return "{\n" + ",\n".join(lines) + "\n" + indent[2:] + "}"


def check_code() -> None:
    """Refuse any other code than that of the commit."""
    package = Path(langue.__file__).parent
    found = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        found.update(f"{file.relative_to(package).as_posix()}\n".encode() + file.read_bytes())
    if found.hexdigest() != CODE:
        raise SystemExit(f"{package} is not the code of {COMMIT}; these fixtures are written by it alone")


def main(parts: Sequence[str] = ("texts", "stores", "models", "runs", "recipes")) -> None:
    check_code()
    torch.set_num_threads(1)
    time.perf_counter = Clock()
    session.peak_memory = lambda: 1 << 28
    for part in parts:
        shutil.rmtree(DATA / part, ignore_errors=True)
        (DATA / part).mkdir(parents=True)
    os.chdir(DATA)  # paths that a model keeps are relative
    write_texts(Path("texts"))
    write_tagged(Path("texts"))
    write_labelled(Path("texts"))
    write_stores()
    write_models()
    write_taggers()
    write_runs()
    found = expected()
    pack()
    Path("expected.json").write_text(dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
