"""The verbs that measure a model, as functions. Each imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from langue.api.models import CausalModel, Model, PathLike, folder_of
from langue.base.arguments import (
    check_choice,
    check_path,
    check_path_or_none,
    check_paths,
    check_several,
)
from langue.base.errors import InvalidSetting, LangueError, Unsupported
from langue.models.folder import ModelFolder
from langue.models.folder import load as load_folder
from langue.nn.quantized import Quantize
from langue.protocols import Causal, Classifier, Masked, SentenceRanker, Seq2Seq, SpanPredictor, Tagger

BY = ("line", "document")
FORMATS = ("auto", "conll", "conllu", "jsonl")

if TYPE_CHECKING:
    from langue.corpus.stream import By
    from langue.evaluation.compare import Comparison
    from langue.evaluation.gradients import Gradients
    from langue.evaluation.result import EvaluationResult
    from langue.interop.kenlm import Query
    from langue.tasks.score_formats import FormatName
    from langue.tasks.scoring import TextScore


def evaluate(
    model: PathLike | Model[Any],
    data: PathLike | Sequence[PathLike],
    *,
    split: str = "test",
    documents: str | None = None,
    check: bool = False,
    adaptive: bool = False,
    format: str = "auto",
    quantize: Quantize | None = None,
    train: PathLike | None = None,
    text_field: str | None = None,
    source_field: str | None = None,
    target_field: str | None = None,
) -> EvaluationResult:
    """Measure a model: bits per byte with a 95 % interval, perplexities, and with `check` the self-tests.

    A tagger is measured in precision, recall and F1 instead; a model that reads in both directions on
    hidden tokens; a ranker of sentences by ROUGE on documents with summaries, and what writes summaries too,
    where it is given a file of them; a model of spans by EM and F1 on questions in the format of SQuAD.

    Args:
        data: a token store, of which `split` is measured, or text files, of which all is; for a tagger or
            classifier, a labeled file. A store of another tokenizer is decoded and read anew.
        documents: how text files are cut into documents: "line", "blank-line", "form-feed", "file", "auto".
            None: as the text that the model was trained on.
        adaptive: of a causal model, tell beside its figure that with counts which learn from each document
            once it is scored (Kuhn and De Mori 1990): another figure, which depends on the documents before.
        format: of a tagger's file: "conll", "conllu", "jsonl"; "auto" goes by its name, and by how the
            training file was read.
        quantize: "int8" measures a network in it and in float32, and keeps both figures in the model folder.
        train: of a classifier or tagger, a labeled file: what baselines reach from it is told, too.
        text_field, source_field, target_field: of records, where they are not "text", "source" and "target".

    Raises:
        LangueError: there is nothing to measure on.
        Unsupported: the model's scores are no probabilities; self-tests of what has no scores of texts.
    """
    fields = {"text_field": text_field, "source_field": source_field, "target_field": target_field}
    paths, training = check_paths("data", data), check_path_or_none("train", train)
    if quantize is not None:
        if adaptive:
            raise InvalidSetting("adaptive counts and int8 are measured one at a time; leave one out")
        path = model.path if isinstance(model, Model) else check_path("model", model)
        options = {"split": split, "documents": documents, "format": format, "train": train, **fields}
        return _evaluate_quantized(path, paths, options, check=check, how=quantize)
    folder = folder_of("model", model)
    _check_options(folder, training, adaptive=adaptive)
    of_task = "task" in folder.description.recipe and not isinstance(folder.model, Masked)
    if of_task or isinstance(folder.model, Tagger | Classifier | SentenceRanker):
        if check:
            what = folder.family.makes.__name__
            raise Unsupported(f"{folder.path} is a {what}; the self-tests are of language models' scores")
        if any(fields.values()):
            raise InvalidSetting(
                f"{folder.path} reads labeled files, whose fields have their names; leave them out"
            )
        return _evaluate_labeled(folder, paths, check_choice("format", format, FORMATS), training)
    if format != "auto":
        raise InvalidSetting(f"format says what the labeled file of a tagger is, and {folder.path} is none")
    if (pairs := _summaries_of(folder, paths, documents)) is not None:
        return _evaluate_abstractive(folder, pairs, fields, refused=check or adaptive)
    from langue.evaluation.documents import open_documents, usual_reading

    measured_on = open_documents(
        paths, split=split, rule=documents, usual=usual_reading([folder]), fields=fields
    )
    if isinstance(folder.model, Masked):
        from langue.evaluation.masked import evaluate_masked

        return evaluate_masked(folder, measured_on, check=check)
    from langue.evaluation.evaluate import evaluate as measure
    from langue.evaluation.scorer import ModelScorer

    evaluation = measure(ModelScorer(folder, adaptive=adaptive), measured_on, check=check)
    if not evaluation.scored:
        raise Unsupported(f"{folder.path}: {evaluation.reason}")
    return evaluation


def _summaries_of(folder: ModelFolder[Any], paths: Sequence[str], documents: str | None) -> Path | None:
    """The file of documents and summaries that a model which writes summaries is compared with, where it is
    given one and no rule that asks for bits."""
    if folder.description.documents != "summaries" or documents is not None:
        return None
    if not isinstance(folder.model, Seq2Seq) or len(paths) != 1:
        return None
    return None if Path(paths[0]).is_dir() else Path(paths[0])


def _evaluate_abstractive(
    folder: ModelFolder[Any], pairs: Path, fields: dict[str, str | None], *, refused: bool
) -> EvaluationResult:
    """Compare the summaries that a model writes with those of a file."""
    from langue.corpus.summary_pairs import SummaryDataConfig
    from langue.tasks.summaries import evaluate_abstractive

    if refused or fields["text_field"] is not None:
        raise InvalidSetting(
            f"{folder.path} writes summaries, which are compared with those of {pairs} by ROUGE; its bits "
            "are measured on a store, or with --documents=summaries"
        )
    layout = SummaryDataConfig(document_field=fields["source_field"], summary_field=fields["target_field"])
    return evaluate_abstractive(folder, pairs, layout)


def _evaluate_quantized(
    path: Path,
    data: Sequence[str],
    options: dict[str, Any],
    *,
    check: bool,
    how: Quantize,
) -> EvaluationResult:
    """In float32 and in int8, with the same options of `evaluate`."""
    from langue.evaluation.evaluate import Evaluation
    from langue.evaluation.quantized import QuantizedEvaluation
    from langue.nn.quantized import Measured, keep, quantize

    folder = load_folder(path, device="cpu" if "torch" in sys.modules else None).require(Causal)
    float32 = evaluate(Model(folder), data, **options)
    quantize(folder.model, how, family=folder.family.name, path=path)
    int8 = evaluate(Model(folder), data, check=check, **options)
    assert isinstance(float32, Evaluation) and isinstance(int8, Evaluation)
    if int8.bits_per_byte is None or float32.bits_per_byte is None:
        raise Unsupported(f"{path} has no bits per byte to compare: {int8.reason}")
    figures = Measured(
        quantize=how,
        of=folder.description.digest,
        measured_on=int8.cut,
        bits_per_byte=int8.bits_per_byte,
        float32_bits_per_byte=float32.bits_per_byte,
    )
    keep(path, figures)
    return QuantizedEvaluation(int8, float32, figures)


def _check_options(folder: ModelFolder[Any], train: Path | None, *, adaptive: bool) -> None:
    if adaptive and not isinstance(folder.model, Causal):
        raise Unsupported(f"{folder.path} gives texts no probability, beside which counts could learn")
    if train is not None and folder.family.makes not in (Classifier, Tagger):
        raise InvalidSetting(
            f"baselines stand beside classifiers and taggers, and {folder.path} is neither; leave out --train"
        )


def _evaluate_labeled(
    folder: ModelFolder[Any], paths: Sequence[str], format: str, train: Path | None
) -> EvaluationResult:
    """Measure a model of labeled data on a file."""
    if len(paths) != 1:
        raise InvalidSetting(f"{folder.path} is measured on one labeled file, not on {len(paths)}")
    data = Path(paths[0])
    if format != "auto" and not isinstance(folder.model, Tagger):
        raise InvalidSetting(f"format says what the labeled file of a tagger is, and {folder.path} is none")
    if isinstance(folder.model, SentenceRanker):
        from langue.tasks.summaries import evaluate_ranker

        return evaluate_ranker(folder, data)
    if isinstance(folder.model, SpanPredictor):
        from langue.tasks.answers.measure import evaluate_spans

        return evaluate_spans(folder, data)
    if folder.family.makes not in (Tagger, Classifier):
        from langue.tasks.evaluate import evaluate_task, task_of

        return evaluate_task(folder, task_of(folder), data)
    if isinstance(folder.model, Tagger):
        from langue.tasks.tagging import evaluate_tagger

        return evaluate_tagger(folder, data, format, train)
    if folder.model.multilabel:
        from langue.tasks.multilabel import evaluate_multilabel

        return evaluate_multilabel(folder, data, train)
    from langue.tasks.classification import evaluate_classifier

    return evaluate_classifier(folder, data, train)


def score(
    model: PathLike | Model[Any],
    inputs: PathLike | Sequence[PathLike],
    *,
    by: By = "line",
    text_field: str | None = None,
) -> Iterator[TextScore]:
    """What each text of some files costs, by the stream: in their order, and nothing held of the others.

        for text in langue.score("kn5", ["news.jsonl.zst", "more/"]):
            print(text.bits_per_byte, text.text)

    Args:
        inputs: files (text, JSON lines, JSON, CSV, TSV, Parquet; packed or not), folders, pipes, or `-`.
        by: what a text is where a file is plain text: a "line", or a "document" as the model's training text
            was cut; a record is one anyway.
        text_field: of records; None is "text".

    Raises:
        Unsupported: the model gives texts no probability.
        LangueError: a file is missing, binary, damaged or not UTF-8; a record has no such field.
    """
    from langue.tasks.scoring import score_batches

    names, folder = check_paths("inputs", inputs), folder_of("model", model)
    check_choice("by", by, BY)
    return chain.from_iterable(score_batches(folder, names, iter, by=by, text_field=text_field))


def write_scores(
    model: PathLike | Model[Any],
    inputs: PathLike | Sequence[PathLike],
    *,
    format: FormatName | Literal["json"] = "tsv",
    by: By = "line",
    per_token: bool = False,
    text_field: str | None = None,
    workers: int | None = None,
    on: str | None = None,
    scratch: PathLike | None = None,
) -> Iterator[str | bytes]:
    """`score` as the pieces of a file, of a model that reads in both directions too.

    Args:
        format: "tsv", "jsonl", "json", "kenlm" (what its `query -v sentence` prints) or "parquet".
        per_token: tell the bits of every token too.
        workers: processes that share the work, each of one thread, with a model that it opens itself: the
            pieces are the same for any number of them, and come when all is scored. None: the threads of
            this process, and pieces come by the stream.
        on: who shares it: "processes", or "ray" or "ray://HOST:PORT" on a cluster.
        scratch: a folder, of all machines, for what is written on the way; with it, the same call goes on
            after a stop.

    Raises:
        Unsupported: the format has no room for these scores.
    """
    from langue.base.executors import distribution_of
    from langue.tasks.score_formats import format_of
    from langue.tasks.scoring import score_batches, score_tokens

    distribution = distribution_of(workers, on, scratch)
    names, folder = check_paths("inputs", inputs), folder_of("model", model)
    pseudo = isinstance(folder.model, Masked)
    written = format_of(format, pseudo=pseudo, per_token=per_token)
    check_choice("by", by, BY)
    if distribution is not None:
        from langue.tasks.scoring_stages import score_by_stages

        return score_by_stages(
            folder, names, format, distribution, per_token=per_token, by=by, text_field=text_field
        )
    if pseudo or per_token:
        pieces = score_tokens(folder, names, written.rows, by=by, text_field=text_field)
    elif written.in_order:
        pieces = map(
            written.rows, score_batches(folder, names, lambda scores: scores, by=by, text_field=text_field)
        )
    else:
        pieces = score_batches(folder, names, written.rows, by=by, text_field=text_field)
    return written.whole(pieces)


def query(model: PathLike, text: PathLike) -> Query:
    """Perplexity of a text as KenLM's `query` reports it: a sentence a line, words between blanks.

    Args:
        model: an n-gram model folder, or an ARPA file.
        text: a file, packed or not, of records too, or `-` for standard input.

    Raises:
        LangueError: the text is missing or empty, or there is no n-gram model.
    """
    from langue.interop.kenlm import Model as KenLM
    from langue.interop.texts import map_text

    path = check_path("model", model)
    with map_text(check_path("text", text)) as data:
        result = KenLM(path).query(data)
    if not result.tokens:
        raise LangueError(f"{text} is empty: there is nothing to measure on")
    return result


def gradients(
    model: PathLike | CausalModel, data: PathLike, *, split: str = "test", distance: int = 100
) -> Gradients:
    """`CausalModel.gradients` of a model or its folder."""
    store = check_path("data", data)
    causal = model if isinstance(model, CausalModel) else CausalModel.load(check_path("model", model))
    return causal.gradients(store, split=split, distance=distance)


def compare(
    models: Sequence[PathLike | Model[Any]],
    on: PathLike | Sequence[PathLike],
    *,
    split: str = "test",
    documents: str | None = None,
    text_field: str | None = None,
    source_field: str | None = None,
    target_field: str | None = None,
) -> Comparison:
    """Rank models of any tokenizers in bits per byte on the same documents; say which differences are real.

    Args:
        on: a token store, of which `split` is measured, or text files, of which all is.
        documents: how text files are cut into documents, for all models; None: as the texts they were trained
            on if those were cut alike, else as `langue prepare` cuts a file of its own.
        text_field, source_field, target_field: of records, where they are not "text", "source" and "target".

    Raises:
        LangueError: there is nothing to compare, or nothing to measure on.
        Unsupported: a model gives no text a probability from left to right.
    """
    from langue.evaluation.compare import compare as run
    from langue.evaluation.documents import open_documents, usual_reading
    from langue.evaluation.scorer import ModelScorer

    if isinstance(models, str | Path | Model):
        raise InvalidSetting(f"models is to be a list of models, not one; write [{str(models)!r}]")
    paths = check_paths("on", on)
    scorers = [
        ModelScorer(folder_of(f"models[{index}]", model))
        for index, model in enumerate(check_several("models", models))
    ]
    usual = usual_reading([scorer.folder for scorer in scorers])
    fields = {"text_field": text_field, "source_field": source_field, "target_field": target_field}
    return run(scorers, open_documents(paths, split=split, rule=documents, usual=usual, fields=fields))
