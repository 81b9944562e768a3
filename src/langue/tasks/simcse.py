"""The task `simcse`: vectors that rank, learned from texts without labels (Gao et al. 2021, unsupervised).

Each text is read twice, and dropout makes two vectors of it that differ; of all texts of a batch each is to
find its own. What comes out is an encoder of the same family, for `langue embed` and `similar`; what it
predicted hidden tokens by no longer fits it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from langue.base.arrays import Int64Array
from langue.base.bounds import Fraction, PositiveFloat, PositiveInt
from langue.base.config import decode
from langue.base.errors import InvalidSetting, LangueError
from langue.corpus.read import read_source
from langue.corpus.sources import collect, no_file
from langue.models.encoders.base import MaskedModel
from langue.models.encoders.build import build_encoder
from langue.models.encoders.pooling import Pooling, pooled
from langue.models.folder import ModelFolder
from langue.protocols import Masked
from langue.tasks.task import FinetuneConfig, Head, Labeled, Task, encoder_table, start_encoder
from langue.tokens.masked import add_special_tokens, pack_examples

TEMPERATURE = 0.05  # Gao et al. 2021, appendix
BATCH = 64
NOISE = 20211  # seed of the dropout by which held-out texts are read


class SimCSEConfig(FinetuneConfig, frozen=True):
    """The `--set` of `langue finetune --task simcse`."""

    epochs: PositiveInt = 1  # as Gao et al.; more only sharpens what dropout says
    batch_size: PositiveInt = BATCH  # the same; a text is to be found among so many
    learning_rate: PositiveFloat = 3e-5  # the same, of BERT base; small encoders learn faster
    dropout: Fraction = 0.1  # within the encoder, which is all that tells the two readings apart
    seeds: PositiveInt = 1


class View(NamedTuple):
    """A text as the encoder reads it."""

    ids: Int64Array
    pooling: Pooling


class Agreement(NamedTuple):
    """How surely texts find themselves."""

    probability: float  # geometric mean, among the texts of a batch
    texts: int


def read(path: Path, layout: object) -> Labeled[str]:
    """Texts, a line or a record each.

    Raises:
        LangueError: there are fewer than two.
    """
    if path.is_dir():
        raise no_file(path)
    with collect([str(path)]) as sources:
        texts = [text for text in read_source(sources[0]) if text.strip()]
    if len(texts) < 2:
        raise LangueError(f"{path} has fewer than two texts, of which each is to be told from the others")
    return Labeled(texts)


def head(
    encoder: ModelFolder[Masked], all_texts: Sequence[str], training: Sequence[str], settings: SimCSEConfig
) -> Head[str, View, MaskedModel]:
    """The encoder itself.

    Raises:
        InvalidSetting: there is no dropout.
    """
    if not settings.dropout:
        raise InvalidSetting("simcse tells texts apart by dropout alone; set dropout above 0")
    # What predicts hidden tokens no longer fits the encoder that is tuned.
    table = encoder_table(encoder) | {"dropout": settings.dropout, "no_mlm_head": True}
    config = decode(encoder.family.config, table, "encoder", stored=True)
    pooling: Pooling = "cls" if settings.pooling == "cls" else "mean"  # what `embed` does by default
    window, truncated = encoder.model.window - 2, 0

    def network(seed: int) -> MaskedModel:
        model = build_encoder(encoder.family.name, table, encoder.model.vocabulary, seed)
        start_encoder(model, encoder, settings)
        return model

    def encode(texts: Sequence[str]) -> list[View]:
        nonlocal truncated
        read = encoder.tokenizer.encode_batch([encoder.normalization.apply(text) for text in texts])
        truncated += sum(len(ids) > window for ids in read)
        return [View(add_special_tokens(ids[:window], encoder.model.specials), pooling) for ids in read]

    return Head(
        config=config,
        build=network,
        encode=encode,
        facts={"examples": len(training)},
        truncated=lambda: truncated,
    )


def loss(model: MaskedModel, views: Sequence[View]) -> torch.Tensor:
    """Σ -log p(the second reading of a text | the first), among the second readings of these texts."""
    twice = [(view.ids, view.ids * 0) for view in (*views, *views)]
    vectors = F.normalize(pooled(model, pack_examples(twice, model.window), views[0].pooling).float(), dim=1)
    one, other = vectors.chunk(2)
    answers = torch.arange(len(views), device=vectors.device)
    return F.cross_entropy(one @ other.T / TEMPERATURE, answers, reduction="sum")


@torch.no_grad()
def metric(model: MaskedModel, views: Sequence[View]) -> Agreement:
    """Of texts that were held out, in batches of one size, with dropout that is always the same."""
    model.train()
    total = 0.0
    with torch.random.fork_rng():
        torch.manual_seed(NOISE)
        for first in range(0, len(views), BATCH):
            total += float(loss(model, views[first : first + BATCH]))
    model.eval()
    return Agreement(float(torch.tensor(-total / len(views)).exp()), len(views))


TASK: Task[Any, Any, Any] = Task(
    name="simcse",
    summary="vectors that rank, from texts without labels",
    family=None,
    read=read,
    text=lambda text: [text],
    head=head,
    loss=loss,
    metric=metric,
    figure="probability",
    tokens=lambda view: len(view.ids),
    settings=SimCSEConfig,
    use="langue embed MODEL TEXT",
)
