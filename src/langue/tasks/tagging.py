"""Tagging, from labeled file to labeled file: training a tagger, measuring it, using it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from langue.base.checksums import sha256
from langue.base.config import convert
from langue.base.errors import Interrupted, LangueError
from langue.base.files import check_free
from langue.base.progress import log
from langue.base.staging import discard
from langue.base.stop import Stop
from langue.corpus.schemes import UNKNOWN, scheme_of
from langue.corpus.sources import Source
from langue.corpus.tagged import Layout, Tagged, TaggedConfig, read_tagged, unit_of
from langue.evaluation.bootstrap import Ratio
from langue.models.family import Family, TaggedData
from langue.models.folder import DESCRIPTION, Description, ModelFolder, save
from langue.protocols import Tagger
from langue.tasks.baselines.word_tags import F1, TagComparison, WordTags
from langue.tasks.examples import warn_of_leaks
from langue.tasks.metrics import TagScores, known_tags, measure, score_tags, tell_tags, unit_of_scores
from langue.training.recipe import Recipe
from langue.training.run_folder import check_output, finish, only_writer, run_folder, save_or_keep


def train_tagger(
    recipe: Recipe,
    data: Path,
    output: Path,
    *,
    valid: Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> None:
    """Learn from a labeled file and write a model folder.

    Args:
        valid: a labeled file the finished model is measured on. A neural tagger chooses its epoch by it,
            and by a tenth of `data` where there is none; by others nothing is chosen.
        resume: go on from the last checkpoint of the run that was to make `output`, if there is one.

    Raises:
        LangueError: a file is not of its format, the output folder is in the way, or `resume` is asked of a
            family that is not trained by gradient.
        Interrupted: a stop was asked for; the best model so far was written.
    """
    if data.is_dir():
        raise LangueError(
            f"{data} is a folder; {recipe.family.name} learns from a labeled file: "
            "CoNLL columns, CoNLL-U or JSON lines"
        )
    with only_writer(output):
        if recipe.training is not None:
            _by_gradient(recipe, data, output, valid, overwrite=overwrite, resume=resume)
        else:
            _by_counts(recipe, data, output, valid, overwrite=overwrite, resume=resume)


def _by_counts(
    recipe: Recipe, data: Path, output: Path, valid: Path | None, *, overwrite: bool, resume: bool
) -> None:
    """As `train_tagger`, of a family that estimates."""
    if resume:
        raise LangueError(f"{recipe.family.name} keeps no checkpoints; train it again without --resume")
    check_free(output, marker=DESCRIPTION, overwrite=overwrite)
    tagged, held_out = _read(recipe, data, valid)
    assert recipe.family.estimate is not None
    started = time.perf_counter()
    with Stop(listen=False) as stop:
        model = recipe.family.estimate(recipe.model, TaggedData(tagged.features, tagged.sentences))
    measured = {"seconds": round(time.perf_counter() - started, 3), "interrupted": stop.asked}
    _save(recipe, data, tagged, output, model, measured, held_out, overwrite=overwrite)
    if stop.asked:
        raise Interrupted(f"interrupted; the weights found so far are in {output}")


def _by_gradient(
    recipe: Recipe, data: Path, output: Path, valid: Path | None, *, overwrite: bool, resume: bool
) -> None:
    """As `train_tagger`, of a family that is trained by gradient."""
    from langue.tasks import neural_tagging  # torch, which other taggers do without
    from langue.training.distributed import world as find_world

    def is_same(model: Description) -> bool:
        return model.recipe == recipe.to_table() and (model.data or {}).get("sha256") == sha256(data)

    if finish(output, is_same, recipe.to_table(), overwrite=overwrite, resume=resume):
        return
    run, resuming = run_folder(output), check_output(output, overwrite=overwrite, resume=resume)
    tagged, held_out = _read(recipe, data, valid)
    training = neural_tagging.training_of(recipe, tagged, data, held_out.sentences if held_out else None)
    with find_world() as world:
        learned = neural_tagging.learn_tagger(training, run, world, resuming=resuming)
        assert learned.model is not None and recipe.training is not None
        if world.first:
            seconds = {"seconds": round(sum(seed.ledger["seconds"] for seed in learned.seeds), 3)}
            measured = seconds | neural_tagging.measured(learned)
            replace = overwrite or resuming
            _save(recipe, data, tagged, output, learned.model, measured, held_out, overwrite=replace, run=run)
        world.wait()  # the others may want to read what was saved
    if learned.interrupted:
        raise Interrupted(
            f"interrupted; the same command with --resume goes on. The best model so far is in {output}"
        )
    if world.first and not recipe.training.keep_run:
        discard(run)


def _read(recipe: Recipe, data: Path, valid: Path | None) -> tuple[Tagged, Tagged | None]:
    """The sentences to learn from, and those to measure on."""
    assert isinstance(recipe.data, TaggedConfig)
    tagged = read_tagged(data, recipe.data)
    tell(tagged)
    held_out = read_tagged(valid, Layout.of(tagged).config(valid)) if valid else None
    if held_out:
        right = [sentence.tags for sentence in held_out.sentences]
        score_tags(right, right)  # a package that is missing is missed now, not after training
        warn_of_leaks(
            tagged.sentences, {"valid": held_out.sentences}, lambda sentence: (sentence.words, sentence.tags)
        )
    return tagged, held_out


def _save(
    recipe: Recipe,
    data: Path,
    tagged: Tagged,
    output: Path,
    model: Tagger,
    measured: dict[str, Any],
    held_out: Tagged | None,
    *,
    overwrite: bool,
    run: Path | None = None,
) -> None:
    known = sorted({tag for sentence in tagged.sentences for tag in sentence.tags})
    if held_out:
        tell_tags(model, held_out.sentences)
        scores = measure(model, held_out.sentences, known)
        measured["valid"] = {key: value for key, value in scores.to_json().items() if key != "confusion"}
        log.info(
            "validation: F1 %.2f%% (%s), accuracy %.2f%%", 100 * scores.f1, scores.unit, 100 * scores.accuracy
        )
    facts = describe(tagged, data, known)
    write = partial(
        save,
        model=model,
        family=recipe.family,
        config=recipe.model,
        data=facts,
        recipe=recipe.to_table(),
        measured=measured,
        card=_card(recipe.family, model, facts, measured),
    )
    save_or_keep(output, write, overwrite=overwrite, run=run)


def tell(tagged: Tagged) -> None:
    """Say how a training file was read, which is guessed where nothing says it."""
    scheme = scheme_of([tag for tag in sentence.tags if tag != UNKNOWN] for sentence in tagged.sentences)
    log.info(
        "%s: %s sentences, columns %s, %s, tokens are %s",
        tagged.name,
        f"{len(tagged.sentences):,}",
        " ".join(tagged.columns),
        f"tags spell {scheme}" if scheme else "tags without a scheme",
        unit_of(tagged.sentences),
    )


def describe(tagged: Tagged, path: Path, known: Sequence[str]) -> dict[str, Any]:
    """What a model folder keeps of the file it was trained on."""
    return {
        "file": path.name,
        "sha256": sha256(path),
        "format": tagged.format,
        "asked_format": tagged.asked,
        "columns": list(tagged.columns),
        "sentences": len(tagged.sentences),
        "tokens": sum(len(sentence.words) for sentence in tagged.sentences),
        "unit": unit_of(tagged.sentences),
        "tags": list(known),
    }


@dataclass(frozen=True)
class TaggerEvaluation:
    """A tagger measured on a file. It has no bits per byte: it is no model of text."""

    name: str
    scores: TagScores
    seconds: float
    f1: Ratio  # that of the scores, with its interval over sentences
    baseline: TagComparison | None = None  # where a training file is given
    passed: bool = True  # a tagger has no self-tests of scores

    def to_json(self) -> dict[str, Any]:
        figures = {"model": self.name, **self.scores.to_json(), "f1_interval": self.f1.to_json()["interval"]}
        beside = self.baseline.to_json() if self.baseline else {}
        return {**figures, **beside, "seconds": round(self.seconds, 3)}

    def __str__(self) -> str:
        beside = f"\n{self.baseline}" if self.baseline else ""
        return (
            f"{self.scores}\nF1         {self.f1}{beside}\n"
            "no bits per byte: a tagger says which tags a text has, not how likely it is"
        )


def evaluate_tagger(
    loaded: ModelFolder[Tagger], path: Path, format: str = "auto", train: Path | None = None
) -> TaggerEvaluation:
    """Measure a tagger on a labeled file of the columns it was trained on.

    Args:
        train: labeled file that the baseline, to be set beside the tagger, learns from.
    """
    tagged = read_tagged(path, layout(loaded, path, format))
    tell_tags(loaded.model, tagged.sentences)
    started = time.perf_counter()
    training = read_tagged(train, layout(loaded, train, format)) if train is not None else None
    right, predicted = known_tags(tagged.sentences, loaded.model.tag(tagged.sentences))
    scores = score_tags(right, predicted, data_of(loaded).tags, unit_of_scores(loaded.model))
    own, beside = F1.of(right, predicted, scores.unit), None
    if training is not None:
        guesses = known_tags(tagged.sentences, WordTags(training.sentences).tag(tagged.sentences))[1]
        other = F1.of(right, guesses, scores.unit)
        beside = TagComparison(training.name, other.ratio(), own.gain(other))
    return TaggerEvaluation(loaded.path.name, scores, time.perf_counter() - started, own.ratio(), beside)


class TrainingFile(msgspec.Struct):
    """What is read of the labeled file that a tagger was trained on; its folder tells more."""

    columns: tuple[str, ...]
    unit: Literal["words", "characters"]
    tags: tuple[str, ...]
    file: str = ""
    asked_format: str = "auto"  # which older models do not tell


def data_of(loaded: ModelFolder[Tagger]) -> TrainingFile:
    """What the folder tells of the file it was trained on.

    Raises:
        Damaged: nothing, or something else; it is named.
    """
    return convert(TrainingFile, loaded.description.data, loaded.path / DESCRIPTION)


def layout(loaded: ModelFolder[Tagger], path: Path, format: str = "auto") -> TaggedConfig:
    """How a file for this model is read."""
    data = data_of(loaded)
    trained = Path(data.file)
    return Layout(data.columns, data.asked_format, Source(trained.name, trained).suffix).config(path, format)


def _card(family: Family[Any], model: Tagger, facts: dict[str, Any], measured: dict[str, Any]) -> str:
    """The README of a model folder."""
    size = ", ".join(f"{count:,} {what}" for what, count in model.size().items())
    lines = [
        f"# {family.name}: {family.summary}",
        "",
        f"{size}. Trained in {measured['seconds']:,.1f} s on {facts['sentences']:,} sentences "
        f"({facts['tokens']:,} tokens) with {len(facts['tags'])} tags.",
    ]
    if "valid" in measured:
        f1, unit, accuracy = (measured["valid"][key] for key in ("f1", "unit", "accuracy"))
        lines.append(f"On held-out sentences: F1 {f1:.2%} ({unit}), accuracy {accuracy:.2%}.")
    lines += [
        "",
        "Made with langue. Use it: `langue tag MODEL TEXT`; measure it: `langue evaluate MODEL FILE`.",
    ]
    lines.append("It is discriminative: it has no perplexity and no bits per byte.")
    return "\n".join(lines) + "\n"
