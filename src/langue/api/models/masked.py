"""Models that read in both directions: they fill gaps, embed texts, write, and give pseudo-scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from langue.api.models.base import Model, PathLike
from langue.base.arguments import (
    check_choice,
    check_count,
    check_path,
    check_several,
    check_text,
    check_texts,
)
from langue.base.deprecated import renamed_keywords
from langue.base.errors import InvalidSetting
from langue.protocols import Masked

if TYPE_CHECKING:
    import numpy.typing as npt

    from langue.evaluation.pseudo import PseudoScore
    from langue.generation.embed import Pooling
    from langue.generation.fill import Filled
    from langue.generation.masked import MaskedGeneration, MaskedSamplingSettings
    from langue.tasks.learning_curve import LearningCurve
    from langue.tasks.probing import Probing
    from langue.tasks.retrieval.similarity import SimilarityEvaluation


class MaskedModel(Model[Masked]):
    """A masked language model: p(hidden token | all that stands around it)."""

    protocol = Masked

    @renamed_keywords(top="k", append="num_masks")
    def fill(
        self,
        text: str,
        *,
        k: int = 5,
        num_masks: int = 0,
        rounds: int = 10,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Filled:
        """What stands behind each `[MASK]` of a text, from both sides, and the text with all filled.

        Args:
            k: candidates of each gap.
            num_masks: adds so many `[MASK]` to the text: a continuation, for what it is.
            rounds: of mask-predict, in which the least sure gaps are filled again.
            temperature: 0 takes the likeliest; 1 draws from what the model says, by `seed`.
        """
        from langue.generation.fill import MASK, fill

        masked = self.folder.normalization.apply(check_text("text", text)) + MASK * check_count(
            "num_masks", num_masks
        )
        return fill(
            self.folder.model,
            self.folder.tokenizer,
            masked,
            k=check_count("k", k, least=1),
            rounds=check_count("rounds", rounds, least=1),
            temperature=temperature,
            seed=seed,
        )

    def generate(self, prompt: str = "", **settings: Unpack[MaskedSamplingSettings]) -> MaskedGeneration:
        """Write so many tokens between a prompt and a suffix, all of them together: nothing streams.

        What is written has no probability: a masked model gives none to a text.

        Args:
            tokens: 20; that are written.
            suffix: text that follows them.
            method: "mask-predict" fills all gaps, and the least sure again (Ghazvininejad et al. 2019);
                "gibbs" draws one token after another given all others (Wang and Cho 2019).
            rounds: 10, of mask-predict; of Gibbs sampling, how often each token is drawn.
            temperature: 0 takes the likeliest; left out, 0 in mask-predict and 1 in Gibbs sampling.
            top_k: keeps the k likeliest tokens; 0 keeps all.
            top_p: 1; keeps the likeliest tokens up to this mass.
            min_p: drops tokens below this share of the likeliest one's probability.
            seed: same seed, same machine, same text.

        Raises:
            InvalidSetting: a value is out of its bounds, or more tokens than the model can see at once.
        """
        return next(self.generate_all([check_text("prompt", prompt)], **settings))[0]

    def generate_all(
        self,
        prompts: Iterable[str],
        *,
        n: int = 1,
        batch_size: int = 16,
        **settings: Unpack[MaskedSamplingSettings],
    ) -> Iterator[list[MaskedGeneration]]:
        """`generate` after many prompts, side by side; each text is what it would be alone.

        Args:
            prompts: any number of them.
            n: texts after each prompt; the first is that of `generate`.
            batch_size: texts that pass the network together.

        Raises:
            InvalidSetting: as `generate`; or `n` texts would be the same, for nothing is drawn.
        """
        from langue.generation.masked import MaskedSampling, generate_masked

        apply = self.folder.normalization.apply
        given: dict[str, Any] = {**settings}
        given["suffix"] = apply(check_text("suffix", given.get("suffix", "")))
        sampling = MaskedSampling(**given)
        if check_count("n", n, least=1) > 1 and sampling.drawing.temperature == 0:
            raise InvalidSetting(
                f"at temperature = 0 nothing is drawn, and {n} texts would be the same; raise temperature, "
                "or leave n out"
            )
        texts = (
            apply(check_text(f"prompts[{index}]", text))
            for index, text in enumerate(check_several("prompts", prompts))
        )
        rows = check_count("batch_size", batch_size, least=1)
        return generate_masked(
            self.folder.model, self.folder.tokenizer, texts, sampling, n=n, batch_size=rows
        )

    def embed(
        self, texts: Sequence[str], *, pooling: Pooling = "mean", whiten: bool = False
    ) -> npt.NDArray[np.float32]:
        """A vector of each text: `(texts, width)`; `pooling` is "mean" or "cls".

        Args:
            whiten: give the vectors of these texts the mean zero and the covariance one (Su et al. 2021);
                directions in which they do not vary fall away.

        Raises:
            LangueError: they are to be whitened, and do not differ.
        """
        from langue.generation.embed import embed

        check_choice("pooling", pooling, ("mean", "cls"))
        normalized = [self.folder.normalization.apply(text) for text in check_texts("texts", texts)]
        vectors = embed(self.folder.model, self.folder.tokenizer, normalized, pooling=pooling)
        if not whiten:
            return vectors
        from langue.tasks.retrieval.whitening import Whitening

        return Whitening.of(vectors).apply(vectors).astype(np.float32)

    def evaluate_similarity(self, path: PathLike, *, pooling: Pooling = "mean") -> SimilarityEvaluation:
        """How well the cosine of two vectors ranks pairs of texts by how alike they are, as of STS.

        Args:
            path: labeled file of pairs, whose labels are numbers: the larger, the more alike.

        Raises:
            LangueError: a label is no number, or all are the same.
        """
        from langue.tasks.retrieval.similarity import evaluate_similarity

        return evaluate_similarity(
            str(self.path), lambda texts: self.embed(texts, pooling=pooling), check_path("path", path)
        )

    def probe(self, train: PathLike, test: PathLike) -> Probing:
        """What a linear classifier reads off the states of each layer, of which nothing is learned.

        Args:
            train, test: labeled files of texts or of pairs, as of `finetune`.

        Raises:
            LangueError: a file is not of its format, or has a label that `train` has not.
        """
        from langue.tasks.probing import probe

        return probe(self.folder, check_path("train", train), check_path("test", test))

    def learning_curve(
        self, train: PathLike, test: PathLike, labels: Sequence[int] = (50, 500, 5000), *, draws: int = 3
    ) -> LearningCurve:
        """What the last layer is worth with so many labels, beside random weights and what needs no network.

        Args:
            train, test: labeled files of texts or of pairs, as of `finetune`.
            labels: how many of `train` are learned from; one above what it has stands for all of it.
            draws: how often they are drawn: the spread is told.

        Raises:
            LangueError: a file is not of its format, or has a label that `train` has not.
        """
        from langue.tasks.learning_curve import learning_curve

        return learning_curve(
            self.folder, check_path("train", train), check_path("test", test), labels, draws=draws
        )

    def pseudo_score(self, text: str) -> PseudoScore:
        """Pseudo-bits of a text: each token hidden in turn. No probability; see docs/masked.md."""
        return self.pseudo_score_all([check_text("text", text)])[0]

    def pseudo_score_all(self, texts: Sequence[str]) -> list[PseudoScore]:
        """`pseudo_score` of many texts."""
        from langue.evaluation.pseudo import pseudo_score_texts

        folder = self.folder
        return pseudo_score_texts(
            folder.model, folder.tokenizer, folder.normalization, check_texts("texts", texts)
        )
