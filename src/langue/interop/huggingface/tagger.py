"""Fine-tuned encoders that label tokens: `BertForTokenClassification`, ALBERT's and ELECTRA's.

transformers gives each piece of a text the likeliest label of a linear layer on its state. That is a softmax
head, read at the first piece of each token. What else a tagger does is told as left out: there are no
`constraints` there, no windows that overlap, and no text is cut into tokens.
"""

from dataclasses import replace
from typing import Any

from langue.base.errors import Unsupported
from langue.interop.huggingface import encoders
from langue.interop.huggingface.folder import HFModel
from langue.interop.huggingface.tokenizer import encoder_tokens
from langue.models.folder import ModelFolder
from langue.models.taggers.encoder_tagger import EncoderTagger

# family of the encoder → module, architecture, and what it calls the dropout of the states
KINDS = {
    "bert": ("langue.interop.huggingface.bert", "BertForTokenClassification", "classifier_dropout"),
    "albert": (
        "langue.interop.huggingface.albert",
        "AlbertForTokenClassification",
        "classifier_dropout_prob",
    ),
    "electra": ("langue.interop.huggingface.electra", "ElectraForTokenClassification", "classifier_dropout"),
}
FINE = ("BIOES", "BMES", "BILOU")  # schemes that tell the end of a span from its middle


def write(source: ModelFolder[Any]) -> HFModel:
    """What a tagger on an encoder is written as.

    Raises:
        Unsupported: its encoder, or its head, has no such form there.
    """
    model: EncoderTagger = source.model
    if model.config.head != "softmax":
        raise Unsupported(
            f'this tagger has head = "{model.config.head}", and transformers labels each token alone, with '
            "no score of what follows what; fine-tune it with --set head=softmax"
        )
    if model.config.encoder not in KINDS:
        raise Unsupported(
            f"a tagger on {model.config.encoder} has no form that transformers loads; those on "
            f"{', '.join(KINDS)} have"
        )
    module, architecture, dropout = KINDS[model.config.encoder]
    table, weights = encoders.encoder_to_hf(module, model.encoder, pooler=False)
    score = model.head.score
    weights |= {"classifier.weight": score.weight.detach(), "classifier.bias": score.bias.detach()}
    table |= {"architectures": [architecture], **_label_table(model), dropout: model.config.dropout}
    characters = (source.description.data or {}).get("unit") == "characters"
    text = "…" if characters else "Tokens with blanks between them ."
    return HFModel(
        config=table,
        weights=weights,
        special=replace(encoder_tokens(*model.encoder.specials), literal=True, alone=characters),
        window=model.encoder.window,
        use=f'transformers.pipeline("token-classification", FOLDER)("{text}")',
        left_out=_left_out(model, characters=characters),
    )


def _label_table(model: EncoderTagger) -> dict[str, Any]:
    """Labels by number in the spelling of the data, so that several may have one name (S-X and B-X are B-X of
    BIO); a name's own number is that of the label that is spelled so inside, else the first."""
    numbers: dict[str, int] = {}
    for number, (name, inner) in enumerate(zip(model.outer, model.labels, strict=True)):
        if name == inner or name not in numbers:
            numbers[name] = number
    return {
        "id2label": {str(number): name for number, name in enumerate(model.outer)},
        "label2id": numbers,
    }


def _left_out(model: EncoderTagger, *, characters: bool) -> tuple[str, ...]:
    """What transformers does not do of what a tagger does."""
    labels = model.names
    left_out = [
        "the cutting of all but Chinese into characters: give letters and marks with blanks between"
        if characters
        else "the cutting of text into tokens: give them with blanks between, but none beside Chinese, or as "
        "a list with is_split_into_words=True, each with the blank before it",
        f"windows that overlap: of a sentence longer than {model.encoder.window:,} pieces the beginning is "
        "read",
    ]
    if labels.encoding is not None and (model.constraints or labels.scheme != labels.encoding):
        left_out.append(
            "the rule that tags together spell spans: each token gets its likeliest one, as langue gives it "
            "with --set constraints=false --set encoding=given"
        )
    if labels.scheme == "IOB1" != labels.encoding or (labels.scheme in FINE and labels.encoding not in FINE):
        left_out.append(f"the spelling of spans as {labels.scheme}: what comes out is spelled as BIO")
    if changed := [f"{name} = {value}" for name, value in model.config.normalization.items() if value]:
        left_out.append(f"the normalization of text ({', '.join(changed)}): do it first")
    return tuple(left_out)
