"""Teaching a neural tagger: several seeds, of each the epoch that is best on the validation sentences."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from langue.base.arrays import Array, Int64Array
from langue.base.progress import log
from langue.corpus.tagged import Sentence, Tagged
from langue.inference.chain import offsets_of
from langue.models.family import TaggerInputs
from langue.models.taggers.base import NeuralTagger
from langue.models.taggers.labels import check_possible, spell_labels
from langue.nn.device import best_device
from langue.tasks.epochs import LoopSettings, Problem, SeedResult, every_seed, held_out, spread, train_epochs
from langue.tasks.metrics import TagScores, measure
from langue.training.recipe import Recipe

Make = Callable[[int], NeuralTagger]  # a tagger with the first weights of a seed


class Learned(NamedTuple):
    """What came of all seeds."""

    model: NeuralTagger  # of the best
    best: int  # which it is
    results: list[SeedResult[TagScores]]
    tested: list[TagScores | None]

    @property
    def interrupted(self) -> bool:
        return self.results[-1].interrupted

    def measured(self, first: int) -> dict[str, Any]:
        """For `model.json`; `first` is the first seed."""
        return {
            "seeds": [first + n for n in range(len(self.results))],
            "best_seed": first + self.best,
            "best_epochs": [found.epoch for found in self.results],
            "f1": [found.score.f1 for found in self.results],
        }


def learn(
    make: Make,
    training: Sequence[Sentence],
    tags: Array,
    validation: Sequence[Sentence],
    settings: LoopSettings,
    tested: Sequence[Sentence] = (),
) -> Learned:
    """Teach a tagger once for each seed.

    Args:
        tags: `(N,)` numbers of the labels of all tokens of `training`.
        validation: choose the epoch and the seed.
        tested: are measured by the kept epoch of each seed; nothing is chosen by them.
    """
    parts = np.split(tags, offsets_of([len(sentence.words) for sentence in training])[1:-1])

    def problem(model: NeuralTagger) -> Problem[TagScores]:
        def loss(chosen: Int64Array) -> torch.Tensor:
            known = np.concatenate([parts[index] for index in chosen])
            return model.loss([training[index] for index in chosen], known) / max(len(known), 1)

        return Problem(
            model,
            examples=len(training),
            loss=loss,
            measure=lambda: measure(model, validation),
            worth=lambda scores: scores.f1,
            lengths=[len(sentence.words) for sentence in training],
        )

    def run(seed: int) -> tuple[SeedResult[TagScores], tuple[NeuralTagger, TagScores | None]]:
        model = make(seed)
        result = train_epochs(problem(model), settings, seed)
        return result, (model, measure(model, tested) if tested else None)

    runs = every_seed(run, settings)
    best = max(range(len(runs)), key=lambda n: runs[n][0].score.f1)
    results = [found for found, _ in runs]
    if len(runs) > 1:
        log.info("F1 on valid, %d seeds: %s", len(runs), spread([found.score.f1 for found in results]))
    return Learned(runs[best][1][0], best, results, [final for _, (_, final) in runs])


def from_scratch(
    recipe: Recipe, tagged: Tagged, validation: Sequence[Sentence] | None
) -> tuple[NeuralTagger, dict[str, Any]]:
    """A tagger of a family that is not made of a trained encoder, and what was measured.

    Args:
        validation: None: a tenth of the training sentences.

    Raises:
        LangueError: no tag is known, known tags spell no spans, or there is too little to hold some out.
    """
    build, config = recipe.family.build, recipe.model
    assert build is not None
    training: Sequence[Sentence] = tagged.sentences
    if validation is None:
        training, validation = held_out(training, lambda sentence: sentence.words, tagged.name)
    settings: Any = config  # which has what `LoopSettings` asks for, `encoding` and `constraints`
    labels, tags = spell_labels(training, settings.encoding)
    check_possible(training, tags, labels.chain(constraints=settings.constraints))
    learned = learn(
        lambda seed: build(config, TaggerInputs(tagged.features, labels, training), seed).to(best_device()),
        training,
        tags,
        validation,
        settings,
    )
    learned.model.interrupted = learned.interrupted
    return learned.model, {"seeds": learned.measured(settings.seed)}
