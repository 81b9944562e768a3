"""Models of pairs: a target is written, or scored, given its source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from langue.api.models.base import PathLike
from langue.api.models.causal import CausalModel
from langue.base.arguments import check_text
from langue.base.errors import InvalidSetting, Unsupported
from langue.models.folder import DType
from langue.protocols import Seq2Seq

if TYPE_CHECKING:
    from langue.evaluation.score import Score
    from langue.generation.generate import Generation, Writer


class Seq2SeqModel(CausalModel):
    """A sequence-to-sequence model: p(target | source). Its other methods see a pair as one document."""

    protocol = Seq2Seq

    @classmethod
    def load(
        cls, path: PathLike, *, device: str | None = None, dtype: DType = "float32", verify: bool = True
    ) -> Self:
        """As `Model.load`.

        Raises:
            Unsupported: it was trained on documents, not on pairs, as well.
        """
        model = super().load(path, device=device, dtype=dtype, verify=verify)
        if not model.separator:
            raise Unsupported(
                f"{path} was trained on documents without pairs; train it with a separator, as "
                "langue train transformer STORE --set 'separator=\"\\t\"'"
            )
        return model

    @property
    def separator(self) -> str:
        """What stood between source and target in the training text."""
        assert isinstance(self.folder.model, Seq2Seq)
        return self.folder.model.separator

    def score_target(self, source: str, target: str) -> Score:
        """Bits of a target given its source, the end of the target included."""
        from langue.evaluation.score import Score

        prompt = self._prompt(source)
        whole = self.score(prompt + self._normalize("target", target))
        begin = len(prompt.encode())
        kept = np.flatnonzero(np.asarray(whole.spans)[:, 0] >= begin)
        return Score(
            whole.text[len(prompt) :],
            [whole.tokens[index] for index in kept],
            whole.spans[kept] - begin,
            whole.bits[kept],
            whole.closed,
        )

    def stream_target(
        self,
        source: str,
        *,
        max_tokens: int = 100,
        temperature: float = 0.8,
        top_k: int = 0,
        top_p: float = 0.95,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> Writer:
        """Write a target piece by piece, with the settings of `stream`: iterate, then read `result`."""
        return self.stream(
            self._prompt(source),
            max_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            stop=stop,
            seed=seed,
        )

    def generate_target(
        self,
        source: str,
        *,
        max_tokens: int = 100,
        temperature: float = 0.8,
        top_k: int = 0,
        top_p: float = 0.95,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> Generation:
        """Write a target, whole: `stream_target` run to its end."""
        return self.generate(
            self._prompt(source),
            max_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            stop=stop,
            seed=seed,
        )

    def beam_search_target(
        self, source: str, *, num_beams: int = 4, max_tokens: int = 100, length_penalty: float = 0.6
    ) -> list[Generation]:
        """The likeliest targets of a source by beam search, best first; see `beam_search`."""
        return self.beam_search(
            self._prompt(source), num_beams=num_beams, max_tokens=max_tokens, length_penalty=length_penalty
        )

    def _prompt(self, source: str) -> str:
        """A normalized source and the separator, as the beginning of a document.

        Raises:
            InvalidSetting: the source holds the separator, which would end it early.
        """
        text = self._normalize("source", check_text("source", source))
        model = self.folder.model
        assert isinstance(model, Seq2Seq)
        if model.source_ends & set(self.folder.tokenizer.encode(text).tolist()):
            raise InvalidSetting(
                f"source holds the separator {self.separator!r}, which ends a source; take it out"
            )
        return text + self.separator
