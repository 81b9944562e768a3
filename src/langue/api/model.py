"""The model a user holds: texts come in, texts and figures go out.

The normalisation and the tokenizer a model was trained with travel in its folder, and are applied to
every text it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langue.base.config import decode
from langue.corpus.normalise import Normalisation
from langue.models.folder import Loaded, is_classifier, is_tagger, load_classifier, load_tagger
from langue.models.folder import load as load_folder
from langue.protocols import Masked
from langue.tokens.store import TOKENIZER
from langue.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from langue.evaluation.pseudo import PseudoScore
    from langue.evaluation.score import Score
    from langue.evaluation.verbatim import Copied, Found
    from langue.generation.embed import Pooling
    from langue.generation.fill import Filled
    from langue.generation.generate import Generation, Writer
    from langue.tasks.classification import ClassifierModel
    from langue.tasks.tagging import TaggerModel

PathLike = str | Path


class LanguageModel:
    """A trained model of any family, with the texts it speaks: what `langue.load` returns."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.normalisation = decode(Normalisation, loaded.description["normalisation"], "normalisation")

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Read when it is first needed: of a large vocabulary, that takes as long as training an n-gram."""
        return Tokenizer.load(self.path / TOKENIZER)

    @property
    def path(self) -> Path:
        return self.loaded.path

    @property
    def reads_both_ways(self) -> bool:
        """Whether it fills, embeds and pseudo-scores; else it scores, continues and generates."""
        return isinstance(self.loaded.model, Masked)

    def score(self, text: str) -> Score:
        """Bits of one text as a document of its own, its end included."""
        return self.score_all([text])[0]

    def score_all(self, texts: Sequence[str]) -> list[Score]:
        """`score` of many texts at once: the same figures, faster."""
        from langue.evaluation.score import score_texts

        return score_texts(self.loaded.causal, self.tokenizer, self.normalisation, texts)

    def fill(self, text: str, *, top: int = 5, append: int = 0, **refining: Any) -> Filled:
        """What stands behind each `[MASK]` of a text, from both sides, and the text with all filled.

        Args:
            top: candidates of each gap.
            append: adds so many `[MASK]` to the text: a continuation, for what it is.
            refining: `rounds`, `temperature`, `seed` of `langue.generation.fill.fill`.
        """
        from langue.generation.fill import MASK, fill

        written = self.normalisation.apply(text) + MASK * append
        return fill(self.loaded.masked, self.tokenizer, written, top=top, **refining)

    def embed(self, texts: Sequence[str], *, pooling: Pooling = "mean") -> npt.NDArray[np.float32]:
        """A vector of each text: `(texts, width)`; `pooling` is "mean" or "cls"."""
        from langue.generation.embed import embed

        normalised = [self.normalisation.apply(text) for text in texts]
        return embed(self.loaded.masked, self.tokenizer, normalised, pooling=pooling)

    def pseudo_score(self, text: str) -> PseudoScore:
        """Pseudo-bits of a text: each token hidden in turn. No probability; see docs/masked.md."""
        return self.pseudo_score_all([text])[0]

    def pseudo_score_all(self, texts: Sequence[str]) -> list[PseudoScore]:
        """`pseudo_score` of many texts."""
        from langue.evaluation.pseudo import pseudo_score_texts

        return pseudo_score_texts(self.loaded.masked, self.tokenizer, self.normalisation, texts)

    def next(self, context: str = "", *, top: int = 10) -> list[tuple[str, float]]:
        """The likeliest next tokens after a text, with their probabilities, likeliest first."""
        from langue.generation.generate import next_tokens

        return next_tokens(self.loaded.causal, self.tokenizer, self.normalisation.apply(context), top)

    def stream(self, prompt: str = "", **sampling: Any) -> Writer:
        """Continue a text piece by piece: iterate over the writer, then read its `result`.

        Args:
            sampling: settings of `langue.generation.sample.Sampling`, such as `temperature=0.8`.
        """
        from langue.generation.generate import generate
        from langue.generation.sample import Sampling

        settings = decode(Sampling, sampling, "sampling")
        return generate(self.loaded.causal, self.tokenizer, self.normalisation.apply(prompt), settings)

    def generate(self, prompt: str = "", **sampling: Any) -> Generation:
        """Continue a text, whole: `stream` run to its end."""
        writer = self.stream(prompt, **sampling)
        for _ in writer:
            pass
        return writer.result

    def beams(
        self, prompt: str = "", *, beams: int = 4, max_tokens: int = 100, length_penalty: float = 0.6
    ) -> list[Generation]:
        """The likeliest continuations of a text by beam search, best first.

        Args:
            beams: hypotheses held at a time, and continuations returned at most.
            length_penalty: 0 favours short ones; 0.6 is that of Vaswani et al. 2017.
        """
        from langue.generation.beam import continuations

        return continuations(
            self.loaded.causal,
            self.tokenizer,
            self.normalisation.apply(prompt),
            beams=beams,
            max_tokens=max_tokens,
            length_penalty=length_penalty,
        )

    def find(self, text: str, *, show: int = 10) -> Found:
        """Where a string stands in the training text, for the family `infinigram`."""
        from langue.evaluation.verbatim import find

        return find(self.loaded, self.tokenizer, self.normalisation.apply(text), show=show)

    def copied(self, text: str, *, least: int = 8, show: int = 10) -> Copied:
        """How much of a text stands verbatim in the training text, for the family `infinigram`.

        Args:
            least: tokens of a piece that counts as copied.
        """
        from langue.evaluation.verbatim import copied

        return copied(self.loaded, self.tokenizer, self.normalisation.apply(text), least=least, show=show)

    def info(self) -> dict[str, Any]:
        """Everything known about the model: `model.json` as a table."""
        return self.loaded.description

    def summary(self) -> str:
        """Family, size and training time in a line."""
        size = ", ".join(f"{count:,} {what}" for what, count in self.loaded.model.size().items())
        seconds = self.loaded.description["measured"]["seconds"]
        return f"{self.loaded.family.name}, {size}, trained in {seconds:,} s"

    def __repr__(self) -> str:
        return f"<langue model {self.path}: {self.summary()}>"


def load(path: PathLike) -> LanguageModel | TaggerModel | ClassifierModel:
    """The model of any family in a folder that `train` wrote.

    Raises:
        LangueError: no model is there, or its files are damaged.
    """
    if is_tagger(path):
        return tagger(path)
    if is_classifier(path):
        return classifier(path)
    return language_model(path)


def language_model(path: PathLike) -> LanguageModel:
    """`load`, where only a language model will do."""
    return LanguageModel(load_folder(path))


def tagger(path: PathLike) -> TaggerModel:
    """`load`, where only a tagger will do."""
    from langue.tasks.tagging import TaggerModel

    return TaggerModel(load_tagger(path))


def classifier(path: PathLike) -> ClassifierModel:
    """`load`, where only a classifier will do."""
    from langue.tasks.classification import ClassifierModel

    return ClassifierModel(load_classifier(path))
