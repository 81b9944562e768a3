"""`langue generate`: continue a text, or all those of a file, as it is written."""

import math
from collections import deque
from collections.abc import Iterator
from json import dumps, loads
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import langue
from langue.base.errors import LangueError
from langue.cli.generate_masked import is_masked, left_whole, tell_speed, write_masked
from langue.cli.options import (
    MOST,
    Json,
    Quantize,
    Quiet,
    Seed,
    TextField,
    option_name,
    print_json,
    text_of,
    texts_of,
)
from langue.cli.parameters import Argument, Given, Option

if TYPE_CHECKING:
    from langue.generation.generate import Generation, Writer

MOST_TOKENS = 10_000_000
MOST_BEAMS = 1000  # each is a text that is held
MOST_TEXTS = 1_000_000
# What says how texts are drawn, which beam search does not do.
OF_DRAWING = (
    "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "presence_penalty",
    "frequency_penalty", "stop", "seed", "best_of", "bias",
)  # fmt: skip


def command(
    given: Given,
    model: Annotated[str, Argument(help="Model folder.")],
    prompt: Annotated[
        str, Argument(help="Text to continue; empty for a new document.", callback=text_of)
    ] = "",
    max_tokens: Annotated[int, Option(min=0, max=MOST_TOKENS, help="Stop after this many tokens.")] = 100,
    temperature: Annotated[float, Option(min=0.0, help="0 always takes the likeliest token.")] = 0.8,
    top_k: Annotated[int, Option(min=0, help="Keep the k likeliest tokens; 0 keeps all.")] = 0,
    top_p: Annotated[
        float,
        Option(min=0.0, max=1.0, help="Keep the likeliest tokens up to this mass."),
    ] = 0.95,
    min_p: Annotated[
        float,
        Option(min=0.0, max=1.0, help="Drop tokens below this share of the best."),
    ] = 0.0,
    repetition_penalty: Annotated[float, Option(min=0.01, help="Above 1, makes repeats less likely.")] = 1.0,
    presence_penalty: Annotated[
        float,
        Option(min=-100.0, max=100.0, help="Makes what was written less likely, once."),
    ] = 0.0,
    frequency_penalty: Annotated[
        float,
        Option(min=-100.0, max=100.0, help="The same, each time that it was."),
    ] = 0.0,
    stop: Annotated[
        list[str] | None, Option(callback=texts_of, help="End before this text; may be repeated.")
    ] = None,
    ban: Annotated[
        list[str] | None, Option(callback=texts_of, help="Never write this text; may be repeated.")
    ] = None,
    bias: Annotated[
        list[str] | None,
        Option(
            metavar="TOKEN=NUMBER",
            callback=texts_of,
            help="Add to the log-probability of a token, given as its text; may be repeated.",
        ),
    ] = None,
    regex: Annotated[
        str, Option(callback=text_of, help="Write what this regular expression matches whole.")
    ] = "",
    json_schema: Annotated[
        str,
        Option(callback=text_of, help="Write JSON that this schema allows: a file, or the schema."),
    ] = "",
    min_tokens: Annotated[int, Option(min=0, max=MOST_TOKENS, help="End no text before so many.")] = 0,
    no_repeat_ngram_size: Annotated[
        int, Option(min=0, max=MOST, help="Write no so many tokens in a row twice; 0: as often as likely.")
    ] = 0,
    seed: Seed = 0,
    n: Annotated[int, Option("-n", min=1, max=MOST_TEXTS, help="Texts after each prompt.")] = 1,
    best_of: Annotated[
        int,
        Option(min=0, max=MOST_TEXTS, help="Write so many, and keep the likeliest -n by the token."),
    ] = 0,
    prompts: Annotated[
        Path | None,
        Option(
            "--prompts",
            metavar="FILE",
            help="Texts to continue, side by side: one a line, or a record each; - for standard input.",
        ),
    ] = None,
    text_field: TextField = None,
    batch_size: Annotated[int, Option(min=1, max=10_000, help="Texts that are written side by side.")] = 16,
    source: Annotated[
        str | None,
        Option(
            "--source",
            metavar="TEXT",
            callback=text_of,
            help="Write the target of this source, by a model of pairs.",
        ),
    ] = None,
    sources: Annotated[
        Path | None,
        Option("--sources", metavar="FILE", help="Write the target of each source of a file."),
    ] = None,
    num_beams: Annotated[
        int,
        Option(
            min=0,
            max=MOST_BEAMS,
            help="The likeliest texts by beam search, this many held; draws nothing.",
        ),
    ] = 0,
    draft: Annotated[
        str | None,
        Option(
            "--draft",
            metavar="MODEL|prompt",
            help="What guesses tokens, of which a large network reads several at a time: a quick model of "
            "the same tokenizer, as an n-gram; prompt: what stands in the text already.",
        ),
    ] = None,
    quantize: Quantize = None,
    tokens: Annotated[
        int,
        Option(min=1, max=MOST_TOKENS, help="Of a model that reads in both directions: how many it writes."),
    ] = 20,
    suffix: Annotated[str, Option(callback=text_of, help="Of such a model: the text that follows.")] = "",
    method: Annotated[
        Literal["mask-predict", "gibbs"],
        Option(help="Of such a model: all tokens at once and the least sure again, or one given all others."),
    ] = "mask-predict",
    rounds: Annotated[
        int, Option(min=1, max=MOST, help="Of such a model: how often it goes over what it writes.")
    ] = 10,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Continue a text, printed as it comes, or each text of a file; with --json, a line of JSON each.

    A model that reads in both directions writes so many --tokens after a text, all of them together.
    """
    _refuse_what_does_not_go_together(given.names, prompt, num_beams=num_beams, n=n)
    for name, rule in {"regex": regex, "json_schema": json_schema}.items():
        if name in given.names and not rule:
            raise LangueError(
                f"{option_name(name)} '' allows no text; say what may be written, or leave it out"
            )
    if is_masked(model):
        drawing = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "seed": seed}
        masked = drawing | {"tokens": tokens, "suffix": suffix, "method": method, "rounds": rounds}
        write_masked(
            model, prompts or prompt, masked, given.names, text_field, n=n, batch_size=batch_size, json=json
        )
        return
    if of_masked := [
        option_name(name) for name in ("tokens", "suffix", "method", "rounds") if name in given.names
    ]:
        raise LangueError(
            f"{model} reads from left to right; leave out {', '.join(of_masked)}, which is of models that "
            "read in both directions (the length of its texts: --max-tokens)"
        )
    asked = _Asked(model, prompt, source, prompts, sources, text_field, quantize=quantize)
    rules = {
        "ban": ban or (),
        "regex": regex,
        "json_schema": _schema_of(json_schema),
        "min_tokens": min_tokens,
        "no_repeat_ngram_size": no_repeat_ngram_size,
    }
    if num_beams:
        searched = asked.search(num_beams, max_tokens, rules)
        if asked.one and json:  # as an earlier version printed it
            print_json([asked.table(asked.text, result) for result in next(searched)])
        else:
            _print_all(asked, (some[:n] for some in searched), json=json)
        return
    settings: dict[str, Any] = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "presence_penalty": presence_penalty,
        "frequency_penalty": frequency_penalty,
        "stop": stop or (),
        "bias": dict(map(_bias_of, bias or ())),
        "seed": seed,
        **rules,
    }
    if draft is not None:
        settings["draft"] = draft if draft == "prompt" else langue.CausalModel.load(draft)
    if asked.one and n == 1 and not best_of:
        _stream(asked, settings, json=json)
    else:
        _print_all(asked, asked.write(settings, n=n, best_of=best_of, batch_size=batch_size), json=json)


def _refuse_what_does_not_go_together(given: frozenset[str], prompt: str, *, num_beams: int, n: int) -> None:
    if num_beams and (drawing := [name for name in OF_DRAWING if name in given]):
        # Beam search draws nothing: what says how to draw would be passed over.
        options = ", ".join(option_name(name) for name in drawing)
        raise LangueError(f"--num-beams takes the likeliest texts and draws nothing; leave out {options}")
    if 0 < num_beams < n:
        raise LangueError(f"-n {n} texts are more than the {num_beams} that --num-beams {num_beams} holds")
    begins = [name for name in ("source", "prompts", "sources") if name in given]
    if prompt and begins:
        raise LangueError(
            "give a text to continue, or --source for the target of a source, not both"
            if begins == ["source"]
            else f"give a text to continue, or {option_name(begins[0])}, not both"
        )
    if len(begins) > 1:
        raise LangueError(f"give one of {' and '.join(option_name(name) for name in begins)}, not both")
    if "draft" in given and (num_beams or n > 1 or given & {"prompts", "sources", "best_of"}):
        raise LangueError("--draft is for one text at a time, which is drawn; leave it out for many")
    for name in {"text_field", "batch_size"} & given:
        if not set(begins) & {"prompts", "sources"} and (name == "text_field" or n == 1):
            raise LangueError(f"{option_name(name)} is of many texts; give a file of them: --prompts FILE")


def _bias_of(text: str) -> tuple[str, float]:
    token, equals, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not equals or not token or not math.isfinite(value):
        raise LangueError(f"--bias {text}: write TOKEN=NUMBER, for example --bias ' king=2.5'")
    return token, value


def _schema_of(text: str) -> str:
    """A JSON schema that is given, or stands in a file."""
    if text and not text.lstrip().startswith("{"):
        path = Path(text)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            raise LangueError(f"--json-schema: cannot read {path}: {reason}") from None
    try:
        loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise LangueError(f"--json-schema is no JSON: {error}") from None
    return text


class _Asked:
    """Which texts are to be continued: one, or those of a file; or sources whose targets are written."""

    def __init__(
        self,
        model: str,
        prompt: str,
        source: str | None,
        prompts: Path | None,
        sources: Path | None,
        text_field: str | None,
        *,
        quantize: Literal["int8"] | None,
    ) -> None:
        self.of_pairs = source is not None or sources is not None
        self.one = prompts is None and sources is None
        self.name = "source" if self.of_pairs else "prompt"
        self.text = prompt if source is None else source
        self.read: deque[str] = deque()  # of the file, and not yet written after
        self._file, self._text_field = prompts or sources, text_field
        self.pairs = langue.Seq2SeqModel.load(model, quantize=quantize) if self.of_pairs else None
        self.model = self.pairs or langue.CausalModel.load(model, quantize=quantize)

    def texts(self) -> Iterator[str]:
        if self._file is None:
            self.read.append(self.text)
            yield self.text
            return
        from langue.corpus.read import read_texts

        for text in read_texts(str(self._file), self._text_field):
            self.read.append(text.rstrip("\r\n"))
            yield self.read[-1]

    def stream(self, settings: dict[str, Any]) -> "Writer":
        return (self.pairs.stream_target if self.pairs else self.model.stream)(self.text, **settings)

    def write(self, settings: dict[str, Any], **batch: Any) -> "Iterator[list[Generation]]":
        write = self.pairs.generate_target_all if self.pairs else self.model.generate_all
        return write(self.texts(), **batch, **settings)

    def search(self, num_beams: int, max_tokens: int, rules: dict[str, Any]) -> "Iterator[list[Generation]]":
        search = self.pairs.beam_search_target_all if self.pairs else self.model.beam_search_all
        return search(list(self.texts()), num_beams=num_beams, max_tokens=max_tokens, **rules)

    def table(self, text: str, result: "Generation") -> dict[str, Any]:
        """A text that was written, and after what."""
        return {self.name: text} | result.to_json()

    def line(self, text: str, result: "Generation") -> str:
        return dumps(self.table(text, result), ensure_ascii=False, allow_nan=False)


def _stream(asked: _Asked, settings: dict[str, Any], *, json: bool) -> None:
    """One text; what is written of it stays when it is interrupted."""
    writer = asked.stream(settings)
    if not json and not asked.of_pairs:
        print(asked.text, end="", flush=True)

    def end() -> None:
        result = writer.result
        print(asked.line(asked.text, result) if json else "", flush=True)
        tell_speed(result.tokens, result.seconds)

    with left_whole(end):
        for piece in writer:
            if not json:
                print(piece, end="", flush=True)


def _print_all(asked: _Asked, results: "Iterator[list[Generation]]", *, json: bool) -> None:
    """Many texts, as soon as they are ready; between those for human eyes stands an empty line."""
    began, tokens, written = perf_counter(), 0, 0
    with left_whole(lambda: tell_speed(tokens, perf_counter() - began)):
        for some in results:
            text = asked.read.popleft()
            for result in some:
                tokens += result.tokens
                shown = result.text if asked.of_pairs else text + result.text
                print(asked.line(text, result) if json else "\n" * bool(written) + shown, flush=True)
                written += 1
