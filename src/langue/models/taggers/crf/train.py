"""Training a CRF: tags to labels, features, weights."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from langue.base.arrays import Float64Array
from langue.base.progress import bar, log
from langue.corpus.tagged import Sentence, unit_of
from langue.models.taggers.crf.features import Extractor
from langue.models.taggers.crf.minimize import Step, dot, minimize
from langue.models.taggers.crf.model import CRF
from langue.models.taggers.crf.objective import Features, Objective, find_features
from langue.models.taggers.crf.sgd import descend
from langue.models.taggers.crf.templates import default_templates
from langue.models.taggers.labels import check_possible, spell_labels

if TYPE_CHECKING:
    from langue.models.taggers.crf import CRFConfig


def train(config: "CRFConfig", columns: Sequence[str], sentences: Sequence[Sentence]) -> CRF:
    """Estimate a CRF from tagged sentences.

    Raises:
        LangueError: a template is malformed, no tag is known, or none that spell spans agree with those
            known of a sentence.
    """
    labels, tags = spell_labels(sentences, config.encoding)
    chain = labels.chain(constraints=config.constraints)
    check_possible(sentences, tags, chain)
    extractor = Extractor(config.templates or default_templates(unit_of(sentences), columns), columns)
    batch = extractor.learn(sentences, config.minimum_count)
    features = find_features(
        batch,
        tags,
        len(extractor.keys),
        len(labels.names),
        all_states=config.all_possible_states,
        all_transitions=config.all_possible_transitions,
        permitted=chain.transition > -np.inf,
    )
    log.info("%s features of %s attributes", f"{features.size:,}", f"{len(extractor.keys):,}")
    theta, interrupted = _estimate(config, Objective(batch, tags, features, chain))
    extractor, features, theta = _pruned(extractor, features, theta)
    model = CRF(extractor, features, theta.astype(np.float32), labels, chain)
    model.interrupted = interrupted
    return model


def _estimate(config: "CRFConfig", objective: Objective) -> tuple[Float64Array, bool]:
    """The weights, and whether Ctrl-C ended the search for them early."""
    theta = np.zeros(objective.features.size)
    found = Step(0, theta, np.inf, 0)
    interrupted = False

    def penalized(theta: Float64Array) -> tuple[float, Float64Array]:
        loss, gradient = objective(theta)
        return loss + config.l2 * dot(theta, theta), gradient + (2 * config.l2) * theta

    with bar("training (crf)", total=config.iterations) as shown:

        def after(step: Step) -> None:
            nonlocal found
            found = step
            shown.advance()
            shown.note(f"loss {step.loss:,.1f}")
            if step.number % 10 == 0:
                log.info("step %d: loss %.2f", step.number, step.loss)

        try:
            if config.algorithm == "sgd":
                found = descend(
                    objective, theta, l2=config.l2, epochs=config.iterations, seed=config.seed, after=after
                )
            else:
                found = minimize(
                    penalized,
                    theta,
                    l1=config.l1,
                    steps=config.iterations,
                    tolerance=config.tolerance,
                    after=after,
                )
        except KeyboardInterrupt:
            if not found.number:
                raise
            interrupted = True
    log.info("%d steps, loss %.2f", found.number, found.loss)
    return found.theta, interrupted


def _pruned(
    extractor: Extractor, features: Features, theta: Float64Array
) -> tuple[Extractor, Features, Float64Array]:
    """All without the features of weight 0, and the attributes that are left with none."""
    P = len(features.labels)
    kept = theta[:P].astype(np.float32) != 0
    if kept.all():
        return extractor, features, theta
    owners = np.repeat(np.arange(len(extractor.keys)), np.diff(features.pointers))[kept]
    counts = np.bincount(owners, minlength=len(extractor.keys))
    used = counts > 0
    pruned = Features(np.r_[0, np.cumsum(counts[used])], features.labels[kept], features.transitions)
    return extractor.keep(used), pruned, np.concatenate([theta[:P][kept], theta[P:]])
