"""Fine-tuning an encoder to tell texts apart.

The epoch that is best on the validation file is kept, and every figure is told for several seeds, for
on small data they differ by points.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from langue.base.config import Config, encode
from langue.base.errors import Interrupted, LangueError
from langue.base.files import check_free, sha256
from langue.base.progress import log
from langue.corpus.labeled import read_labeled
from langue.models.encoders.classifier import FAMILY, ClassifierConfig, EncoderClassifier, Pooling, build
from langue.models.folder import DESCRIPTION, ModelFolder, save
from langue.nn.device import best_device, keep_freed_memory
from langue.nn.precision import autocast
from langue.protocols import Masked, Vocabulary
from langue.tasks.classification import Read, Reader, Scores, measure, numbers
from langue.tasks.epochs import Problem, SeedResult, every_seed, held_out, spread, train_epochs
from langue.tokens.masked import packed

Task = Literal["classify", "pair"]


class FinetuneConfig(Config, frozen=True):
    """The `--set` of `langue finetune`."""

    RENAMED: ClassVar[Mapping[str, str]] = {"batch": "batch_size", "pool": "pooling", "start": "init"}
    RENAMED_VALUES: ClassVar[Mapping[str, Mapping[str, str]]] = {"init": {"encoder": "pretrained"}}

    epochs: Annotated[int, msgspec.Meta(ge=1)] = 3  # Devlin et al. 2019, appendix A.3: 2 to 4
    batch_size: Annotated[int, msgspec.Meta(ge=1)] = 32  # examples
    learning_rate: Annotated[float, msgspec.Meta(gt=0.0)] = 1e-4  # 2e-5 to 5e-5 for the size of BERT base
    weight_decay: Annotated[float, msgspec.Meta(ge=0.0)] = 0.01
    dropout: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.1  # of the pooled state
    pooling: Literal["auto", "cls", "mean"] = "auto"  # auto: [CLS] if it was trained on pairs, else the mean
    seeds: Annotated[int, msgspec.Meta(ge=1)] = 3  # runs: heads and orders differ
    seed: int = 0  # of the first
    init: Literal["pretrained", "random"] = "pretrained"  # random: what pretraining was worth


@dataclass(frozen=True)
class Finetuned:
    """What came of all seeds: figures of the validation file, and of the test file if there is one."""

    valid: list[Scores]
    test: list[Scores]
    seeds: list[int]
    best: int  # which of them was kept: the best on the validation file
    epochs: list[int]  # the best of each seed, from 1
    truncated: int  # texts that were too long
    seconds: float
    unit: str = "text"  # what F1 counts

    @classmethod
    def of(
        cls, results: Sequence[SeedResult[Scores]], tested: Sequence[Scores | None], first: int, **facts: Any
    ) -> "Finetuned":
        """What seeds came to, of which `first` was the first."""
        return cls(
            valid=[found.score for found in results],
            test=[scores for scores in tested if scores],
            seeds=[first + n for n in range(len(results))],
            best=max(range(len(results)), key=lambda n: results[n].score.micro_f1),
            epochs=[found.epoch for found in results],
            **facts,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "valid": [scores._asdict() for scores in self.valid],
            "test": [scores._asdict() for scores in self.test],
            "best_seed": self.seeds[self.best],
            "best_epochs": self.epochs,
            "truncated": self.truncated,
            "unit": self.unit,
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        lines = [f"{'':8}accuracy          macro-F1          micro-F1"]
        for name, scores in (("valid", self.valid), ("test", self.test)):
            if scores:
                columns = zip(*(found[:3] for found in scores), strict=True)
                lines.append(f"{name:<8}" + "  ".join(spread(column) for column in columns))
        seeds = len(self.valid)
        many = f"{seeds} seeds, mean ± standard deviation" if seeds > 1 else "1 seed"
        lines.append(
            f"{many}; F1 counts each {self.unit}; kept: seed {self.seeds[self.best]}, after epoch "
            f"{self.epochs[self.best]}, the best on valid"
        )
        return "\n".join(lines)


def finetune(
    encoder: ModelFolder[Masked],
    data: Path,
    output: Path,
    *,
    task: Task,
    config: FinetuneConfig,
    valid: Path | None = None,
    test: Path | None = None,
    overwrite: bool = False,
) -> Finetuned:
    """Fine-tune an encoder on labeled texts, and write the folder of the best classifier.

    Args:
        valid: chooses the epoch and the seed; without it, a tenth of the training file does.
        test: the kept epoch of every seed is measured on it; nothing is chosen by it.

    Raises:
        LangueError: a file is not of its format, has a label that the training file has not, the
            model is no encoder, or the output folder is in the way.
    """
    check_free(output, marker=DESCRIPTION, overwrite=overwrite)
    started = time.perf_counter()
    keep_freed_memory()
    texts = 2 if task == "pair" else 1
    training = read_labeled(data, texts=texts)
    labels = tuple(sorted({example.label for example in training}))
    if len(labels) < 2:
        raise LangueError(f"{data} has one label only, {labels[0]}: there is nothing to tell apart")
    if valid:
        validation = read_labeled(valid, texts=texts)
    else:
        training, validation = held_out(training, lambda example: example.texts, str(data))
    tested = read_labeled(test, texts=texts) if test else []
    reader = Reader(encoder.model, encoder.tokenizer, encoder.normalization)
    read = [reader.read(training), reader.read(validation), reader.read(tested)]
    answers = [numbers(examples, labels) for examples in (training, validation, tested)]
    shape = _classifier_config(encoder, task, labels, config)

    def run(seed: int) -> tuple[SeedResult[Scores], tuple[Any, Scores | None]]:
        problem = _problem(encoder, shape, config, seed, read, answers)
        result = train_epochs(problem, config, seed)
        final = measure(guess(problem.model, read[2]), answers[2]) if read[2] else None
        return result, (problem.model, final)

    runs = every_seed(run, config)
    found = Finetuned.of(
        [result for result, _ in runs],
        [final for _, (_, final) in runs],
        config.seed,
        truncated=reader.truncated,
        seconds=time.perf_counter() - started,
    )
    model = runs[found.best][1][0]
    if reader.truncated:
        log.warning("%d texts are longer than the window and were cut at its end", reader.truncated)
    save(
        output,
        model,
        family=FAMILY,
        config=shape,
        preprocessing=encoder.preprocessing,
        vocabulary=encoder.model.vocabulary,
        data={"file": data.name, "sha256": sha256(data), "examples": len(training), "labels": list(labels)},
        recipe={"encoder": encoder.path.name, "task": task, **encode(config)},
        measured={"seconds": round(found.seconds, 3), **found.to_json()},
        card=f"# classifier: {encoder.family.name} fine-tuned on {data.name}\n\n```\n{found}\n```\n\n"
        "Made with langue. Use it: `langue classify MODEL TEXT`.\n",
        overwrite=overwrite,
    )
    if runs[-1][0].interrupted:
        raise Interrupted(f"interrupted; the best model so far is in {output}")
    return found


def guess(model: EncoderClassifier, examples: Sequence[Read]) -> npt.NDArray[np.int64]:
    """The likeliest label of each example, by its number."""
    scores = model.log_probs([ids for ids, _ in examples], [types for _, types in examples])
    guesses: npt.NDArray[np.int64] = np.argmax(scores, -1)
    return guesses


def _classifier_config(
    encoder: ModelFolder[Masked], task: Task, labels: tuple[str, ...], config: FinetuneConfig
) -> ClassifierConfig:
    says: Pooling = (
        "cls" if encoder.model.sentence_pairs != "none" else "mean"
    )  # an untrained [CLS] says little
    return ClassifierConfig(
        task=task,
        encoder=encoder.family.name,
        encoder_config=encode(encoder.config) | {"init_from": ""},
        labels=labels,
        dropout=config.dropout,
        pooling=config.pooling if config.pooling != "auto" else says,
    )


def _problem(
    encoder: ModelFolder[Masked],
    shape: ClassifierConfig,
    config: FinetuneConfig,
    seed: int,
    read: Sequence[list[Read]],
    answers: Sequence[npt.NDArray[np.int64]],
) -> Problem[Scores]:
    """The classifier of a seed, and what it is to learn."""
    known = encoder.model.vocabulary
    model = build(shape, Vocabulary(known.size, known.eos), seed).to(best_device())
    if config.init == "pretrained":
        assert isinstance(encoder.model, torch.nn.Module)
        model.encoder.load_state_dict(encoder.model.state_dict())
        model.initialize(seed)

    def loss(chosen: npt.NDArray[np.int64]) -> torch.Tensor:
        with autocast(model.encoder.device):
            logits = model(packed([read[0][index] for index in chosen], model.encoder.window)).float()
        return F.cross_entropy(logits, torch.from_numpy(answers[0][chosen]).to(logits.device))

    return Problem(
        model,
        examples=len(read[0]),
        loss=loss,
        measure=lambda: measure(guess(model, read[1]), answers[1]),
        worth=lambda scores: scores.accuracy,
    )
