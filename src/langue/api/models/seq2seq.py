"""Models of pairs: a target is written, or scored, given its source.

Where a source ends is told by an id that no text has (`vocabulary.sep`), so that it may hold anything. Of a
model that was trained on documents with a separator, as an earlier version had it, that stands there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Self, Unpack

import numpy as np

from langue.api.models.base import PathLike
from langue.api.models.causal import CausalModel, sampling_of
from langue.base.arguments import check_several, check_texts
from langue.base.arrays import Ids
from langue.base.errors import InvalidSetting, Unsupported
from langue.models.folder import DType
from langue.nn.quantized import Quantize
from langue.protocols import Seq2Seq

if TYPE_CHECKING:
    from langue.evaluation.score import Score
    from langue.generation.generate import Generation, Writer
    from langue.generation.sample import RuleSettings, SamplingSettings


class Seq2SeqModel(CausalModel):
    """A sequence-to-sequence model: p(target | source). Its other methods read a text as a source alone."""

    protocol = Seq2Seq

    @classmethod
    def load(
        cls,
        path: PathLike,
        *,
        device: str | None = None,
        dtype: DType = "float32",
        quantize: Quantize | None = None,
        verify: bool | None = None,
    ) -> Self:
        """As `Model.load`.

        Raises:
            Unsupported: it was trained on documents, not on pairs, as well.
        """
        model = super().load(path, device=device, dtype=dtype, quantize=quantize, verify=verify)
        if not model._seq2seq.source_ends:
            raise Unsupported(
                f"{path} was trained on documents without pairs; train it on a store of pairs: "
                "langue prepare PAIRS -o STORE --documents pairs"
            )
        return model

    @property
    def separator(self) -> str:
        """What stood between source and target, where the training text was of documents; "" of pairs."""
        return self._seq2seq.separator

    @property
    def _seq2seq(self) -> Seq2Seq:
        assert isinstance(self.folder.model, Seq2Seq)
        return self.folder.model

    def score_target(self, source: str, target: str) -> Score:
        """Bits of a target given its source, the end of the target included."""
        from langue.evaluation.score import Score, score_target

        text = self._normalize("target", target)
        if not self.separator:
            return score_target(self.folder.model, self.folder.tokenizer, self.source_ids(source), text)
        # The tokens of all of it: those of its parts may be others.
        prompt = self._prefix(source)
        whole = self.score(prompt + text)
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
        draft: CausalModel | Literal["prompt"] | None = None,
        **settings: Unpack[SamplingSettings],
    ) -> Writer:
        """Write a target piece by piece, with the settings of `stream`: iterate, then read `result`.

        Args:
            draft: as in `stream`; "prompt" guesses what the target copies from its source.
        """
        from langue.generation.generate import generate

        ids, sampling, guessing = self.source_ids(source), sampling_of(settings), self._draft_of(draft)
        return generate(self.folder.model, self.folder.tokenizer, ids, sampling, draft=guessing)

    def generate_target(
        self,
        source: str,
        *,
        draft: CausalModel | Literal["prompt"] | None = None,
        **settings: Unpack[SamplingSettings],
    ) -> Generation:
        """Write a target, whole: `stream_target` run to its end."""
        return self.stream_target(source, draft=draft, **settings).finish()

    def generate_target_all(
        self,
        sources: Iterable[str],
        *,
        n: int = 1,
        best_of: int = 0,
        batch_size: int = 16,
        **settings: Unpack[SamplingSettings],
    ) -> Iterator[list[Generation]]:
        """The targets of many sources side by side; see `generate_all`."""
        prompts = (self.source_ids(source) for source in check_several("sources", sources))
        return self._write_all(prompts, n, best_of, batch_size, sampling_of(settings), lines=False)

    def beam_search_target(
        self,
        source: str,
        *,
        num_beams: int = 4,
        max_tokens: int = 100,
        length_penalty: float = 0.6,
        **rules: Unpack[RuleSettings],
    ) -> list[Generation]:
        """The likeliest targets of a source by beam search, best first; see `beam_search`."""
        return next(self.beam_search_target_all([source], num_beams, max_tokens, length_penalty, **rules))

    def beam_search_target_all(
        self,
        sources: Sequence[str],
        num_beams: int = 4,
        max_tokens: int = 100,
        length_penalty: float = 0.6,
        **rules: Unpack[RuleSettings],
    ) -> Iterator[list[Generation]]:
        """`beam_search_target` of many sources side by side, in their order."""
        prompts = [self.source_ids(source) for source in check_texts("sources", sources)]
        return self._search(prompts, num_beams, max_tokens, length_penalty, rules, lines=False)

    def source_ids(self, source: str) -> Ids:
        """The normalized source and its end in ids, as the beginning of a document.

        Raises:
            InvalidSetting: the source holds the separator, which would end it early.
        """
        sep = self._seq2seq.vocabulary.sep
        if sep is None:
            return self.folder.tokenizer.encode(self._prefix(source))
        return np.append(self.folder.tokenizer.encode(self._normalize("source", source)), np.uint32(sep))

    def _prefix(self, source: str) -> str:
        """A normalized source and the separator, as the beginning of a document."""
        text = self._normalize("source", source)
        if self._seq2seq.source_ends & set(self.folder.tokenizer.encode(text).tolist()):
            raise InvalidSetting(
                f"source holds the separator {self.separator!r}, which ends a source; take it out"
            )
        return text + self.separator
