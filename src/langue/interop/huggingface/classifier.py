"""Fine-tuned encoders that tell texts apart: `BertForSequenceClassification` and ALBERT's."""

from typing import Any

from langue.base.errors import Unsupported
from langue.interop.huggingface import encoders
from langue.interop.huggingface.folder import HFModel
from langue.models.encoders.classifier import EncoderClassifier
from langue.models.folder import ModelFolder

# family of the encoder → module, architecture, and what it calls pooler and the dropout of what is pooled
KINDS = {
    "bert": (
        "langue.interop.huggingface.bert",
        "BertForSequenceClassification",
        "bert.pooler.dense",
        "classifier_dropout",
    ),
    "albert": (
        "langue.interop.huggingface.albert",
        "AlbertForSequenceClassification",
        "albert.pooler",
        "classifier_dropout_prob",
    ),
}


def write(source: ModelFolder[Any]) -> HFModel:
    """What a classifier is written as.

    Raises:
        Unsupported: its encoder, or how it pools, has no such form there.
    """
    model: EncoderClassifier = source.model
    if model.config.encoder not in KINDS:
        raise Unsupported(
            f"a classifier on {model.config.encoder} has no form that transformers loads; those on "
            f"{' and '.join(KINDS)} have"
        )
    if model.config.pooling != "cls":
        raise Unsupported(
            "transformers classifies by the state of [CLS], and this one by the mean of all; fine-tune it "
            "with --set pooling=cls"
        )
    module, architecture, pooler, dropout = KINDS[model.config.encoder]
    table, weights = encoders.encoder_to_hf(module, model.encoder, pooler=True)
    scale = 1 / model.config.temperature  # which transformers has not, and a linear layer can hold
    for name, layer, by in ((pooler, model.pool, 1.0), ("classifier", model.out, scale)):
        weights |= {f"{name}.weight": by * layer.weight.detach(), f"{name}.bias": by * layer.bias.detach()}
    table |= {
        "architectures": [architecture],
        "problem_type": f"{'multi' if model.multilabel else 'single'}_label_classification",
        "id2label": {str(id): label for id, label in enumerate(model.labels)},
        "label2id": {label: id for id, label in enumerate(model.labels)},
        dropout: model.config.dropout,
    }
    given = '{"text": "…", "text_pair": "…"}' if model.texts == 2 else '"…"'
    return encoders.folder_of(
        source, table, weights, f'transformers.pipeline("text-classification", FOLDER)({given})'
    )
