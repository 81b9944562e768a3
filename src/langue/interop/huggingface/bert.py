"""BERT: `BertForPreTraining`, `BertForMaskedLM` and `BertModel`."""

from typing import Any

from langue.base.errors import Unsupported
from langue.interop.formats import ImportedModel
from langue.interop.huggingface import encoders
from langue.interop.huggingface.folder import HFFolder, HFModel
from langue.interop.huggingface.names import Names, Weights, encoder_layer_names, paired, rename_to_hf
from langue.models.encoders.bert import EPSILON, FAMILY, Bert, BertConfig
from langue.models.folder import ModelFolder
from langue.protocols import Vocabulary

MATRIX, BIAS = "cls.predictions.decoder.weight", "cls.predictions.decoder.bias"


def names(config: BertConfig) -> Names:
    """langue's tensors by the names of `BertForPreTraining`."""
    tensors: dict[str, tuple[str, ...]] = {
        "embeddings.word.weight": ("bert.embeddings.word_embeddings.weight",),
        "embeddings.position.weight": ("bert.embeddings.position_embeddings.weight",),
        "embeddings.part.weight": ("bert.embeddings.token_type_embeddings.weight",),
        "prediction.bias": ("cls.predictions.bias",),
    }
    layers: dict[str, tuple[str, ...]] = {
        "embeddings.norm": ("bert.embeddings.LayerNorm",),
        "pooler": ("bert.pooler.dense",),
        "relation": ("cls.seq_relationship",),
        "prediction.dense": ("cls.predictions.transform.dense",),
        "prediction.norm": ("cls.predictions.transform.LayerNorm",),
    }
    return tensors | paired(layers | encoder_layer_names(config.shape.layers, "layers", "bert.encoder.layer"))


ENCODER = encoders.Encoder(
    prefix="bert.",
    family=FAMILY,
    model=Bert,
    fixed={"hidden_act": ("gelu",), **encoders.FIXED},
    names=names,
    heads=("cls.",),
    tied=((MATRIX, "bert.embeddings.word_embeddings.weight"), (BIAS, "cls.predictions.bias")),
    sentence_pairs="next_sentence",
)


def read(folder: HFFolder) -> ImportedModel:
    """The BERT of a folder; see `encoders.read`."""
    return encoders.read(ENCODER, folder, {})


def from_hf(config: BertConfig, vocabulary: Vocabulary, weights: Weights, seed: int = 0) -> Bert:
    """The model with the weights of a BERT of Hugging Face; see `encoders.from_hf`."""
    model: Bert = encoders.from_hf(ENCODER, config, vocabulary, weights, seed)
    return model


def to_hf(model: Bert) -> tuple[dict[str, Any], Weights]:
    """The configuration and the weights that Hugging Face's BERT reads; without a head that is not trained.

    Raises:
        Unsupported: the model has attention that BERT had not.
    """
    if model.config.attention != "plain":
        raise Unsupported(f"BERT has no attention = {model.config.attention}; train without it")
    state = model.state_dict()
    architecture = "BertForPreTraining" if model.relation is not None else "BertForMaskedLM"
    if model.no_mlm_head:
        architecture = "BertModel"
        state = {
            name: part for name, part in state.items() if not name.startswith(("prediction.", "relation."))
        }
    table = {
        "architectures": [architecture],
        "model_type": "bert",
        "hidden_act": "gelu",
        **encoders.config_table(model, model.config, epsilon=EPSILON),
    }
    weights = rename_to_hf(names(model.config), state)
    if not model.no_mlm_head:
        weights |= {MATRIX: model.output[0].detach(), BIAS: model.output[1].detach()}
    return table, weights


def write(source: ModelFolder[Any]) -> HFModel:
    """What a BERT is written as."""
    table, weights = to_hf(source.model)
    return encoders.folder_of(source, table, weights, encoders.use_of(source.model))
