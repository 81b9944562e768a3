"""The settings as typed objects: of every family of models, of training, of text and its tokenizer.

    from langue.configs import GPT2Config, TrainingConfig

    langue.train(GPT2Config(layers=4), "store", "gpt", training=TrainingConfig(minutes=3))

Each checks its values when it is built. Names are resolved when first used: those of families that count
import no torch. docs/settings.md lists every field with its default and the reason for it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langue.corpus.config import DataConfig
    from langue.corpus.normalize import Normalization
    from langue.corpus.summary_pairs import SummaryDataConfig
    from langue.corpus.tagged import TaggedConfig
    from langue.generation.masked import MaskedSampling
    from langue.generation.sample import Sampling
    from langue.models.counts.class_ngram import ClassNGramConfig
    from langue.models.counts.infinigram import InfiniGramConfig
    from langue.models.counts.loglinear import LogLinearConfig
    from langue.models.counts.markov import MarkovConfig
    from langue.models.counts.ngram import NGramConfig
    from langue.models.encoders.albert import AlbertConfig
    from langue.models.encoders.bert import BertConfig
    from langue.models.encoders.classifier import ClassifierConfig
    from langue.models.encoders.electra import ElectraConfig
    from langue.models.encoders.span import EncoderSpanConfig
    from langue.models.networks.bert2bert import Bert2BertConfig
    from langue.models.networks.config import (
        CharCNNConfig,
        GPT2Config,
        NPLMConfig,
        RNNConfig,
        TransformerConfig,
    )
    from langue.models.networks.mixture import MixtureConfig
    from langue.models.states.hmm import HMMConfig
    from langue.models.states.neural_hmm import NeuralHMMConfig
    from langue.models.summarizers.ranker import RankerConfig
    from langue.models.taggers.crf import CRFConfig
    from langue.models.taggers.encoder_tagger import EncoderTaggerConfig
    from langue.models.taggers.hmm_tagger import HMMTaggerConfig
    from langue.models.taggers.rnn_tagger import RNNTaggerConfig
    from langue.tasks.classify import ClassifyConfig
    from langue.tasks.simcse import SimCSEConfig
    from langue.tasks.span import SpanConfig
    from langue.tasks.tag import TagConfig
    from langue.tasks.task import FinetuneConfig
    from langue.tokens.train import TokenizerConfig
    from langue.training.config import TaggerRunConfig, TrainingConfig

_HOMES = {
    "AlbertConfig": "models.encoders.albert",
    "Bert2BertConfig": "models.networks.bert2bert",
    "BertConfig": "models.encoders.bert",
    "CRFConfig": "models.taggers.crf",
    "CharCNNConfig": "models.networks.config",
    "ClassNGramConfig": "models.counts.class_ngram",
    "ClassifierConfig": "models.encoders.classifier",
    "ClassifyConfig": "tasks.classify",
    "DataConfig": "corpus.config",
    "ElectraConfig": "models.encoders.electra",
    "EncoderSpanConfig": "models.encoders.span",
    "EncoderTaggerConfig": "models.taggers.encoder_tagger",
    "FinetuneConfig": "tasks.task",
    "GPT2Config": "models.networks.config",
    "HMMConfig": "models.states.hmm",
    "HMMTaggerConfig": "models.taggers.hmm_tagger",
    "InfiniGramConfig": "models.counts.infinigram",
    "LogLinearConfig": "models.counts.loglinear",
    "MarkovConfig": "models.counts.markov",
    "MaskedSampling": "generation.masked",
    "MixtureConfig": "models.networks.mixture",
    "NGramConfig": "models.counts.ngram",
    "NPLMConfig": "models.networks.config",
    "NeuralHMMConfig": "models.states.neural_hmm",
    "Normalization": "corpus.normalize",
    "RNNConfig": "models.networks.config",
    "RNNTaggerConfig": "models.taggers.rnn_tagger",
    "RankerConfig": "models.summarizers.ranker",
    "Sampling": "generation.sample",
    "SimCSEConfig": "tasks.simcse",
    "SpanConfig": "tasks.span",
    "SummaryDataConfig": "corpus.summary_pairs",
    "TagConfig": "tasks.tag",
    "TaggedConfig": "corpus.tagged",
    "TaggerRunConfig": "training.config",
    "TokenizerConfig": "tokens.train",
    "TrainingConfig": "training.config",
    "TransformerConfig": "models.networks.config",
}

__all__ = [
    "AlbertConfig", "Bert2BertConfig", "BertConfig", "CRFConfig", "CharCNNConfig", "ClassNGramConfig",
    "ClassifierConfig", "ClassifyConfig", "DataConfig", "ElectraConfig", "EncoderSpanConfig",
    "EncoderTaggerConfig", "FinetuneConfig", "GPT2Config", "HMMConfig", "HMMTaggerConfig", "InfiniGramConfig",
    "LogLinearConfig", "MarkovConfig", "MaskedSampling", "MixtureConfig", "NGramConfig", "NPLMConfig",
    "NeuralHMMConfig", "Normalization", "RNNConfig", "RNNTaggerConfig", "RankerConfig", "Sampling",
    "SimCSEConfig", "SpanConfig", "SummaryDataConfig", "TagConfig", "TaggedConfig", "TaggerRunConfig",
    "TokenizerConfig", "TrainingConfig", "TransformerConfig",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    import importlib

    from langue.base.extras import needs_torch

    if name not in _HOMES:
        raise AttributeError(f"module 'langue.configs' has no attribute {name!r}")
    with needs_torch(f"langue.configs.{name}"):
        return getattr(importlib.import_module(f"langue.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
