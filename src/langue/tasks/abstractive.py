"""Abstractive summaries: written by a model of documents and summaries, in words of its own or copied."""

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

import msgspec
import numpy as np

from langue.base.arguments import check_text
from langue.base.arrays import Ids
from langue.base.bounds import NonNegativeInt, PositiveInt
from langue.base.config import Config
from langue.base.errors import Unsupported
from langue.base.groups import group_by_size
from langue.base.progress import log
from langue.corpus.sentences import split_sentences
from langue.generation.beam import continuations
from langue.generation.generate import ROWS
from langue.generation.rules import Rules
from langue.generation.sample import Sampling
from langue.models.folder import ModelFolder
from langue.protocols import Seq2Seq
from langue.tasks.summarize import Summary
from langue.tasks.summary_scores import copied_share

METHOD = "abstractive"


class Writing(Config, frozen=True):
    """How a summary is written, by beam search."""

    num_beams: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4
    min_tokens: NonNegativeInt = 0  # before which it does not end
    max_tokens: PositiveInt = 100
    characters: PositiveInt | None = None  # at most; None: as many as the tokens have
    length_penalty: Annotated[float, msgspec.Meta(ge=-100, le=100)] = 0.6  # above, longer ones are preferred
    no_repeat_ngram_size: NonNegativeInt = (
        3  # so many tokens in a row are written once; 0: as often as likely
    )


class AbstractiveSummarizer:
    """A model, ready for any number of documents.

    Args:
        before_step: called before each token is written; what it raises ends the writing.

    Raises:
        Unsupported: the model was not trained on pairs.
    """

    def __init__(
        self,
        folder: ModelFolder[Seq2Seq],
        writing: Writing = Writing(),  # noqa: B008
        *,
        before_step: Callable[[], None] | None = None,
    ) -> None:
        sep = folder.model.vocabulary.sep
        if sep is None:
            raise Unsupported(
                f"{folder.path} was not trained on documents with summaries: langue prepare PAIRS -o STORE "
                "--documents summaries, langue train transformer STORE -o MODEL"
            )
        self.folder, self.writing, self._sep = folder, writing, np.uint32(sep)
        self._before_step = before_step
        self._rules = Rules(
            folder.tokenizer,
            Sampling(
                min_tokens=writing.min_tokens,
                max_characters=writing.characters or 0,
                no_repeat_ngram_size=writing.no_repeat_ngram_size,
            ),
        )
        self._told = False

    def summarize(self, text: str) -> Summary:
        """The summary of a text; "" of one that is empty."""
        return next(self.summarize_all([text]))

    def summarize_all(self, texts: Iterable[str]) -> Iterator[Summary]:
        """Those of many texts, side by side and in their order: as many are read as are written together."""
        writing = self.writing
        for some in group_by_size(texts, lambda text: 1, max(ROWS // writing.num_beams, 1)):
            ids = [self._read(check_text("text", text)) for text in some]
            written = continuations(
                self.folder.model,
                self.folder.tokenizer,
                [self._prompt(one) for text, one in zip(some, ids, strict=True) if text.strip()],
                num_beams=writing.num_beams,
                max_tokens=writing.max_tokens,
                length_penalty=writing.length_penalty,
                rules=self._rules,
                before_step=self._before_step,
            )
            for text, one in zip(some, ids, strict=True):
                hypotheses = next(written) if text.strip() else []
                summary = hypotheses[0].text.strip() if hypotheses else ""
                total = sum(bool(text[begin:end].strip()) for begin, end in split_sentences(text))
                yield Summary(summary, (), METHOD, total, copied_share([summary], [text]), self._is_cut(one))

    def _read(self, text: str) -> Ids:
        return self.folder.tokenizer.encode(self.folder.normalization.apply(text))

    def _is_cut(self, ids: Ids) -> bool:
        return len(ids) > self.folder.model.longest_source

    def _prompt(self, ids: Ids) -> Ids:
        """The beginning of a document, as much as the model was shown in training, and what ends it."""
        longest = self.folder.model.longest_source
        if self._is_cut(ids) and not self._told:
            self._told = True
            log.warning(
                "%s reads %d tokens of a document; what is longer is summarized by its beginning",
                self.folder.path,
                longest,
            )
        return np.append(ids[:longest], self._sep)
