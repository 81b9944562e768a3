"""Models that read in both directions: they fill gaps, embed texts, and give pseudo-scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from langue.api.models.base import Model
from langue.base.arguments import check_choice, check_count, check_text, check_texts
from langue.base.deprecated import renamed_keywords
from langue.protocols import Masked

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from langue.evaluation.pseudo import PseudoScore
    from langue.generation.embed import Pooling
    from langue.generation.fill import Filled


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

    def embed(self, texts: Sequence[str], *, pooling: Pooling = "mean") -> npt.NDArray[np.float32]:
        """A vector of each text: `(texts, width)`; `pooling` is "mean" or "cls"."""
        from langue.generation.embed import embed

        check_choice("pooling", pooling, ("mean", "cls"))
        normalized = [self.folder.normalization.apply(text) for text in check_texts("texts", texts)]
        return embed(self.folder.model, self.folder.tokenizer, normalized, pooling=pooling)

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
