"""Training a CRF: tags to labels, features, weights."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from langue.base.arrays import Float64Array
from langue.base.errors import Interrupted, LangueError
from langue.base.progress import bar, log
from langue.base.stop import Stop
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
        LangueError: a template is malformed, no tag is known, none that spell spans agree with those known
            of a sentence, or the loss is not finite.
        Interrupted: a stop was asked for in the first step.
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
    theta = _estimate(config, Objective(batch, tags, features, chain))
    extractor, features, theta = _prune(extractor, features, theta)
    return CRF(extractor, features, theta.astype(np.float32), labels, chain)


def _estimate(config: "CRFConfig", objective: Objective) -> Float64Array:
    """The weights, of the last step before a stop was asked for."""
    theta = np.zeros(objective.features.size)

    def penalize(theta: Float64Array) -> tuple[float, Float64Array]:
        loss, gradient = objective(theta)
        return loss + config.l2 * dot(theta, theta), gradient + (2 * config.l2) * theta

    with bar("training (crf)", total=config.iterations) as shown, Stop() as stop:

        def after(step: Step) -> bool:
            if not math.isfinite(step.loss):
                raise LangueError(
                    f"the loss is {step.loss} at step {step.number}; try a larger l2 (now {config.l2:g}), or "
                    "another algorithm"
                )
            shown.advance()
            shown.note(f"loss {step.loss:,.1f}")
            if step.number % 10 == 0:
                log.info("step %d: loss %.2f", step.number, step.loss)
            return stop.asked

        if config.algorithm == "sgd":
            last = descend(
                objective, theta, l2=config.l2, epochs=config.iterations, seed=config.seed, after=after
            )
        else:
            last = minimize(
                penalize,
                theta,
                l1=config.l1,
                steps=config.iterations,
                tolerance=config.tolerance,
                after=after,
            )
    if stop.asked and last.number < 2:  # after one step weights are nothing but counts
        raise Interrupted("interrupted before there were weights to keep; nothing was written")
    ended = "converged" if last.number < config.iterations else "the limit of iterations, not converged"
    told = config.algorithm == "lbfgs" and not stop.asked
    log.info("%d steps, loss %.2f%s", last.number, last.loss, f": {ended}" if told else "")
    return last.theta


def _prune(
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
