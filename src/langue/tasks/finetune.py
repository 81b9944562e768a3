"""Fine-tuning an encoder on labelled texts.

The recipe is that of Devlin et al. 2019, section 4 and appendix A.3: AdamW, a few epochs, the rate
rising over the first tenth and falling in a line to zero. The epoch that is best on the validation
file is kept, and every figure is told for several seeds, for on small data they differ by points.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from langue.base.config import Config, encode
from langue.base.errors import LangueError
from langue.base.files import check_free, sha256
from langue.base.progress import bar, log
from langue.base.seeds import derive, generator
from langue.corpus.labelled import Example, read_labelled
from langue.models.classifier import Classifier, ClassifierConfig, create
from langue.models.folder import DESCRIPTION, Loaded, save_classifier
from langue.models.layers.device import autocast, keep_freed_memory
from langue.models.protocol import Vocabulary
from langue.tasks.classification import Read, Reader, Scores, measure, numbers, predict
from langue.tokens.masked import packed
from langue.tokens.store import TOKENIZER
from langue.tokens.tokenizer import Tokenizer

Task = Literal["classify", "pair"]
HELD_OUT = 0.1  # of the training file, where no validation file is given
WARMUP = 0.1  # share of the steps


class FinetuneConfig(Config, frozen=True):
    """The `--set` of `langue finetune`."""

    epochs: Annotated[int, msgspec.Meta(ge=1)] = 3  # Devlin et al. 2019, appendix A.3: 2 to 4
    batch: Annotated[int, msgspec.Meta(ge=1)] = 32  # examples
    learning_rate: Annotated[float, msgspec.Meta(gt=0.0)] = 1e-4  # 2e-5 to 5e-5 for the size of BERT base
    weight_decay: Annotated[float, msgspec.Meta(ge=0.0)] = 0.01
    dropout: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.1  # of the pooled state
    seeds: Annotated[int, msgspec.Meta(ge=1)] = 3  # runs: heads and orders differ
    seed: int = 0  # of the first
    start: Literal["encoder", "random"] = "encoder"  # random: what pretraining was worth


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

    def to_json(self) -> dict[str, Any]:
        return {
            "valid": [scores._asdict() for scores in self.valid],
            "test": [scores._asdict() for scores in self.test],
            "best_seed": self.seeds[self.best],
            "best_epochs": self.epochs,
            "truncated": self.truncated,
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        lines = [f"{'':8}accuracy          macro-F1          micro-F1"]
        for name, scores in (("valid", self.valid), ("test", self.test)):
            if scores:
                columns = zip(*(found[:3] for found in scores), strict=True)
                lines.append(f"{name:<8}" + "  ".join(_spread(column) for column in columns))
        lines.append(
            f"{len(self.valid)} seeds, mean ± standard deviation; kept: seed {self.seeds[self.best]}, "
            f"the best on valid, after epoch {self.epochs[self.best]}"
        )
        return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return f"{np.mean(values):7.2%} ± {spread:6.2%}"


def finetune(
    encoder: Loaded,
    data: Path,
    output: Path,
    *,
    task: Task,
    config: FinetuneConfig,
    valid: Path | None = None,
    test: Path | None = None,
    overwrite: bool = False,
) -> Finetuned:
    """Fine-tune an encoder on labelled texts, and write the folder of the best classifier.

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
    training = read_labelled(data, texts=texts)
    held_out = read_labelled(valid, texts=texts) if valid else None
    if held_out is None:
        training, held_out = _held_out(training, data)
    labels = tuple(sorted({example.label for example in training}))
    if len(labels) < 2:
        raise LangueError(f"{data} has one label only, {labels[0]}: there is nothing to tell apart")
    tested = read_labelled(test, texts=texts) if test else []
    reader = Reader(encoder, Tokenizer.load(encoder.path / TOKENIZER))
    read = [reader.read(training), reader.read(held_out), reader.read(tested)]
    answers = [numbers(examples, labels) for examples in (training, held_out, tested)]
    runs = [
        _run(
            encoder, _classifier_config(encoder, task, labels, config), config, config.seed + n, read, answers
        )
        for n in range(config.seeds)
    ]
    best = max(range(len(runs)), key=lambda n: runs[n].valid.accuracy)
    found = Finetuned(
        valid=[run.valid for run in runs],
        test=[run.test for run in runs if run.test],
        seeds=[config.seed + n for n in range(config.seeds)],
        best=best,
        epochs=[run.epoch for run in runs],
        truncated=reader.truncated,
        seconds=time.perf_counter() - started,
    )
    if reader.truncated:
        log.warning("%d texts are longer than the window and were cut at its end", reader.truncated)
    save_classifier(
        output,
        config=runs[best].model.config,
        model=runs[best].model,
        encoder=encoder,
        data={"file": data.name, "sha256": sha256(data), "examples": len(training), "labels": list(labels)},
        recipe={"encoder": encoder.path.name, "task": task, **encode(config)},
        measured={"seconds": round(found.seconds, 3), **found.to_json()},
        card=f"# classifier: {encoder.family.name} fine-tuned on {data.name}\n\n```\n{found}\n```\n\n"
        "Made with langue. Use it: `langue classify MODEL TEXT`.\n",
        overwrite=overwrite,
    )
    return found


def _held_out(examples: list[Example], data: Path) -> tuple[list[Example], list[Example]]:
    """A tenth of the examples, chosen by their text alone, so that copies stand on one side."""
    held = [derive(0, "held out", *example.texts) % 1000 < 1000 * HELD_OUT for example in examples]
    if not any(held) or all(held):
        raise LangueError(f"{data} has too few examples to hold some out; give a validation file: --valid")
    kept = [example for example, out in zip(examples, held, strict=True) if not out]
    return kept, [example for example, out in zip(examples, held, strict=True) if out]


def _classifier_config(
    encoder: Loaded, task: Task, labels: tuple[str, ...], config: FinetuneConfig
) -> ClassifierConfig:
    return ClassifierConfig(
        task=task,
        encoder=encoder.family.name,
        encoder_config=encode(encoder.config) | {"start": ""},
        labels=labels,
        dropout=config.dropout,
    )


class _Run(NamedTuple):
    model: Classifier
    valid: Scores
    test: Scores | None
    epoch: int


def _run(
    encoder: Loaded,
    shape: ClassifierConfig,
    config: FinetuneConfig,
    seed: int,
    read: Sequence[list[Read]],
    answers: Sequence[npt.NDArray[np.int64]],
) -> _Run:
    """One seed: train, and keep the epoch that is best on the validation examples."""
    torch.manual_seed(derive(seed, "dropout") % 2**63)
    description = encoder.description["vocabulary"]
    model = create(shape, Vocabulary(description["size"], description["eos"]), seed)
    if config.start == "encoder":
        assert isinstance(encoder.model, torch.nn.Module)
        model.encoder.load_state_dict(encoder.model.state_dict())
        model.initialise(seed)
    optimiser = torch.optim.AdamW(
        model.parameters(), betas=(0.9, 0.999), weight_decay=config.weight_decay, fused=True
    )
    steps = config.epochs * -(-len(read[0]) // config.batch)
    best: dict[str, torch.Tensor] = {}
    kept, epoch_kept, step = Scores(-1.0, 0.0, 0.0, 0), 0, 0
    with bar(f"seed {seed}", total=steps) as shown:
        for epoch in range(config.epochs):
            order = generator(seed, "finetune", epoch).permutation(len(read[0]))
            for chosen in np.array_split(order, -(-len(order) // config.batch)):
                share = step / steps
                rate = min(share / WARMUP, (1 - share) / (1 - WARMUP)) + 1 / steps
                optimiser.param_groups[0]["lr"] = config.learning_rate * min(rate, 1.0)
                _step(model, optimiser, [read[0][index] for index in chosen], answers[0][chosen])
                step += 1
                shown.advance()
            scores = measure(predict(model, read[1]).argmax(-1), answers[1])
            log.info("seed %d, epoch %d: accuracy %.2f%% on valid", seed, epoch + 1, 100 * scores.accuracy)
            if scores.accuracy > kept.accuracy:
                kept, epoch_kept = scores, epoch + 1
                best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(best)
    model.eval()
    test = measure(predict(model, read[2]).argmax(-1), answers[2]) if read[2] else None
    return _Run(model, kept, test, epoch_kept)


def _step(
    model: Classifier,
    optimiser: torch.optim.Optimizer,
    examples: Sequence[Read],
    answers: npt.NDArray[np.int64],
) -> None:
    model.train()
    with autocast(model.encoder.device):
        logits = model(packed(examples, model.encoder.window)).float()
    loss = F.cross_entropy(logits, torch.from_numpy(answers).to(logits.device))
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
