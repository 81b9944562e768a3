"""ALBERT: `AlbertForPreTraining`, `AlbertForMaskedLM` and `AlbertModel`."""

from typing import Any

from langue.base.errors import Unsupported
from langue.interop.formats import ImportedModel
from langue.interop.huggingface import encoders
from langue.interop.huggingface.folder import HFFolder, HFModel
from langue.interop.huggingface.names import Names, Weights, paired, rename_to_hf
from langue.models.encoders.albert import FAMILY, Albert, AlbertConfig
from langue.models.encoders.bert import EPSILON
from langue.models.folder import ModelFolder
from langue.protocols import Vocabulary

MATRIX, BIAS = "predictions.decoder.weight", "predictions.decoder.bias"
LAYER = "albert.encoder.albert_layer_groups.0.albert_layers.0"


def names(config: AlbertConfig) -> Names:
    """langue's tensors by the names of `AlbertForPreTraining`: one layer, whatever the configuration."""
    tensors = {
        "embeddings.word.weight": ("albert.embeddings.word_embeddings.weight",),
        "embeddings.position.weight": ("albert.embeddings.position_embeddings.weight",),
        "embeddings.part.weight": ("albert.embeddings.token_type_embeddings.weight",),
        "prediction.bias": ("predictions.bias",),
    }
    return tensors | paired(
        {
            "embeddings.norm": ("albert.embeddings.LayerNorm",),
            "widen": ("albert.encoder.embedding_hidden_mapping_in",),
            "layer.attn.c_attn": tuple(f"{LAYER}.attention.{part}" for part in ("query", "key", "value")),
            "layer.attn.c_proj": (f"{LAYER}.attention.dense",),
            "layer.norm_1": (f"{LAYER}.attention.LayerNorm",),
            "layer.c_fc": (f"{LAYER}.ffn",),
            "layer.c_proj": (f"{LAYER}.ffn_output",),
            "layer.norm_2": (f"{LAYER}.full_layer_layer_norm",),
            "pooler": ("albert.pooler",),
            "relation": ("sop_classifier.classifier",),
            "prediction.dense": ("predictions.dense",),
            "prediction.norm": ("predictions.LayerNorm",),
        }
    )


ENCODER = encoders.Encoder(
    prefix="albert.",
    family=FAMILY,
    model=Albert,
    fixed={
        "hidden_act": ("gelu_new", "gelu_pytorch_tanh"),
        "num_hidden_groups": (1,),
        "inner_group_num": (1,),
        **encoders.FIXED,
    },
    names=names,
    heads=("predictions.", "sop_classifier."),
    tied=((MATRIX, "albert.embeddings.word_embeddings.weight"), (BIAS, "predictions.bias")),
    sentence_pairs="sentence_order",
)


def read(folder: HFFolder) -> ImportedModel:
    """The ALBERT of a folder; see `encoders.read`."""
    return encoders.read(ENCODER, folder, {"embedding_size": folder.integer("embedding_size")})


def from_hf(config: AlbertConfig, vocabulary: Vocabulary, weights: Weights, seed: int = 0) -> Albert:
    """The model with the weights of an ALBERT of Hugging Face; see `encoders.from_hf`."""
    model: Albert = encoders.from_hf(ENCODER, config, vocabulary, weights, seed)
    return model


def to_hf(model: Albert) -> tuple[dict[str, Any], Weights]:
    """The configuration and the weights that Hugging Face's ALBERT reads; without a head that is not trained.

    Raises:
        Unsupported: the model has positions that ALBERT had not.
    """
    if model.config.position != "absolute":
        raise Unsupported("ALBERT has no position = relative; train without it")
    state = model.state_dict()
    architecture = "AlbertForPreTraining" if model.relation is not None else "AlbertForMaskedLM"
    if model.no_mlm_head:
        architecture = "AlbertModel"
        state = {
            name: part for name, part in state.items() if not name.startswith(("prediction.", "relation."))
        }
    table = {
        "architectures": [architecture],
        "model_type": "albert",
        "embedding_size": model.config.embedded,
        "hidden_act": "gelu_new",
        **encoders.config_table(model, model.config, epsilon=EPSILON),
    }
    weights = rename_to_hf(names(model.config), state)
    if not model.no_mlm_head:
        weights |= {MATRIX: model.output[0].detach(), BIAS: model.output[1].detach()}
    return table, weights


def write(source: ModelFolder[Any]) -> HFModel:
    """What an ALBERT is written as."""
    table, weights = to_hf(source.model)
    return encoders.folder_of(source, table, weights, encoders.use_of(source.model))
