"""Training a neural tagger from scratch: several seeds, of each the epoch that is best on the validation
sentences."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from langue.base.checksums import sha256
from langue.base.errors import Interrupted
from langue.corpus.tagged import Sentence, Tagged
from langue.models.family import TaggerInputs
from langue.models.taggers.base import NeuralTagger
from langue.tasks.examples import held_out
from langue.tasks.learn import Learned, Problem, learn
from langue.tasks.tag import TaggedSentence, loss, metric, spelled
from langue.training.recipe import Recipe
from langue.training.run_folder import unfinished
from langue.training.world import World


class Training(NamedTuple):
    """A tagger of a family that is not made of a trained encoder, and what it is to learn."""

    recipe: Recipe
    file: Path
    problem: Problem[TaggedSentence, NeuralTagger]


def training_of(recipe: Recipe, tagged: Tagged, file: Path, valid: Sequence[Sentence] | None) -> Training:
    """What is to be learned from a file.

    Args:
        valid: choose the epoch and the seed; None: a tenth of the training sentences.

    Raises:
        LangueError: no tag is known, known tags spell no spans, or there is too little to hold some out.
    """
    build, config = recipe.family.build, recipe.model
    assert build is not None
    sentences: Sequence[Sentence] = tagged.sentences
    if valid is None:
        sentences, valid = held_out(
            sentences, lambda sentence: sentence.words, tagged.name, lambda sentence: sentence.tags
        )
    settings: Any = config  # which has `encoding` and `constraints` too
    labels, training = spelled(sentences, settings.encoding, constraints=settings.constraints)
    inputs = TaggerInputs(tagged.features, labels, sentences)
    problem = Problem(
        build=lambda seed: build(config, inputs, seed),
        loss=loss,
        metric=metric,
        figure="micro_f1",
        targets=lambda one: len(one.labels),
        tokens=lambda one: len(one.sentence.words),
        training=training,
        validation=[TaggedSentence(one, np.zeros(0, np.int32)) for one in valid],
        by_length=True,
    )
    return Training(recipe, file, problem)


def learn_tagger(training: Training, run: Path, world: World, *, resuming: bool) -> Learned[NeuralTagger]:
    """Train it, or go on with it.

    Raises:
        Interrupted: a stop was asked for before there was any model.
    """
    recipe = training.recipe
    assert recipe.training is not None
    settings: Any = recipe.model  # which has what `learn.Settings` asks for
    now = {"files": {"data": sha256(training.file)}, **recipe.to_table()}
    kinds = {"model": type(recipe.model), "training": type(recipe.training)}
    with unfinished(run, now, kinds, world, resuming=resuming):
        learned = learn(training.problem, settings, recipe.training, run, world, resume=resuming)
    if learned.model is None:
        raise Interrupted(
            "interrupted before an epoch was complete, so no model was written; the same command with "
            "--resume goes on"
        )
    return learned


def measured(learned: Learned[NeuralTagger]) -> dict[str, Any]:
    """For `model.json`."""
    return {
        "seeds": {
            "seeds": [seed.seed for seed in learned.seeds],
            "best_seed": learned.seeds[learned.best].seed,
            "best_epochs": [seed.epoch for seed in learned.seeds],
            "f1": [seed.valid.micro_f1 for seed in learned.seeds],
        },
        "runs": [seed.ledger for seed in learned.seeds],
        "interrupted": learned.interrupted,
    }
