"""`langue generate` of a model that reads in both directions, whose tokens do not come in a row."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from json import dumps
from pathlib import Path
from time import perf_counter
from typing import Any

import langue
from langue.base.errors import LangueError
from langue.base.progress import log
from langue.cli.options import option_name

# What continues a text from left to right, and means nothing here.
NOT_OF_MASKED = {
    "max_tokens": "say how many --tokens it writes",
    "repetition_penalty": "it sees what stands behind, too",
    "presence_penalty": "it sees what stands behind, too",
    "frequency_penalty": "it sees what stands behind, too",
    "stop": "its length is given by --tokens",
    "ban": "its tokens do not come in a row",
    "bias": "its tokens do not come in a row",
    "regex": "its tokens do not come in a row",
    "json_schema": "its tokens do not come in a row",
    "best_of": "its texts have no probability",
    "num_beams": "its texts have no probability",
    "draft": "its tokens do not come in a row",
    "source": "it has learned from no pairs",
    "sources": "it has learned from no pairs",
    "quantize": "it has no form in int8",
}
OF_DRAWING = ("temperature", "top_k", "top_p", "min_p")  # a masked model has other defaults


def is_masked(model: str) -> bool:
    """Whether a folder holds a model that reads in both directions; only its description is read.

    Raises:
        LangueError: no model is there, or what it needs is not installed.
    """
    from langue.models.folder import describe
    from langue.models.registry import family
    from langue.protocols import Masked

    return Masked in family(describe(Path(model)).family).makes.__mro__


def write_masked(
    model: str,
    prompts: str | Path,
    settings: dict[str, Any],
    given: frozenset[str],
    text_field: str | None,
    *,
    n: int,
    batch_size: int,
    json: bool,
) -> None:
    """Write after a prompt, or after each of a file.

    Raises:
        LangueError: an option is of models that read from left to right, or as `MaskedModel.generate`.
    """
    if names := [name for name in NOT_OF_MASKED if name in given]:
        reasons = "; ".join(f"leave out {option_name(name)}: {NOT_OF_MASKED[name]}" for name in names)
        raise LangueError(f"{model} reads in both directions; {reasons}")
    held = langue.MaskedModel.load(model)
    texts: list[str] = []  # read, and not yet written after

    def read() -> Iterator[str]:
        from langue.corpus.read import read_texts

        lines = [prompts] if isinstance(prompts, str) else read_texts(str(prompts), text_field)
        for line in lines:
            texts.append(line if isinstance(prompts, str) else line.rstrip("\r\n"))
            yield texts[-1]

    chosen = {name: value for name, value in settings.items() if name in given or name not in OF_DRAWING}
    suffix = settings["suffix"]
    log.info(
        "%s reads in both directions: it writes all %s tokens together, so nothing streams, and what it "
        "writes has no probability",
        model,
        settings["tokens"],
    )
    began, tokens, written = perf_counter(), 0, 0
    with left_whole(lambda: tell_speed(tokens, perf_counter() - began)):
        for some in held.generate_all(read(), n=n, batch_size=batch_size, **chosen):
            prompt = texts.pop(0)
            for result in some:
                tokens += result.tokens
                table = {"prompt": prompt, **({"suffix": suffix} if suffix else {}), **result.to_json()}
                line = dumps(table, ensure_ascii=False, allow_nan=False)
                shown = "\n" * bool(written) + prompt + result.text + suffix
                print(line if json else shown, flush=True)
                written += 1


@contextmanager
def left_whole(end: Callable[[], None]) -> Iterator[None]:
    """What is done at the end is done where Ctrl-C comes before it as well."""
    try:
        yield
    except KeyboardInterrupt:
        end()
        raise
    end()


def tell_speed(tokens: int, seconds: float) -> None:
    """As the last line on standard error."""
    if tokens and seconds:
        rate = tokens / seconds
        log.info("%s tokens, %s tokens/s", f"{tokens:,}", f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}")
