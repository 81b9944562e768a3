"""Models that read from left to right: they score, continue and generate."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

from langue.api.models.base import Model, PathLike
from langue.base.arguments import (
    check_choice,
    check_count,
    check_number,
    check_path,
    check_several,
    check_text,
    check_texts,
)
from langue.base.deprecated import renamed_keywords, renamed_method
from langue.base.errors import InvalidSetting, Mismatch
from langue.protocols import Causal, HiddenMarkov, Searchable

if TYPE_CHECKING:
    from langue.base.arrays import Ids
    from langue.evaluation.evaluate import Evaluation
    from langue.evaluation.explain import Explained
    from langue.evaluation.gradients import Gradients
    from langue.evaluation.score import Score
    from langue.evaluation.verbatim import Copied, Matches
    from langue.generation.generate import Generation, Writer
    from langue.generation.sample import RuleSettings, Sampling, SamplingSettings
    from langue.tasks.states import Picture


def sampling_of(settings: SamplingSettings | RuleSettings) -> Sampling:
    """Settings given by name, in the forms that Python has for them, as the section of a recipe."""
    from langue.generation.sample import Sampling

    given: dict[str, Any] = {**settings}
    for name in given.keys() & {"stop", "ban"}:
        given[name] = tuple(check_texts(name, given[name]))
    if isinstance(given.get("bias"), Mapping):
        given["bias"] = tuple(given["bias"].items())
    if isinstance(given.get("json_schema"), Mapping):
        try:
            given["json_schema"] = json.dumps(given["json_schema"])
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidSetting(f"json_schema is no JSON: {error}") from None
    return Sampling(**given)


class CausalModel(Model[Causal]):
    """A language model: p(token | all tokens before it in its document), and so of any text."""

    protocol = Causal

    def score(self, text: str) -> Score:
        """Bits of one text as a document of its own, its end included."""
        return self.score_all([check_text("text", text)])[0]

    def score_all(self, texts: Sequence[str]) -> list[Score]:
        """`score` of many texts at once: the same figures, faster."""
        from langue.evaluation.score import score_texts

        folder, checked = self.folder, check_texts("texts", texts)
        return score_texts(folder.model, folder.tokenizer, folder.normalization, checked, lines=folder.lines)

    @renamed_keywords(top="k")
    def next_tokens(self, context: str = "", *, k: int = 10) -> list[tuple[str, float]]:
        """The k likeliest next tokens after a text, with their probabilities, likeliest first."""
        from langue.generation.generate import next_tokens

        check_count("k", k, least=1)
        folder = self.folder
        text = self._normalize("context", context)
        return next_tokens(folder.model, folder.tokenizer, text, k, lines=folder.lines)

    def explain(self, text: str, index: int = -1, *, k: int = 10, layer: int | None = None) -> Explained:
        """Why a token of a text is as likely as it is: by counts, classes, weights, passages, states,
        attention, what it hangs on, or parts; docs/page.md has what each family says.

        Args:
            index: of the token, as in `score(text).tokens`; -1 is the end of the document, -2 the last token
                of the text.
            k: likeliest tokens to name beside it.
            layer: of a network, whose attention is shown; None: the last.

        Raises:
            InvalidSetting: there is no such token or layer.
        """
        from langue.evaluation.explain import explain

        check_count("k", k, least=1)
        check_count("index", index, least=-(2**31))
        if layer is not None:
            check_count("layer", layer)
        return explain(self.folder, self._normalize("text", text), index, k=k, layer=layer)

    def stream(
        self,
        prompt: str = "",
        *,
        draft: CausalModel | Literal["prompt"] | None = None,
        **settings: Unpack[SamplingSettings],
    ) -> Writer:
        """Continue a text piece by piece: iterate over the writer, then read its `result`.

        Args:
            draft: guesses tokens, which the model reads several at a time (speculative decoding, Leviathan
                et al. 2023): a quick model of the same tokenizer, as an n-gram of the same corpus, or
                "prompt": what stands in the text already. For large networks, whose weights take long to
                read. What is written is as likely as without, at temperature 0 the same. A text under rules
                that look at each token is written without.
            max_tokens: 100; it ends after so many.
            temperature: 0.8; 0 always takes the likeliest token.
            top_k: keeps the k likeliest tokens; 0 keeps all.
            top_p: 0.95; keeps the likeliest tokens up to this mass (Holtzman et al. 2020).
            min_p: drops tokens below this share of the likeliest one's probability.
            repetition_penalty: above 1, makes repeats less likely (Keskar et al. 2019).
            presence_penalty: taken from the log-probability of each token that was written before.
            frequency_penalty: the same, as often as it was written.
            stop: texts before which it ends.
            ban: texts that are never written.
            bias: by the text of a token, what is added to its log-probability; "<eos>" is the end.
            regex: a regular expression, which what is written matches whole (llguidance's: no look-around
                and no references back).
            json_schema: of the JSON value that is written, as a dict or as JSON.
            seed: same seed, same machine, same text.

        Raises:
            InvalidSetting: a value is out of its bounds, or cannot be used with this model's tokens.
            Mismatch: the draft has another tokenizer.
            MissingExtra: llguidance, which regular expressions and schemas need, is not installed.
        """
        from langue.generation.generate import generate

        folder = self.folder
        text, sampling = self._normalize("prompt", prompt), sampling_of(settings)
        guessing = self._draft_of(draft)
        return generate(folder.model, folder.tokenizer, text, sampling, lines=folder.lines, draft=guessing)

    def generate(
        self,
        prompt: str = "",
        *,
        draft: CausalModel | Literal["prompt"] | None = None,
        **settings: Unpack[SamplingSettings],
    ) -> Generation:
        """Continue a text, whole: `stream` run to its end."""
        return self.stream(prompt, draft=draft, **settings).finish()

    def _draft_of(self, draft: CausalModel | Literal["prompt"] | None) -> Causal | Literal["prompt"] | None:
        if not isinstance(draft, CausalModel):
            return check_choice("draft", draft, ("prompt", None))
        if draft.folder.preprocessing.fingerprint != self.folder.preprocessing.fingerprint:
            raise Mismatch(
                f"{draft.folder.path} has another tokenizer than {self.folder.path}, and can guess none of "
                "its tokens; take a model of the same token store as a draft"
            )
        return draft.folder.model

    def generate_all(
        self,
        prompts: Iterable[str],
        *,
        n: int = 1,
        best_of: int = 0,
        batch_size: int = 16,
        **settings: Unpack[SamplingSettings],
    ) -> Iterator[list[Generation]]:
        """Continue many texts side by side; with the settings of `stream`, each as `generate` would alone.

        Args:
            prompts: read as there is room: any number of them.
            n: texts after each prompt; with one seed they differ, and the first is that of `generate`.
            best_of: so many are written, and the `n` kept that the model finds likeliest by the token, best
                first; 0: all that are written.
            batch_size: texts written side by side.

        Returns:
            The `n` texts of each prompt, in the order of the prompts, as they are ready.
        """
        given = enumerate(check_several("prompts", prompts))
        texts = (self._normalize(f"prompts[{index}]", text) for index, text in given)
        return self._write_all(texts, n, best_of, batch_size, sampling_of(settings), lines=self.folder.lines)

    def _write_all(
        self,
        prompts: Iterable[str | Ids],
        n: int,
        best_of: int,
        batch_size: int,
        sampling: Sampling,
        *,
        lines: bool,
    ) -> Iterator[list[Generation]]:
        """Continue normalized prompts, or those of ids."""
        from langue.generation.generate import generate_all

        check_count("n", n, least=1)
        if check_count("best_of", best_of) and best_of < n:
            raise InvalidSetting(f"best_of = {best_of} is less than n = {n}: so many cannot be kept")
        return generate_all(
            self.folder.model,
            self.folder.tokenizer,
            prompts,
            sampling,
            n=n,
            best_of=best_of,
            rows=check_count("batch_size", batch_size, least=1),
            lines=lines,
        )

    @renamed_keywords(beams="num_beams")
    def beam_search(
        self,
        prompt: str = "",
        *,
        num_beams: int = 4,
        max_tokens: int = 100,
        length_penalty: float = 0.6,
        **rules: Unpack[RuleSettings],
    ) -> list[Generation]:
        """The likeliest continuations of a text by beam search, best first.

        Args:
            num_beams: hypotheses held at a time, and continuations returned at most.
            length_penalty: 0 favors short ones; 0.6 is that of Vaswani et al. 2017.
            ban, regex, json_schema: what may be written, as in `stream`.
        """
        text, lines = self._normalize("prompt", prompt), self.folder.lines
        return next(self._search([text], num_beams, max_tokens, length_penalty, rules, lines=lines))

    def beam_search_all(
        self,
        prompts: Sequence[str],
        *,
        num_beams: int = 4,
        max_tokens: int = 100,
        length_penalty: float = 0.6,
        **rules: Unpack[RuleSettings],
    ) -> Iterator[list[Generation]]:
        """`beam_search` of many texts side by side, in their order."""
        texts = [self._normalize("prompts", text) for text in check_texts("prompts", prompts)]
        return self._search(texts, num_beams, max_tokens, length_penalty, rules, lines=self.folder.lines)

    def _search(
        self,
        prompts: Sequence[str | Ids],
        num_beams: int,
        max_tokens: int,
        length_penalty: float,
        rules: RuleSettings,
        *,
        lines: bool,
    ) -> Iterator[list[Generation]]:
        """Beam search after normalized prompts, or those of ids."""
        from langue.generation.beam import continuations
        from langue.generation.rules import Rules

        return continuations(
            self.folder.model,
            self.folder.tokenizer,
            prompts,
            num_beams=check_count("num_beams", num_beams, least=1),
            max_tokens=check_count("max_tokens", max_tokens),
            length_penalty=check_number("length_penalty", length_penalty, least=-100, most=100),
            rules=Rules(self.folder.tokenizer, sampling_of(rules)) if rules else None,
            lines=lines,
        )

    def evaluate(
        self,
        data: PathLike | Sequence[PathLike],
        *,
        split: str = "test",
        documents: str | None = None,
        check: bool = False,
    ) -> Evaluation:
        """`langue.evaluate` of this model: bits per byte with a 95 % interval, and perplexities."""
        from langue.evaluation.evaluate import Evaluation

        evaluation = super().evaluate(data, split=split, documents=documents, check=check)
        assert isinstance(evaluation, Evaluation)
        return evaluation

    next = renamed_method("next", next_tokens)
    beams = renamed_method("beams", beam_search)

    def gradients(self, store: PathLike, *, split: str = "test", distance: int = 100) -> Gradients:
        """How far back a recurrent model learns: the gradient of a token's loss by distance in time.

        Args:
            store: a token store with documents longer than `distance` tokens.

        Raises:
            Unsupported: the model is not recurrent.
            Mismatch: the store has another tokenizer, or its documents are too short.
        """
        from langue.evaluation.gradients import measure
        from langue.tokens.store import TokenStore

        check_count("distance", distance, least=1)
        return measure(self.folder, TokenStore(check_path("store", store)), split=split, distance=distance)

    def _normalize(self, name: str, text: str) -> str:
        return self.folder.normalization.apply(check_text(name, text))


class InfiniGramModel(CausalModel):
    """An ∞-gram, which keeps its training text: it finds strings in it, and what was copied from it."""

    protocol = Searchable

    @renamed_keywords(show="limit")
    def find(self, text: str, *, limit: int = 10) -> Matches:
        """Where a string stands in the training text.

        Args:
            limit: occurrences that are shown.
        """
        from langue.evaluation.verbatim import find

        check_count("limit", limit)
        return find(self.folder, self.folder.tokenizer, self._normalize("text", text), limit=limit)

    @renamed_keywords(least="min_bytes", show="limit")
    def copied(self, text: str, *, min_bytes: int = 32, limit: int = 10) -> Copied:
        """How much of a text stands verbatim in the training text.

        Args:
            min_bytes: in UTF-8, of a piece that counts as copied: 32 are six words of English, eleven
                characters of Chinese. The same over every tokenizer.
            limit: pieces that are shown.
        """
        from langue.evaluation.verbatim import copied

        check_count("min_bytes", min_bytes, least=1)
        check_count("limit", limit)
        return copied(
            self.folder,
            self.folder.tokenizer,
            self._normalize("text", text),
            min_bytes=min_bytes,
            limit=limit,
        )


class HMMModel(CausalModel):
    """A language model that is a hidden Markov model, whose states can be looked at."""

    protocol = HiddenMarkov

    def states(self, *, k: int = 10) -> Picture:
        """Every hidden state with the k words it emits most, and where it leads."""
        from langue.tasks.states import picture

        return picture(self.folder, self.folder.tokenizer, top=check_count("k", k, least=1))

    def states_of(self, text: str) -> list[dict[str, Any]]:
        """Each token of a text with its state on the best path, and that state's posterior probability."""
        from langue.tasks.states import behind

        return behind(self.folder, self.folder.tokenizer, self._normalize("text", text))
