"""Fine-tuning an encoder to label tokens."""

import time
from pathlib import Path

import torch

from langue.base.config import encode
from langue.base.errors import Interrupted
from langue.base.files import check_free
from langue.base.progress import log
from langue.corpus.tagged import Sentence, TaggedConfig, read_tagged
from langue.models.folder import DESCRIPTION, ModelFolder, save
from langue.models.taggers.encoder_tagger import FAMILY, EncoderTagger, EncoderTaggerConfig, build
from langue.models.taggers.heads import Head
from langue.models.taggers.labels import Encoding, Labels, check_possible, spell_labels
from langue.nn.device import best_device, keep_freed_memory
from langue.protocols import Masked
from langue.tasks.classification import Scores
from langue.tasks.epochs import SeedResult, held_out
from langue.tasks.finetune import FinetuneConfig, Finetuned
from langue.tasks.metrics import TagScores, score_tags
from langue.tasks.neural_tagging import learn
from langue.tasks.tagging import describe, layout_of


class TagConfig(FinetuneConfig, frozen=True):
    """The `--set` of `langue finetune --task tag`."""

    head: Head = "crf"
    encoding: Encoding = "BIOES"  # of spans, inside
    constraints: bool = True  # only tag sequences that spell spans


def finetune_tagger(
    encoder: ModelFolder[Masked],
    data: Path,
    output: Path,
    *,
    config: TagConfig,
    layout: TaggedConfig,
    valid: Path | None = None,
    test: Path | None = None,
    overwrite: bool = False,
) -> Finetuned:
    """Fine-tune an encoder on tagged sentences, and write the folder of the best tagger.

    Args:
        layout: how the files are read. What they have beside words and tags is passed over.
        valid: chooses the epoch and the seed; without it, a tenth of the training file does.
        test: the kept epoch of every seed is measured on it; nothing is chosen by it.

    Raises:
        LangueError: a file is not of its format, no tag is known, the model is no encoder, or the output
            folder is in the way.
        Interrupted: Ctrl-C, after the best tagger so far was written.
    """
    check_free(output, marker=DESCRIPTION, overwrite=overwrite)
    started = time.perf_counter()
    keep_freed_memory()
    tagged = read_tagged(data, layout)
    training = tagged.sentences
    validation = read_tagged(valid, layout_of(tagged)).sentences if valid else []
    tested = read_tagged(test, layout_of(tagged)).sentences if test else []
    if not valid:
        training, validation = held_out(training, lambda sentence: sentence.words, str(data))
    right = [sentence.tags for sentence in validation]
    score_tags(right, right)  # a package that is missing is missed now, not after training
    labels, tags = spell_labels(training, config.encoding)
    check_possible(training, tags, labels.chain(constraints=config.constraints))
    masked, shape = encoder.model, _shape(encoder, labels, config)

    def make(seed: int) -> EncoderTagger:
        model = build(shape, encoder.tokenizer, seed).to(best_device())
        if config.init == "pretrained":
            assert isinstance(masked, torch.nn.Module)
            model.encoder.load_state_dict(masked.state_dict())
        return model

    learned = learn(make, training, tags, validation, config, tested)
    assert isinstance(learned.model, EncoderTagger)
    _tell_windows(learned.model, [*training, *validation, *tested])
    found = Finetuned.of(
        [SeedResult(_scores(result.score), *result[1:]) for result in learned.results],
        [_scores(scores) if scores else None for scores in learned.tested],
        config.seed,
        truncated=0,
        unit=learned.results[0].score.unit,
        seconds=time.perf_counter() - started,
    )
    known = sorted({tag for sentence in training for tag in sentence.tags})
    kept = learned.results[learned.best].score.to_json()
    facts = {key: value for key, value in kept.items() if key != "confusion"}
    save(
        output,
        learned.model,
        family=FAMILY,
        config=shape,
        data=describe(tagged, data, known),
        recipe={"encoder": encoder.path.name, "task": "tag", **encode(config)},
        measured={"seconds": round(found.seconds, 3), "valid": facts, "seeds": found.to_json()},
        card=f"# encoder-tagger: {encoder.family.name} fine-tuned on {data.name}\n\n```\n{found}\n```\n\n"
        "Made with langue. Use it: `langue tag MODEL TEXT`.\n",
        overwrite=overwrite,
    )
    if learned.interrupted:
        raise Interrupted(f"interrupted; the best model so far is in {output}")
    return found


def _shape(encoder: ModelFolder[Masked], labels: Labels, config: TagConfig) -> EncoderTaggerConfig:
    return EncoderTaggerConfig(
        head=config.head,
        encoder=encoder.family.name,
        encoder_config=encode(encoder.config) | {"init_from": ""},
        vocabulary={"size": encoder.model.vocabulary.size, "eos": encoder.model.vocabulary.eos},
        normalization=encode(encoder.normalization),
        labels=labels.names,
        scheme=labels.scheme,
        encoding=labels.encoding,
        constraints=config.constraints,
        dropout=config.dropout,
    )


def _scores(scores: TagScores) -> Scores:
    return Scores(scores.accuracy, scores.rows["macro"].f1, scores.f1, scores.sentences)


def _tell_windows(model: EncoderTagger, sentences: list[Sentence]) -> None:
    """Say how many sentences did not fit the window."""
    windows = [len(model.reader.read([sentence]).windows) for sentence in sentences]
    longer = sum(count > 1 for count in windows)
    if longer:
        log.warning(
            "%d sentences are longer than the window of %d tokens; they are read in windows that overlap",
            longer,
            model.encoder.window,
        )
