"""Fine-tuned encoders that mark answers: `BertForQuestionAnswering`, ALBERT's and ELECTRA's."""

from typing import Any

from langue.base.errors import Unsupported
from langue.interop.huggingface import encoders
from langue.interop.huggingface.folder import HFModel
from langue.models.encoders.span import EncoderSpanPredictor
from langue.models.folder import ModelFolder

# family of the encoder → module and architecture
KINDS = {
    "bert": ("langue.interop.huggingface.bert", "BertForQuestionAnswering"),
    "albert": ("langue.interop.huggingface.albert", "AlbertForQuestionAnswering"),
    "electra": ("langue.interop.huggingface.electra", "ElectraForQuestionAnswering"),
}


def write(source: ModelFolder[Any]) -> HFModel:
    """What a model of spans is written as.

    Raises:
        Unsupported: its encoder has no such form there.
    """
    model: EncoderSpanPredictor = source.model
    if model.config.encoder not in KINDS:
        raise Unsupported(
            f"a model of spans on {model.config.encoder} has no form that transformers loads; those on "
            f"{', '.join(KINDS)} have"
        )
    module, architecture = KINDS[model.config.encoder]
    table, weights = encoders.encoder_to_hf(module, model.encoder, pooler=False)
    weights |= {
        "qa_outputs.weight": model.out.weight.detach(),
        "qa_outputs.bias": model.out.bias.detach(),
    }
    use = "transformers.AutoModelForQuestionAnswering.from_pretrained(FOLDER)  # start_logits, end_logits"
    left_out = ("windows, the search for the best span, and the threshold below which there is no answer",)
    return encoders.folder_of(
        source, table | {"architectures": [architecture], "num_labels": 2}, weights, use, left_out
    )
