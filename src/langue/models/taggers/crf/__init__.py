"""`crf`: a linear-chain conditional random field (Lafferty, McCallum and Pereira 2001).

p(y | x) ∝ exp Σₜ (Wᵧₜ·f(x, t) + b[yₜ₋₁, yₜ]): log-linear, θ = {W, b}. It says which tags a text
has, and nothing of how likely the text is: discriminative, so it has no perplexity and no bits per
byte. `templates` says what f looks at, `features` numbers it, `objective` is the paper, `minimize` and
`sgd` find the weights, `model` tags; in `passes` a second one looks at what the first found. With the
same templates and penalties it has the features, the loss and the weights of CRFsuite (Okazaki 2007); it
adds constraints, partial labels and n-best lists.
"""

from pathlib import Path
from typing import Literal

from langue.base.bounds import NonNegativeFloat, PositiveInt
from langue.base.config import Config
from langue.models.family import Family, TaggedData
from langue.models.taggers.crf.model import CRF
from langue.protocols import Tagger, Vocabulary


class CRFConfig(Config, frozen=True):
    """Settings of a CRF: features, encoding of tags, optimization."""

    templates: tuple[str, ...] = ()  # (): those for words or for characters, whichever the data has
    encoding: Literal["given", "BIO", "BIOES"] = "BIOES"  # of spans, inside: BIOES tells their ends
    constraints: bool = True  # only tag sequences that spell spans
    passes: Literal[1, 2] = 1  # 2: a second CRF sees what the first found in the rest of the document
    algorithm: Literal["lbfgs", "sgd"] = "lbfgs"
    l1: NonNegativeFloat = 0.0  # × Σ|θ|; above 0 most weights become 0, and are not stored
    l2: NonNegativeFloat = 0.1  # × Σθ²; between 0.05 and 0.2 best on the development sets tried
    iterations: PositiveInt = 150  # steps of L-BFGS, or passes of SGD
    tolerance: NonNegativeFloat = 1e-4  # stop when 10 steps gain less than this share
    minimum_count: PositiveInt = 1  # occurrences of an attribute that is kept
    all_possible_states: bool = False  # weights also for attributes and tags never seen together
    all_possible_transitions: bool = False  # and for tags never seen side by side
    seed: int = 0  # of the documents hidden, and of SGD's order

    def check(self) -> None:
        if self.algorithm == "sgd" and self.l1:
            raise ValueError("l1 needs algorithm = lbfgs; SGD has l2 only")


def estimate(config: CRFConfig, data: TaggedData) -> Tagger:
    if config.passes == 2:
        from langue.models.taggers.crf.passes import train_twice

        return train_twice(config, *data)
    from langue.models.taggers.crf.document import hide_documents
    from langue.models.taggers.crf.train import train

    return train(config, data.columns, hide_documents(data.sentences, config.seed))


def load(folder: Path, config: CRFConfig, vocabulary: Vocabulary | None = None) -> Tagger:
    from langue.models.taggers.crf.passes import TwoPasses

    return TwoPasses.load(folder) if TwoPasses.is_in(folder) else CRF.load(folder)


FAMILY = Family(
    name="crf",
    summary="linear-chain conditional random field",
    makes=Tagger,
    config=CRFConfig,
    estimated_by="optimization",
    estimate=estimate,
    load=load,
)
