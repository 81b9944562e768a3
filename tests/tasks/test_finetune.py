"""Fine-tuning: what is learned from labeled texts, by the library and by the verbs."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import langue
from langue import cli
from langue.corpus.labeled import Example
from langue.models.encoders.classifier import EncoderClassifier
from langue.models.folder import describe, load
from langue.tasks.calibration import best_temperature
from langue.tasks.classification import Reader, measure
from langue.tasks.classify import ClassifyConfig, Text, class_weights, loss
from langue.tasks.task import settled
from langue.tokens.masked import NONE, pack_examples
from langue.tokens.store import TOKENIZER
from langue.tokens.tokenizer import Tokenizer

GOOD = ("good", "great", "fine", "lovely")
BAD = ("bad", "awful", "poor", "天下")
FAST = {"epochs": 4, "learning_rate": 3e-3, "batch_size": 16}


@pytest.fixture(scope="module")
def encoder(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder") / "bert"
    tiny = {
        "size": "tiny",
        "layers": 1,
        "width": 32,
        "heads": 2,
        "context": 32,
        "steps": 5,
        "batch_tokens": 256,
    }
    langue.train("bert", small_store, folder, **tiny, **{"model.dropout": 0.0})
    return folder


def texts(count: int, seed: int) -> list[tuple[str, str]]:
    """A film is called by a word, which says what it is."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        kind = int(draw.integers(2))
        word = (BAD, GOOD)[kind][draw.integers(4)]
        found.append((f"The king saw a {word} film, number {draw.integers(1000)}.", ("no", "yes")[kind]))
    return found


def write(path: Path, rows: list[tuple[str, ...]]) -> Path:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("labeled")
    return {
        name: write(folder / f"{name}.tsv", texts(count, seed))
        for name, count, seed in (("train", 200, 0), ("valid", 60, 1), ("test", 60, 2))
    }


@pytest.fixture(scope="module")
def tuned(encoder: Path, files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tuned") / "classifier"
    found = langue.finetune(
        encoder, files["train"], folder, valid=files["valid"], test=files["test"], seeds=2, **FAST
    )
    return folder, found


def test_learns_and_tells_the_spread_of_seeds(tuned: Any, files: dict[str, Path]) -> None:
    folder, found = tuned
    assert len(found.valid) == len(found.test) == len(found.epochs) == 2
    assert found.valid[found.best].accuracy == max(scores.accuracy for scores in found.valid) > 0.95
    assert "±" in str(found)
    assert all((folder / f"seed-{seed}" / "metrics.jsonl").stat().st_size for seed in (0, 1))
    assert found.to_json()["best_seed"] in (0, 1)
    model = langue.load(folder)
    assert model.classify("The king saw a lovely film.")[0][0] == "yes"
    assert model.classify("The king saw a awful film.")[0][0] == "no"
    assert sum(share for _, share in model.classify("x")) == pytest.approx(1)
    # What was measured while it was made is what the folder measures.
    again = langue.evaluate(folder, files["test"])
    assert again.scores == found.test[found.best]
    assert "no bits per byte" in str(again)


def test_files_that_share_texts_are_told(
    encoder: Path, files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    once = {"seeds": 1, "epochs": 1}
    others = [(f"another text {number}", "yes") for number in range(20)]
    apart = write(tmp_path / "apart.tsv", others)
    langue.finetune(encoder, files["valid"], tmp_path / "apart", valid=apart, **once)
    assert "leak" not in caplog.text
    copied = write(tmp_path / "copied.tsv", [*texts(60, 1)[:7], *others])
    langue.finetune(
        encoder, files["valid"], tmp_path / "same", valid=files["valid"], test=copied, overwrite=True, **once
    )
    assert (
        "leak: examples that also stand in train: 60 of the 60 of valid, 7 of the 27 of test;" in caplog.text
    )


def test_answers_do_not_depend_on_what_stands_beside(tuned: Any) -> None:
    model = langue.load(tuned[0])
    some = [(text,) for text, _ in texts(80, 5)] + [("",), ("a good film " * 40,)]
    together = model.classify_all(some)
    for one, other in zip(together[::17], (model.classify(*example) for example in some[::17]), strict=True):
        assert dict(one) == pytest.approx(dict(other), abs=1e-5)


def test_same_seed_same_weights(encoder: Path, files: dict[str, Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        langue.finetune(encoder, files["valid"], tmp_path / name, seeds=1, epochs=1)
    one, two = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two


def test_starts_from_the_encoder_or_at_random(encoder: Path, files: dict[str, Path], tmp_path: Path) -> None:
    """After a step of no length, the weights are those it started from."""
    still = {"seeds": 1, "epochs": 1, "learning_rate": 1e-30, "weight_decay": 0.0}
    langue.finetune(encoder, files["valid"], tmp_path / "same", **still)
    langue.finetune(encoder, files["valid"], tmp_path / "new", init="random", **still)
    source: Any = load(encoder).model
    same, new = (langue.load(tmp_path / name).folder.model for name in ("same", "new"))
    weight = source.embeddings.word.weight
    assert torch.equal(same.encoder.embeddings.word.weight, weight)
    assert torch.equal(same.pool.weight, source.pooler.weight)
    assert not torch.equal(new.encoder.embeddings.word.weight, weight)


def test_the_mean_of_the_tokens_is_pooled_where_asked_for(
    encoder: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    still = {"seeds": 1, "epochs": 1, "learning_rate": 1e-30, "weight_decay": 0.0}
    langue.finetune(encoder, files["valid"], tmp_path / "mean", pooling="mean", **still)
    model = langue.load(tmp_path / "mean")
    some = [(text,) for text, _ in texts(9, 5)] + [("",)]
    tuned, reader = model.folder.model, model.reader
    tuned.set_temperature(1.0)  # which is looked at below
    read = reader.read([Example(each, "", "") for each in some])
    means = [states.mean(0) for states in tuned.encoder.hidden([ids for ids, _ in read])]
    with torch.no_grad():
        wanted = tuned.out(torch.tanh(tuned.pool(torch.from_numpy(np.stack(means))))).softmax(-1)
    for scores, row in zip(model.classify_all(some), wanted, strict=True):
        assert dict(scores) == pytest.approx(dict(zip(("no", "yes"), row.tolist(), strict=True)), abs=1e-5)


def test_what_is_pooled_is_what_the_encoder_was_trained_with(
    encoder: Path, small_store: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    """A [CLS] that no pair of passages was told by says little."""
    tiny = {
        "size": "tiny",
        "layers": 1,
        "width": 32,
        "heads": 2,
        "context": 32,
        "steps": 1,
        "batch_tokens": 256,
    }
    langue.train("bert", small_store, tmp_path / "alone", sentence_pairs="none", **tiny)
    for folder, pool in ((encoder, "cls"), (tmp_path / "alone", "mean")):
        langue.finetune(folder, files["valid"], tmp_path / pool, seeds=1, epochs=1)
        assert langue.load(tmp_path / pool).folder.model.config.pooling == pool


def test_pairs(encoder: Path, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    rows = []
    for _ in range(160):
        words = draw.choice(GOOD + BAD, 2, replace=False).tolist()
        same = int(draw.integers(2))
        rows.append((words[0], words[0] if same else words[1], str(same)))
    found = langue.finetune(
        encoder, write(tmp_path / "pairs.tsv", rows), tmp_path / "m", task="pair", seeds=1, epochs=1
    )
    assert found.valid[0].examples > 5  # a tenth was held out
    model = langue.load(tmp_path / "m")
    assert len(model.classify("good", "bad")) == 2
    with pytest.raises(langue.LangueError, match=r"reads 2 text\(s\) at a time, not 1"):
        model.classify("good")


def test_examples_are_framed_and_the_longer_part_is_cut(encoder: Path) -> None:
    loaded = load(encoder)
    tokenizer = Tokenizer.load(encoder / TOKENIZER)
    cls, sep, _ = loaded.model.specials
    reader = Reader(loaded.model, tokenizer, loaded.normalization)
    short, long = "the king", "Long live the queen! " * 20
    (ids, types), (one, _) = reader.read([Example(("a", short), "", ""), Example((long,), "", "")])
    a, b = tokenizer.encode("a").tolist(), tokenizer.encode(short).tolist()
    assert ids.tolist() == [cls, *a, sep, *b, sep]
    assert types.tolist() == [0] * (len(a) + 2) + [1] * (len(b) + 1)
    assert len(one) == 32
    assert (one[0], one[-1]) == (cls, sep)
    assert reader.truncated == 1
    for first, second in ((long, short), (short, long), (long, long)):
        ids, types = reader.read([Example((first, second), "", "")])[0]
        assert len(ids) == 32
        assert int((ids == sep).sum()) == 2
        lengths = [int((types == 0).sum()) - 2, int((types == 1).sum()) - 1]
        whole = [len(tokenizer.encode(text)) for text in (first, second)]
        kept = [min(part, 14) for part in whole]
        assert all(length >= least for length, least in zip(lengths, kept, strict=True))


def test_packing_holds_every_example_once() -> None:
    draw = np.random.default_rng(0)
    examples = [(np.full(n, n), np.arange(n) % 2) for n in draw.integers(2, 20, 30)]
    batch = pack_examples(examples, 24)
    assert batch.inputs.shape[1] <= 24
    assert len(batch.inputs) <= sum(len(ids) for ids, _ in examples) / 24 * 1.25 + 1
    for number, (ids, types) in enumerate(examples):
        here = batch.segments == number
        assert batch.inputs[here].tolist() == ids.tolist()
        assert batch.types[here].tolist() == types.tolist()
        assert batch.positions[here].tolist() == list(range(len(ids)))
        assert batch.pairs[here].tolist() == [number] + [NONE] * (len(ids) - 1)
    # Attention takes the square of a row's length: a long window makes no row of short texts longer.
    assert pack_examples(examples * 9, 1000).inputs.shape[1] <= 64
    assert pack_examples([*examples, (np.zeros(90), np.zeros(90))], 1000).inputs.shape[1] == 90


def test_figures_are_those_of_the_definitions() -> None:
    answers, guesses = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 0, 1, 1, 2, 0])
    scores = measure(guesses, answers)
    assert scores.accuracy == scores.micro_f1 == pytest.approx(4 / 6)
    each = [2 * 2 / (2 * 2 + 1 + 1), 2 * 1 / (2 * 1 + 1 + 0), 2 * 1 / (2 * 1 + 0 + 1)]
    assert scores.macro_f1 == pytest.approx(np.mean(each))


def test_verbs(
    tuned: Any, encoder: Path, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str | Path, code: int = 0) -> str:
        capsys.readouterr()
        assert cli.run([str(argument) for argument in arguments]) == code
        printed = capsys.readouterr()
        return printed.err if code else printed.out

    folder = tuned[0]
    assert run("classify", folder, "The king saw a lovely film.").startswith("yes ")
    lines = tmp_path / "lines.txt"
    lines.write_text("a good film\n天下\n", encoding="utf-8")
    found = json.loads(run("classify", folder, lines, "--json", "--top", "2"))
    assert [len(row["labels"]) for row in found] == [2, 2]
    assert "accuracy" in run("evaluate", folder, files["test"])
    beside = json.loads(run("evaluate", folder, files["test"], "--train", files["valid"], "--json"))
    assert beside["accuracy_interval"][0] <= beside["accuracy"] and "naive Bayes" in beside["baselines"]
    assert "the model is" in run("evaluate", folder, files["test"], "--train", files["valid"])
    assert "classifier" in run("info", folder)
    args = (
        "finetune",
        encoder,
        files["valid"],
        "-o",
        tmp_path / "m",
        "--set",
        "epochs=1",
        "--set",
        "seeds=1",
    )
    assert "accuracy" in run(*args)
    assert "--overwrite" in run(*args, code=2)
    unseen = write(tmp_path / "unseen.tsv", [("x", "maybe")])
    assert "the label maybe is not in the training file" in run(
        "finetune", encoder, files["train"], "--valid", unseen, "-o", tmp_path / "n", code=2
    )
    one = write(tmp_path / "one.tsv", [(text, "same") for text, _ in texts(30, 1)])
    assert "one label only" in run("finetune", encoder, one, "-o", tmp_path / "n", code=2)
    assert "did you mean epochs" in run(
        "finetune", encoder, files["train"], "-o", tmp_path / "n", "--set", "epoch=1", code=2
    )
    assert "is no classifier" in run("classify", encoder, "x", code=2)
    assert "is a classifier" in run("fill", folder, "x [MASK]", code=2)
    assert "langue finetune" in run("train", "classifier", files["train"], "-o", tmp_path / "n", code=2)
    assert not (tmp_path / "n").exists()


def test_a_label_that_only_held_out_texts_have(encoder: Path, tmp_path: Path) -> None:
    """It is in the file, so it is no mistake of the user's; and it is learned from, not held out."""
    rows = [*texts(120, 5), *((f"rare {number}", f"label {number}") for number in range(40))]
    data = write(tmp_path / "rare.tsv", rows)
    found = langue.finetune(encoder, data, tmp_path / "m", seeds=1, epochs=1)
    assert found.valid[0].examples > 1
    assert describe(tmp_path / "m").data["examples"] == 160 - found.valid[0].examples
    assert len(langue.load(tmp_path / "m").classify("x")) == 42
    assert "1 seed; F1 counts each text" in str(found)


def test_ctrl_c_keeps_the_best_epoch_and_before_one_nothing(
    encoder: Path,
    files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = []
    original = EncoderClassifier.forward

    def stopped(self: EncoderClassifier, batch: Any) -> Any:
        calls.append(batch)
        if len(calls) == stop_at:
            signal.raise_signal(signal.SIGINT)
        return original(self, batch)

    monkeypatch.setattr(EncoderClassifier, "forward", stopped)

    def run(name: str, *more: str) -> str:
        given = ["finetune", encoder, files["train"], "--valid", files["valid"], "-o", tmp_path / name]
        assert cli.run([*map(str, given), *more]) == 130
        return capsys.readouterr().err

    stop_at = 10  # seven batches and one to measure: in the second epoch
    message = run("m")
    assert f"--resume goes on. The best model so far is in {tmp_path / 'm'}" in message
    measured = langue.load(tmp_path / "m").info()["measured"]
    assert (measured["best_epochs"], measured["best_seed"]) == ([1], 0)
    assert measured["interrupted"]
    calls.clear()
    stop_at = 3 * 8 + 1 + 2  # in the first epoch of the second seed: the best of a seed is measured once more
    run("two")
    assert langue.load(tmp_path / "two").info()["measured"]["best_seed"] == 0
    calls.clear()
    stop_at = 2
    assert "no model was written; the same command with --resume goes on" in run("none")
    assert not (tmp_path / "none").exists()
    # What goes on ends at the bits of what was never stopped, whether there was a model already or not.
    stop_at = 0
    langue.finetune(encoder, files["train"], tmp_path / "straight", valid=files["valid"])
    for name in ("m", "two", "none"):
        with pytest.raises(langue.LangueError, match="unfinished run; go on with resume=True"):
            langue.finetune(encoder, files["train"], tmp_path / name, valid=files["valid"])
        langue.finetune(encoder, files["train"], tmp_path / name, valid=files["valid"], resume=True)
        straight, resumed = (tmp_path / which for which in ("straight", name))
        weights = [(folder / "weights.safetensors").read_bytes() for folder in (straight, resumed)]
        assert weights[0] == weights[1]
        facts = [langue.load(folder).info()["measured"] for folder in (straight, resumed)]
        assert [facts[0][key] for key in ("valid", "best_epochs")] == [
            facts[1][key] for key in ("valid", "best_epochs")
        ]
        assert not facts[1]["interrupted"]
        assert not (tmp_path / f"{name}.run").exists()


def test_a_run_of_another_file_or_task_is_not_resumed(
    encoder: Path, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = EncoderClassifier.forward

    def stopped(self: EncoderClassifier, batch: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return original(self, batch)

    with monkeypatch.context() as patch, pytest.raises(langue.LangueError, match="interrupted"):
        patch.setattr(EncoderClassifier, "forward", stopped)
        langue.finetune(encoder, files["train"], tmp_path / "m", valid=files["valid"])
    with pytest.raises(langue.LangueError, match="run of another files"):
        langue.finetune(encoder, files["test"], tmp_path / "m", valid=files["valid"], resume=True)
    with pytest.raises(langue.LangueError, match=r"run of another model: dropout 0\.1, now 0\.2"):
        langue.finetune(
            encoder, files["train"], tmp_path / "m", valid=files["valid"], resume=True, dropout=0.2
        )


@pytest.mark.parametrize("micro", [40, 100])
def test_the_same_batch_in_pieces_gives_the_same_weights(
    encoder: Path, files: dict[str, Path], tmp_path: Path, micro: int
) -> None:
    settings = {"seeds": 1, "epochs": 1, "dropout": 0.0, "precision": "float32", "learning_rate": 1e-3}
    for name, more in (("whole", {}), ("pieces", {"micro_batch_tokens": micro})):
        langue.finetune(encoder, files["valid"], tmp_path / name, valid=files["test"], **settings, **more)
    whole, pieces = (langue.load(tmp_path / name).folder.model.state_dict() for name in ("whole", "pieces"))
    for name, tensor in whole.items():
        torch.testing.assert_close(pieces[name], tensor, rtol=2e-3, atol=2e-4)


def test_half_as_many_examples_pass_at_a_time_when_memory_runs_out(
    encoder: Path,
    files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    original = EncoderClassifier.forward

    def hungry(self: EncoderClassifier, batch: Any) -> Any:
        if self.training and (batch.pairs != NONE).sum() > 8:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate")
        return original(self, batch)

    monkeypatch.setattr(EncoderClassifier, "forward", hungry)
    found = langue.finetune(encoder, files["train"], tmp_path / "m", valid=files["valid"], seeds=1, **FAST)
    assert found.valid[0].accuracy > 0.9
    assert "going on with 8 rows at a time" in caplog.text


@pytest.mark.slow
def test_two_processes_are_one(encoder: Path, files: dict[str, Path], tmp_path: Path) -> None:
    """`torchrun … -m langue finetune`: one process speaks, and the weights are those of one."""
    settings = ["seeds=2", "epochs=2", "learning_rate=1e-3", "dropout=0", "precision=float32"]
    # The encoder has no dropout of its own here: pieces draw theirs apart.
    options = [part for setting in settings for part in ("--set", setting)]
    given = [
        "finetune",
        str(encoder),
        str(files["train"]),
        "--valid",
        str(files["valid"]),
        "--json",
        *options,
    ]
    assert cli.run([*given, "-o", str(tmp_path / "one")]) == 0
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    torchrun += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "-m", "langue"]
    done = subprocess.run(
        [*torchrun, *given, "-o", str(tmp_path / "two")], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["valid"]) == 2
    one, two = (dict(langue.load(tmp_path / name).folder.model.state_dict()) for name in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=2e-2, atol=1e-3)
    assert [run["devices"] for run in langue.load(tmp_path / "two").info()["measured"]["runs"]] == [2, 2]


def test_an_unknown_task_is_refused_at_once(encoder: Path, files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(langue.LangueError, match="unknown task classfy; did you mean classify"):
        langue.finetune(encoder, files["train"], tmp_path / "m", task="classfy")
    assert not list(tmp_path.iterdir())


def test_only_encoders_are_fine_tuned(
    small_models: dict[str, Path], files: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(langue.LangueError, match="reads from left to right"):
        langue.finetune(small_models["gpt2"], files["train"], tmp_path / "m")


def test_patience_ends_a_seed_that_gets_no_better(
    encoder: Path, files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a network that does not move every epoch is as good as the first."""
    still = {"seeds": 1, "epochs": 9, "learning_rate": 1e-30, "weight_decay": 0.0}
    with caplog.at_level("INFO", "langue"):
        langue.finetune(encoder, files["valid"], tmp_path / "early", patience=2, **still)
    ledger = describe(tmp_path / "early").measured["runs"][0]
    assert len(ledger["validation"]) == 3
    assert "accuracy was no better 2 times in a row: stopped early" in caplog.text


def test_class_weights_give_rare_labels_their_due(encoder: Path, tmp_path: Path) -> None:
    """Texts that say nothing: the answer is the commoner label, or either where they weigh alike."""
    rows = [("The king saw a film.", "no" if number % 10 else "yes") for number in range(120)]
    path = write(tmp_path / "rare.tsv", rows)
    shares = {}
    for weights in ("none", "balanced"):
        langue.finetune(encoder, path, tmp_path / weights, valid=path, seeds=1, class_weights=weights, **FAST)
        model: Any = langue.load(tmp_path / weights)
        [point, *_] = describe(tmp_path / weights).measured["runs"][0]["validation"]
        assert {"none": "accuracy", "balanced": "macro_f1"}[weights] in point
        model.folder.model.set_temperature(1.0)
        shares[weights] = dict(model.classify("The king saw a film."))["yes"]
    assert shares["none"] + 0.1 < shares["balanced"] == pytest.approx(0.5, abs=0.12)
    examples = [Example((text,), label, "") for text, label in rows]
    balanced = class_weights(examples, ["no", "yes"], ClassifyConfig(class_weights="balanced"))
    assert balanced == pytest.approx([120 / (2 * 108), 120 / (2 * 12)])  # as scikit-learn's
    network = model.folder.model
    one = [Text(np.array([1, 9, 2]), np.zeros(3, np.int64), label, 1.0) for label in (0, 1)]
    with torch.no_grad():
        alone = [float(loss(network, [text])) for text in one]
        both = float(loss(network, [text._replace(weight=balanced[text.label]) for text in one]))
    assert both == pytest.approx(sum(w * nats for w, nats in zip(balanced, alone, strict=True)), rel=1e-5)


def test_probabilities_are_calibrated_on_what_was_held_out(tuned: Any, files: dict[str, Path]) -> None:
    folder, result = tuned
    model: Any = load(folder).model
    assert model.temperature == model.config.temperature != 1
    told = langue.evaluate(folder, files["test"])
    assert told.calibration.temperature == model.temperature
    assert told.to_json()["calibration"].keys() == {"ece", "nats", "ece_before", "temperature"}
    assert "ECE" in str(told)
    # The temperature changes no answer, and none makes the held-out labels likelier.
    model.set_temperature(1.0)
    reader = Reader(model, load(folder).tokenizer, load(folder).normalization)
    examples = [Example((text,), label, "") for text, label in texts(60, 1)]
    read = reader.read(examples)
    log_probs = model.log_probs([ids for ids, _ in read], [types for _, types in read])
    answers = np.array([model.labels.index(example.label) for example in examples])
    assert told.calibration.temperature == pytest.approx(best_temperature(log_probs, answers), rel=1e-3)
    assert measure(log_probs.argmax(-1), answers) == result.valid[result.best]


@pytest.mark.parametrize(
    ("width", "examples", "epochs", "rate"),
    [(768, 5000, 3, 5e-5), (384, 1600, 6, 1.2e-4), (128, 50, 20, 5.1e-4), (8, 50, 20, 1e-3)],
)
def test_epochs_and_rate_are_by_examples_and_width(
    width: int, examples: int, epochs: int, rate: float
) -> None:
    found = settled(ClassifyConfig(), width, examples)
    assert found.epochs == epochs and found.learning_rate == pytest.approx(rate, rel=0.05)
    asked = settled(ClassifyConfig(epochs=2, learning_rate=1e-2), width, examples)
    assert (asked.epochs, asked.learning_rate) == (2, 1e-2)


def test_few_examples_are_learned_without_settings(
    encoder: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    found = langue.finetune(encoder, files["train"], tmp_path / "model", valid=files["valid"], seeds=1)
    assert found.valid[0].accuracy > 0.9
    recipe = describe(tmp_path / "model").recipe
    assert recipe is not None and recipe["epochs"] == 0  # as it was asked for
