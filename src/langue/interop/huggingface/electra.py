"""ELECTRA: the discriminator, `ElectraForPreTraining`.

It is read as a model whose generator is the discriminator and has no head: it embeds, finds what was replaced
and is fine-tuned, and fills no gaps.
"""

from typing import Any

from langue.base.errors import Unsupported
from langue.interop.formats import ImportedModel
from langue.interop.huggingface import encoders
from langue.interop.huggingface.folder import HFFolder, HFModel
from langue.interop.huggingface.names import Names, Weights, encoder_layer_names, paired, rename_to_hf
from langue.models.encoders.bert import EPSILON
from langue.models.encoders.electra import FAMILY, Electra, ElectraConfig
from langue.models.folder import ModelFolder


def names(config: ElectraConfig) -> Names:
    """langue's tensors by the names of `ElectraForPreTraining`, where the discriminator reads with its own
    embedding or the generator's."""
    tables: dict[str, tuple[str, ...]] = {
        "embeddings.word.weight": ("electra.embeddings.word_embeddings.weight",),
        "embeddings.position.weight": ("electra.embeddings.position_embeddings.weight",),
        "embeddings.part.weight": ("electra.embeddings.token_type_embeddings.weight",),
    }
    layers: dict[str, tuple[str, ...]] = {
        "embeddings.norm": ("electra.embeddings.LayerNorm",),
        "encoder.widen": ("electra.embeddings_project",),
        "detection.0": ("discriminator_predictions.dense",),
        "detection.2": ("discriminator_predictions.dense_prediction",),
    }
    blocks = encoder_layer_names(config.shape.layers, "encoder.layers", "electra.encoder.layer")
    return tables | paired(layers | blocks)


ENCODER = encoders.Encoder(
    prefix="electra.",
    family=FAMILY,
    model=Electra,
    fixed={"hidden_act": ("gelu",), **encoders.FIXED},
    names=names,
    heads=("discriminator_predictions.", "generator_"),
    tied=(),
)


def read(folder: HFFolder) -> ImportedModel:
    """The discriminator of a folder; see `encoders.read`."""
    return encoders.read(
        ENCODER, folder, {"embedding_size": folder.integer("embedding_size"), "embedding_sharing": "all"}
    )


def to_hf(model: Electra) -> tuple[dict[str, Any], Weights]:
    """The configuration and the weights with which Hugging Face's ELECTRA reads as the discriminator.

    Raises:
        Unsupported: the model has attention that ELECTRA had not.
    """
    if model.config.attention != "plain":
        raise Unsupported(f"ELECTRA has no attention = {model.config.attention}; train without it")
    table = {
        "architectures": ["ElectraForPreTraining"],
        "model_type": "electra",
        "embedding_size": model.config.embedded,
        "hidden_act": "gelu",
        **encoders.config_table(model, model.config, epsilon=EPSILON),
    }
    state = {name: part for name, part in model.state_dict().items() if not name.startswith("embeddings.")}
    state |= {f"embeddings.{name}": part for name, part in _embeddings_read(model).items()}
    return table, rename_to_hf(names(model.config), state)


def _embeddings_read(model: Electra) -> Weights:
    """The tables that the discriminator reads, and their norm: where they are a sum, the sum."""
    tables: Weights = (model.embeddings if model.own is None else model.own).state_dict()
    if model.config.embedding_sharing == "gradient-disentangled":
        shared = model.embeddings.state_dict()
        tables |= {name: part + shared[name] for name, part in tables.items() if "norm" not in name}
    return tables


def write(source: ModelFolder[Any]) -> HFModel:
    """What the discriminator is written as."""
    table, weights = to_hf(source.model)
    left_out = ("the generator, which fills gaps: ELECTRA's discriminator is a model of its own",)
    use = 'transformers.pipeline("feature-extraction", FOLDER)("…")'
    return encoders.folder_of(source, table, weights, use, () if source.model.no_mlm_head else left_out)
