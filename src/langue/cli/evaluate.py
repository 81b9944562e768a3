"""`langue evaluate`: one model, the yardstick, and the self-tests of its scores."""

import sys
from pathlib import Path
from typing import Annotated, Any

import langue
from langue.base.errors import LangueError
from langue.cli.options import (
    DocumentsRule,
    Json,
    Quantize,
    Quiet,
    SourceField,
    SplitName,
    TargetField,
    TextField,
    print_json,
)
from langue.cli.parameters import Argument, Option

LABELED = ("conll", "conllu", "jsonl")


def command(
    model: Annotated[str, Argument(help="Model folder.")],
    on: Annotated[
        str,
        Argument(
            metavar="STORE|TEXT|TAGGED",
            help="Token store or text file to measure on; labeled file for a tagger.",
        ),
    ],
    split: SplitName = "test",
    documents: DocumentsRule = None,
    text_field: TextField = None,
    source_field: SourceField = None,
    target_field: TargetField = None,
    check: Annotated[bool, Option("--check", help="Also run the self-tests; exit 1 if one fails.")] = False,
    adaptive: Annotated[
        bool,
        Option(
            "--adaptive",
            help="Also tell the figure with counts that learn from each document once it is scored.",
        ),
    ] = False,
    format: Annotated[
        str,
        Option(
            "--format",
            help="report, or kenlm: the four lines of its query; of a tagger conll, conllu or jsonl: what "
            "the file is.",
        ),
    ] = "report",
    quantize: Quantize = None,
    train: Annotated[
        Path | None,
        Option(
            help="Labeled training file of a classifier or tagger: also tell what baselines reach from it."
        ),
    ] = None,
    similarity: Annotated[
        bool,
        Option(
            "--similarity",
            help="Of an encoder, on a labeled file of pairs: how well its vectors rank them by their number.",
        ),
    ] = False,
    probe: Annotated[
        Path | None,
        Option(
            metavar="TRAIN",
            help="Of an encoder, on a labeled file: what a linear classifier, learned from this one, reads "
            "off each layer as it is.",
        ),
    ] = None,
    labels: Annotated[
        list[int] | None,
        Option(
            "--labels",
            min=1,
            help="With --probe: learn from so many labels, three draws of them, off the last layer; may be "
            "repeated, for a learning curve.",
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure a model in bits per byte and perplexity, or a tagger in precision, recall and F1."""
    if format == "kenlm":
        _tell(langue.query(model, on), json=json)
        return
    if format not in ("report", *LABELED):
        raise LangueError(
            f"unknown format {format}; there are report and kenlm, and of labeled files {', '.join(LABELED)}"
        )
    if labels and not probe:
        raise LangueError(
            "--labels says how many labels --probe learns from; give the training file: --probe TRAIN"
        )
    if similarity or probe:
        if check or adaptive or quantize or train or (similarity and probe):
            which = "--probe" if probe else "--similarity"
            raise LangueError(f"{which} measures vectors alone; leave the other measurements out")
        encoder = langue.MaskedModel.load(model)
        if probe and labels:
            _tell(encoder.learning_curve(probe, on, labels), json=json)
        else:
            _tell(encoder.probe(probe, on) if probe else encoder.evaluate_similarity(on), json=json)
        return
    labeled = format if format in LABELED else "auto"
    result = langue.evaluate(
        model,
        on,
        split=split,
        documents=documents,
        check=check,
        adaptive=adaptive,
        format=labeled,
        quantize=quantize,
        train=train,
        text_field=text_field,
        source_field=source_field,
        target_field=target_field,
    )
    _tell(result, json=json)
    if not result.passed:
        sys.exit(1)


def _tell(result: Any, *, json: bool) -> None:
    if json:
        print_json(result.to_json())
    else:
        print(result)
