"""Small model folders of what came after those that are kept in `tests/compat`: made when they are asked for,
in a second each."""

import json
from pathlib import Path

import langue

MODELS = Path(__file__).parents[1] / "compat" / "data" / "models"
PLACES = ("Rome", "Paris", "Oslo", "Bern", "北京", "上海", "Lima", "Cairo")
SUMMARIES = [
    {
        "text": f"The streets are long. We show how {place} grew. Rain falls {k} times.",
        "summary": f"{place} grew.",
    }
    for k, place in enumerate(PLACES * 4)
]
QUESTIONS = [
    {
        "context": f"The king saw {place}.",
        "qas": [{"id": str(k), "question": "What?", "answers": [{"text": place, "answer_start": 13}]}],
    }
    for k, place in enumerate(PLACES * 2)
]
LABELED = [{"text": f"we saw {place}", "label": "东" if place > "a" else "west"} for place in PLACES * 2]
SEVERAL = [{"text": one["text"], "labels": [one["label"], "all"]} for one in LABELED]
ONCE = {"epochs": 1, "seeds": 1}


def _write(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return path


def make_ranker(folder: Path, beside: Path) -> None:
    langue.train("ranker", _write(beside / "summaries.jsonl", SUMMARIES), folder)


def make_span(folder: Path, beside: Path) -> None:
    path = beside / "questions.json"
    path.write_text(json.dumps({"data": [{"paragraphs": QUESTIONS}]}), encoding="utf-8")
    langue.finetune(MODELS / "bert", path, folder, task="span", valid=path, **ONCE)


def make_calibrated(folder: Path, beside: Path) -> None:
    path = _write(beside / "labeled.jsonl", LABELED)
    langue.finetune(MODELS / "bert", path, folder, task="classify", valid=path, **ONCE)


def make_multilabel(folder: Path, beside: Path) -> None:
    langue.finetune(
        MODELS / "bert", _write(beside / "several.jsonl", SEVERAL), folder, task="multilabel", **ONCE
    )


def make_simcse(folder: Path, beside: Path) -> None:
    lines = beside / "lines.txt"
    lines.write_text("".join(f"{one['text']}\n" for one in SUMMARIES), encoding="utf-8")
    langue.finetune(MODELS / "bert", lines, folder, task="simcse", epochs=1)


def make_copying(folder: Path, beside: Path) -> None:
    """An encoder and decoder that copies from its source."""
    path = _write(beside / "summaries.jsonl", SUMMARIES)
    langue.prepare(path, beside / "store", documents="summaries", valid_fraction=0.2, test_fraction=0.2)
    tiny = {"layers": 1, "width": 8, "heads": 2, "context": 32, "steps": 2, "batch_tokens": 64}
    langue.train("transformer", beside / "store", folder, copy_attention=True, **tiny)


MADE = {
    "ranker": make_ranker,
    "span": make_span,
    "calibrated": make_calibrated,
    "multilabel": make_multilabel,
    "simcse": make_simcse,
    "copying": make_copying,
}


def make(name: str, folder: Path) -> Path:
    """The folder of such a model; what it was trained on stays beside it."""
    beside = folder.with_name(f"{folder.name}.from")
    beside.mkdir(parents=True)
    MADE[name](folder, beside)
    return folder
